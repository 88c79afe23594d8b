#include "cloud/ready_listener.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/cloud/fixture.h"

namespace datamanager::cloud {
namespace {

class ReadyListenerTest : public ::testing::Test {
 protected:
  ReadyListenerTest() {
    listener_.Set([this](bool ready) { told_.push_back(ready); });
    listener_.Follow(&first_);
  }

  const int first_ = 0;
  const int second_ = 0;
  std::vector<bool> told_;
  ReadyListener listener_;
};

TEST_F(ReadyListenerTest, HearsOfEachChange) {
  listener_.Tell(&first_, false);
  listener_.Tell(&first_, true);
  listener_.Tell(&first_, true);  // Another connection.
  listener_.Tell(&first_, false);
  listener_.Tell(&first_, false);
  EXPECT_EQ(told_, (std::vector<bool>{true, false, true, false}));
}

TEST_F(ReadyListenerTest, HearsOnlyTheOneThatItFollows) {
  listener_.Tell(&first_, true);
  listener_.Follow(&second_);
  EXPECT_EQ(told_, (std::vector<bool>{true, false}));
  listener_.Tell(&first_, false);
  listener_.Tell(&first_, true);
  EXPECT_EQ(told_.size(), 2U);
  listener_.Tell(&second_, true);
  listener_.Follow(nullptr);
  EXPECT_EQ(told_, (std::vector<bool>{true, false, true, false}));
  listener_.Tell(&second_, true);
  EXPECT_EQ(told_.size(), 4U) << "nobody is followed";
}

TEST_F(ReadyListenerTest, ALateCallOfTheOldOneComesBeforeThoseOfTheNew) {
  Event entered;
  Event leave;
  Record<std::string> order;
  listener_.Set([&](bool ready) {
    if (ready) {
      entered.Set();
      EXPECT_TRUE(leave.Wait());
    }
    order.Add(ready ? "ready" : "lost");
  });
  std::thread old_one([&] { listener_.Tell(&first_, true); });
  EXPECT_TRUE(entered.Wait());
  std::thread reconfigures([&] {
    listener_.Follow(&second_);
    order.Add("followed");
  });
  leave.Set();
  old_one.join();
  reconfigures.join();
  EXPECT_EQ(order.All(), (std::vector<std::string>{"ready", "lost", "followed"}));
}

}  // namespace
}  // namespace datamanager::cloud
