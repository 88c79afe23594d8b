#include "base/waker.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/support/wait_until.h"

namespace datamanager {
namespace {

using std::chrono::milliseconds;
using testing::In;
using testing::PatienceEnds;

TEST(WakerTest, WaitsForTheDeadlineAndNotLess) {
  UseFinestTimers();
  Waker waker;
  for (int i = 0; i < 20; ++i) {
    const MonotonicTime deadline = In(milliseconds(1));
    EXPECT_TRUE(waker.WaitUntil(deadline));
    EXPECT_GE(std::chrono::steady_clock::now(), deadline);
  }
}

TEST(WakerTest, ReturnsAtOnceFromADeadlineThatHasPassed) {
  Waker waker;
  EXPECT_TRUE(waker.WaitUntil(In(-milliseconds(5))));
  EXPECT_TRUE(waker.WaitUntil(MonotonicTime{}));
  EXPECT_TRUE(waker.WaitUntil(MonotonicTime::min()));
}

TEST(WakerTest, IsWokenBeforeTheDeadline) {
  Waker waker;
  std::thread other([&waker] { waker.Wake(); });
  EXPECT_FALSE(waker.WaitUntil(PatienceEnds()));
  EXPECT_LT(std::chrono::steady_clock::now(), PatienceEnds());
  other.join();
}

TEST(WakerTest, KeepsAWakeUpThatCameTooEarly) {
  Waker waker;
  waker.Wake();
  EXPECT_FALSE(waker.WaitUntil(MonotonicTime::max()));
  EXPECT_FALSE(waker.WaitUntil(In(-milliseconds(5)))) << "a wake-up counts more than a deadline";
}

}  // namespace
}  // namespace datamanager
