// A moment of each bench: it works, and notices when what it measures does not.
#include <dirent.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/bench/benches.h"
#include "tests/bench/curves.h"
#include "tests/bench/report.h"
#include "tests/support/temp_dir.h"

namespace datamanager::bench {
namespace {

class FewCalls final : public Micro {
 public:
  double SecondsPerCall(size_t calls, const Body& body) override {
    body(calls);
    return 1;
  }
};

class BenchTest : public ::testing::Test {
 protected:
  // Runs a moment of it, with its disk in place of the real one.
  template <typename Result>
  Result Run(Result (*bench)(const Settings&), FileOps& ops = FileOps::System()) {
    return bench({.micro = &micro_,
                  .directory = testing::MemoryDirectory(),
                  .programs = BENCH_PROGRAMS,
                  .examples = EXAMPLES,
                  .brief = true,
                  .ops = &ops});
  }
  static std::string Ids(const std::vector<Row>& rows) {
    std::string ids;
    for (const Row& row : rows) ids += row.id + " ";
    return ids;
  }
  // Of curves, all of whose points were measured.
  static std::string Ids(const std::vector<Curve>& curves) {
    std::string ids;
    for (const Curve& curve : curves) {
      ids += curve.id + " ";
      EXPECT_GE(curve.series.size(), 2U) << curve.id;
      for (const Series& series : curve.series) {
        EXPECT_EQ(series.points.size(), curve.x.size()) << curve.id << ", " << series.name;
      }
    }
    return ids;
  }

 private:
  FewCalls micro_;
};

// Reports a write of records that it has not done, once.
class LosesAWrite : public FileOps {
 public:
  ssize_t Write(int fd, const void* data, size_t size) override {
    return IsLost(fd, {static_cast<const char*>(data), size}) ? static_cast<ssize_t>(size)
                                                              : FileOps::Write(fd, data, size);
  }
  ssize_t Writev(int fd, const iovec* parts, int count) override {
    if (!IsLost(fd, {})) return FileOps::Writev(fd, parts, count);
    ssize_t size = 0;
    for (int i = 0; i < count; ++i) size += static_cast<ssize_t>(parts[i].iov_len);
    return size;
  }

 private:
  // Whether to lose the write: never one that tries out a directory.
  bool IsLost(int fd, std::string_view bytes) {
    char path[PATH_MAX];
    const ssize_t size = ::readlink(absl::StrCat("/proc/self/fd/", fd).c_str(), path, sizeof(path));
    const std::string_view name(path, static_cast<size_t>(std::max<ssize_t>(0, size)));
    return name.ends_with(".prog") && bytes != "probe" && ++writes_ == 3;
  }

  std::atomic<int> writes_{0};
};

// Has no entry of the file that is met first.
class SkipsAFile : public FileOps {
 public:
  const dirent* ReadDirectory(DIR* directory) override {
    const dirent* entry = FileOps::ReadDirectory(directory);
    if (entry == nullptr || entry->d_type != DT_REG) return entry;
    const std::lock_guard lock(mutex_);
    if (skipped_.empty()) skipped_ = entry->d_name;
    return skipped_ == entry->d_name ? FileOps::ReadDirectory(directory) : entry;
  }

