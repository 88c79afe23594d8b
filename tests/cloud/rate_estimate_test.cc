#include "cloud/rate_estimate.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>

namespace datamanager::cloud {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

class RateEstimateTest : public ::testing::Test {
 protected:
  // Looks ten times a second while so many bytes a second are acknowledged.
  void Run(double bytes_per_second, std::chrono::milliseconds span, bool full) {
    for (auto end = now_ + span; now_ < end;) {
      now_ += 100ms;
      acked_ += bytes_per_second / 10;
      estimate_.Add(static_cast<uint64_t>(acked_), full, now_);
    }
  }

  RateEstimate estimate_;
  MonotonicTime now_{std::chrono::hours(1)};
  double acked_ = 0;
};

TEST_F(RateEstimateTest, BeginsLow) {
  EXPECT_EQ(estimate_.bytes_per_second(), RateEstimate::kInitial);
}

TEST_F(RateEstimateTest, RisesAtOnce_WhenTheLinkProvesFast) {
  estimate_.Add(0, false, now_);
  estimate_.Add(1 << 20, false, now_ + 10ms);
  // No more than the bytes within the shortest span that counts.
  EXPECT_DOUBLE_EQ(estimate_.bytes_per_second(), 10.0 * (1 << 20));
}

TEST_F(RateEstimateTest, TakesNoBurstForARate) {
  estimate_.Add(0, false, now_);
  estimate_.Add(10000, false, now_ + 100ms);
  EXPECT_EQ(estimate_.bytes_per_second(), RateEstimate::kInitial);
}

TEST_F(RateEstimateTest, FollowsAFullLinkDown) {
  Run(100000, 5s, /*full=*/true);
  EXPECT_NEAR(estimate_.bytes_per_second(), 100000, 5000);
  Run(1250, 20s, /*full=*/true);
  EXPECT_NEAR(estimate_.bytes_per_second(), 1250, 200);
}

TEST_F(RateEstimateTest, StaysUp_WhenLittleIsSent) {
  Run(100000, 5s, /*full=*/true);
  Run(100, 60s, /*full=*/false);
  EXPECT_GT(estimate_.bytes_per_second(), 90000);
}

TEST_F(RateEstimateTest, StaysUp_WhenTheLinkWasFullForAMomentOnly) {
  Run(100000, 5s, /*full=*/true);
  Run(100, 1s, /*full=*/false);
  Run(100, 2s, /*full=*/true);
  EXPECT_GT(estimate_.bytes_per_second(), 90000);
}

TEST_F(RateEstimateTest, OutlivesTheConnection) {
  Run(100000, 5s, /*full=*/true);
  estimate_.Restart();
  EXPECT_NEAR(estimate_.bytes_per_second(), 100000, 5000);
  acked_ = 0;  // Another connection's count, which is no step back.
  Run(100000, 5s, /*full=*/true);
  EXPECT_NEAR(estimate_.bytes_per_second(), 100000, 5000);
}

TEST_F(RateEstimateTest, FollowsAFullLinkDown_AlsoByLooksThatAreClose) {
  // Far more looks than are kept, none of which ends the span that proves a slow link.
  Run(100000, 5s, /*full=*/true);
  for (int i = 0; i < 2000; ++i) {
    now_ += 10ms;
    acked_ += 12.5;
    estimate_.Add(static_cast<uint64_t>(acked_), true, now_);
  }
  EXPECT_NEAR(estimate_.bytes_per_second(), 1250, 200);
}

}  // namespace
}  // namespace datamanager::cloud
