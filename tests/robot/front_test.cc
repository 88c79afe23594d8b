#include "robot/front.h"

#include <gtest/gtest.h>

namespace robot {
namespace {

TEST(FrontTest, KnowsWhichAddressesOthersCanReach) {
  for (const char* own : {"127.0.0.1:80", "127.5.6.7:0", "[::1]:80", "localhost:80", "unix:/x"}) {
    EXPECT_FALSE(IsOpenToOthers(own)) << own;
  }
  for (const char* open : {"0.0.0.0:80", "[::]:80", "192.168.1.2:80", "[fe80::1]:80"}) {
    EXPECT_TRUE(IsOpenToOthers(open)) << open;
  }
}

}  // namespace
}  // namespace robot