 private:
  std::mutex mutex_;
  std::string skipped_;
};

TEST_F(BenchTest, Encode) { EXPECT_EQ(Ids(Run(&Encode)), "P1 "); }

TEST_F(BenchTest, Append) {
  EXPECT_EQ(Ids(Run(&Append)), "P2 P2 ");
  LosesAWrite ops;
  EXPECT_THROW(Run(&Append, ops), Broken);
}

TEST_F(BenchTest, Punctuality) {
  EXPECT_EQ(Ids(Run(&Punctuality)), "P3 P3 P3 P3 P3 P3 ");
  LosesAWrite ops;
  EXPECT_THROW(Run(&Punctuality, ops), Broken);
}

TEST_F(BenchTest, CollectorCpu) {
  EXPECT_EQ(Ids(Run(&CollectorCpu)), "P4 ");
  LosesAWrite ops;
  EXPECT_THROW(Run(&CollectorCpu, ops), Broken);
}

TEST_F(BenchTest, PublishFrames) {
  EXPECT_EQ(Ids(Run(&PublishFrames)), "P5 ");
  LosesAWrite ops;
  EXPECT_THROW(Run(&PublishFrames, ops), Broken);
}

TEST_F(BenchTest, UploadSmallFiles) {
  EXPECT_EQ(Ids(Run(&UploadSmallFiles)), "P6 P6 P6 P6 P6 ");
  SkipsAFile ops;
  EXPECT_THROW(Run(&UploadSmallFiles, ops), Broken);
}

TEST_F(BenchTest, UploadFarAway) {
  EXPECT_EQ(Ids(Run(&UploadFarAway)), "P14 ");
  SkipsAFile ops;
  EXPECT_THROW(Run(&UploadFarAway, ops), Broken);
}

TEST_F(BenchTest, UploadOtherFiles) {
  EXPECT_EQ(Ids(Run(&UploadOtherFiles)), "P15 P15 ");
  SkipsAFile ops;
  EXPECT_THROW(Run(&UploadOtherFiles, ops), Broken);
}

TEST_F(BenchTest, UploadLargeFile) {
  EXPECT_EQ(Ids(Run(&UploadLargeFile)), "P7 P7 P7 ");
  SkipsAFile ops;
  EXPECT_THROW(Run(&UploadLargeFile, ops), Broken);
}

TEST_F(BenchTest, Walk) {
  EXPECT_EQ(Ids(Run(&Walk)), "P8 P8 P8 ");
  SkipsAFile ops;
  EXPECT_THROW(Run(&Walk, ops), Broken);
}

TEST_F(BenchTest, Memory) { EXPECT_EQ(Ids(Run(&Memory)), "P9 P9 "); }

TEST_F(BenchTest, Idle) { EXPECT_EQ(Ids(Run(&Idle)), "P10 P10 P10 "); }

TEST_F(BenchTest, UploadTabularFiles) {
  EXPECT_EQ(Ids(Run(&UploadTabularFiles)), "P11 P11 ");
  SkipsAFile ops;
  EXPECT_THROW(Run(&UploadTabularFiles, ops), Broken);
}

TEST_F(BenchTest, DiskWear) {
  try {
    EXPECT_EQ(Ids(Run(&DiskWear)), "P12 P12 P12 P12 ");
  } catch (const Skipped& reason) {
    GTEST_SKIP() << reason.what();
  }
  LosesAWrite ops;
  EXPECT_THROW(Run(&DiskWear, ops), Broken);
}

TEST_F(BenchTest, Footprint) { EXPECT_EQ(Ids(Run(&Footprint)), "P13 P13 "); }

TEST_F(BenchTest, BacklogTimeCurve) {
  EXPECT_EQ(Ids(Run(&BacklogTime)), "backlog_time ");
  SkipsAFile ops;
  EXPECT_THROW(Run(&BacklogTime, ops), Broken);
}

TEST_F(BenchTest, BacklogMemoryCurve) { EXPECT_EQ(Ids(Run(&BacklogMemory)), "backlog_memory "); }

TEST_F(BenchTest, CollectorCurves) {
  EXPECT_EQ(Ids(Run(&CollectorCount)), "collectors_cpu collectors_lateness ");
  LosesAWrite ops;
  EXPECT_THROW(Run(&CollectorCount, ops), Broken);
}

TEST_F(BenchTest, RecordCurves) {
  EXPECT_EQ(Ids(Run(&RecordSize)), "record_time record_byte ");
  LosesAWrite ops;
  EXPECT_THROW(Run(&RecordSize, ops), Broken);
}

TEST_F(BenchTest, RoundTripCurve) {
  EXPECT_EQ(Ids(Run(&RoundTrip)), "round_trip ");
  SkipsAFile ops;
  EXPECT_THROW(Run(&RoundTrip, ops), Broken);
}

TEST_F(BenchTest, WorkerCurve) {
  EXPECT_EQ(Ids(Run(&WorkerCount)), "workers ");
  SkipsAFile ops;
  EXPECT_THROW(Run(&WorkerCount, ops), Broken);
}

TEST(CompareTest, TheMedianIsOfTheRatiosWithinEachRound) {
  const std::vector<Row> rows =
      RowsOf("P0", {{.what = "it", .bound = 1.5}},
             {{.subject = {20}, .baseline = {10}, .baseline_again = {10}},
              {.subject = {110}, .baseline = {100}, .baseline_again = {120}},
              {.subject = {1.2}, .baseline = {1}, .baseline_again = {0.9}}});
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_DOUBLE_EQ(rows[0].figure.median, 1.2);
  EXPECT_DOUBLE_EQ(rows[0].figure.min, 1.1);
  EXPECT_DOUBLE_EQ(rows[0].figure.max, 2);
  EXPECT_DOUBLE_EQ(rows[0].noise->median, 1);
  EXPECT_TRUE(rows[0].holds());
  EXPECT_FALSE(rows[0].noise_exceeds_margin());
}

TEST(CompareTest, EachVariantRunsOnceARoundAndTheBaselineTwice) {
  int subject = 0;
  int baseline = 0;
  Compare(
      "P0", 5, {{.what = "it", .bound = 1}},
      [&]() -> std::vector<double> { return {static_cast<double>(++subject)}; },
      [&]() -> std::vector<double> { return {static_cast<double>(++baseline)}; });
  EXPECT_EQ(subject, 5);
  EXPECT_EQ(baseline, 10);
}

TEST(CompareTest, ARowSaysSoWhenItsNoiseExceedsItsMargin) {
  Row row{.id = "P0", .what = "it", .unit = "x", .bound = 1.1, .figure = SpreadOf({1, 1.05, 1.1})};
  row.noise = SpreadOf({0.98, 1.02, 1.1}, 1);
  EXPECT_FALSE(row.noise_exceeds_margin());
  EXPECT_EQ(Table({row}).find("noise exceeds"), std::string::npos);
  row.noise = SpreadOf({0.94, 1, 1.06}, 1);
  EXPECT_TRUE(row.noise_exceeds_margin());
  EXPECT_NE(Table({row}).find("noise exceeds the margin"), std::string::npos);
}

TEST(CompareTest, ABrokenRowHoldsNothing) {
  const Row row{
      .id = "P0", .what = "it", .unit = "x", .bound = 2, .broken = "a \"record\" is lost"};
  EXPECT_FALSE(row.holds());
  EXPECT_NE(Json({row}).find("\"ratio\": null"), std::string::npos);
  EXPECT_NE(Json({row}).find("\"holds\": false"), std::string::npos);
  EXPECT_NE(Json({row}).find("a \\\"record\\\" is lost"), std::string::npos);
}

}  // namespace
}  // namespace datamanager::bench
