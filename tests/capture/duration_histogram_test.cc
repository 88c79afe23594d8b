#include "capture/duration_histogram.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>

namespace datamanager::capture {
namespace {

using std::chrono::nanoseconds;

TEST(DurationHistogramTest, EmptyIsAllZero) {
  const DurationStats stats = DurationHistogram().Summary();
  EXPECT_EQ(stats.p50.count(), 0);
  EXPECT_EQ(stats.p99.count(), 0);
  EXPECT_EQ(stats.max.count(), 0);
}

TEST(DurationHistogramTest, OneDurationIsEveryPercentile) {
  for (const int64_t ns : {0L, 1L, 7L, 8L, 9L, 1000L, 123456789L, 3600000000000L}) {
    DurationHistogram histogram;
    histogram.Record(nanoseconds(ns));
    const DurationStats stats = histogram.Summary();
    EXPECT_EQ(stats.p50.count(), ns);
    EXPECT_EQ(stats.p99.count(), ns);
    EXPECT_EQ(stats.max.count(), ns);
  }
}

TEST(DurationHistogramTest, PercentilesAreRightToWithinAnEighth) {
  for (const int64_t unit : {1L, 1000L, 1000000L}) {
    DurationHistogram histogram;
    for (int64_t i = 1; i <= 1000; ++i) histogram.Record(nanoseconds(i * unit));
    const DurationStats stats = histogram.Summary();
    const auto expect_within = [&](nanoseconds actual, int64_t exact) {
      EXPECT_GE(actual.count(), exact * unit) << unit;
      EXPECT_LE(actual.count(), exact * unit * 9 / 8) << unit;
    };
    expect_within(stats.p50, 500);
    expect_within(stats.p99, 990);
    EXPECT_EQ(stats.max.count(), 1000 * unit);
  }
}

TEST(DurationHistogramTest, OneInAHundredIsAboveTheP99) {
  DurationHistogram histogram;
  for (int i = 0; i < 99; ++i) histogram.Record(nanoseconds(4));
  histogram.Record(std::chrono::seconds(1));
  const DurationStats stats = histogram.Summary();
  EXPECT_EQ(stats.p99.count(), 4);
  EXPECT_EQ(stats.max, std::chrono::seconds(1));
}

TEST(DurationHistogramTest, ANegativeDurationIsNone) {
  DurationHistogram histogram;
  histogram.Record(nanoseconds(-5));
  EXPECT_EQ(histogram.Summary().max.count(), 0);
}

TEST(DurationHistogramTest, CountsForLongerThanAnyProcessRuns) {
  for (const uint64_t times :
       {uint64_t{1} << 32, (uint64_t{1} << 32) + 1, uint64_t{1} << 40, uint64_t{1} << 60}) {
    DurationHistogram histogram;
    histogram.Record(nanoseconds(4), times);
    histogram.Record(nanoseconds(7), times / 98 * 2);
    const DurationStats stats = histogram.Summary();
    EXPECT_EQ(stats.p50.count(), 4) << times;
    EXPECT_EQ(stats.p99.count(), 7) << times;
    EXPECT_EQ(stats.max.count(), 7) << times;
  }
}

TEST(DurationHistogramTest, TakesDurationsOfAnySize) {
  DurationHistogram histogram;
  for (const nanoseconds duration : {nanoseconds::min(), nanoseconds::max(), nanoseconds::max()}) {
    histogram.Record(duration);
  }
  EXPECT_EQ(histogram.Summary().p50, nanoseconds::max());
  EXPECT_EQ(histogram.Summary().max, nanoseconds::max());
}

}  // namespace
}  // namespace datamanager::capture
