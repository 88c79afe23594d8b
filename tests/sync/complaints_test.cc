#include "sync/complaints.h"

#include <gtest/gtest.h>

#include <string>

namespace datamanager::sync {
namespace {

TEST(ComplaintsTest, EachIsSaidOnceWhileItLasts) {
  Complaints complaints;
  Complaints::Heard first;
  EXPECT_TRUE(complaints.Hear("a", first));
  EXPECT_FALSE(complaints.Hear("a", first));
  EXPECT_TRUE(complaints.Hear("b", first));
  complaints.Settle(first);
  Complaints::Heard second;
  EXPECT_FALSE(complaints.Hear("a", second));
  complaints.Settle(second);  // "b" is over.
  Complaints::Heard third;
  EXPECT_FALSE(complaints.Hear("a", third));
  EXPECT_TRUE(complaints.Hear("b", third));
}

TEST(ComplaintsTest, RemembersNoMoreThanItsLimit) {
  Complaints complaints;
  Complaints::Heard heard;
  size_t said = 0;
  for (int i = 0; i < 5000; ++i) said += complaints.Hear(std::to_string(i), heard) ? 1 : 0;
  EXPECT_EQ(said, Complaints::kLimit);
  EXPECT_EQ(heard.size(), Complaints::kLimit);
}

}  // namespace
}  // namespace datamanager::sync
