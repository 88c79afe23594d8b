#include "sync/upload_progress.h"

#include <gtest/gtest.h>

#include "tests/support/log_capture.h"

namespace datamanager::sync {
namespace {

// Only a test moves it.
class StillClock : public Clock {
 public:
  void Advance(std::chrono::seconds time) { now_ += time; }

  MonotonicTime MonotonicNow() const override { return MonotonicTime() + now_; }
  WallTime WallNow() const override { return WallTime() + now_; }

 private:
  std::chrono::seconds now_{1000};
};

TEST(BytesTextTest, Table) {
  const struct {
    uint64_t bytes;
    const char* text;
  } kCases[] = {{0, "0 Bytes"},          {512, "512 Bytes"},      {999, "999 Bytes"},
                {1000, "1.00 KB"},       {1500000, "1.50 MB"},    {999999, "1000.00 KB"},
                {2000000000, "2.00 GB"}, {UINT64_MAX, "18.45 EB"}};
  for (const auto& test : kCases) EXPECT_EQ(BytesText(test.bytes), test.text);
}

TEST(UploadProgressTest, TellsOnceInThirtySeconds) {
  StillClock clock;
  testing::LogCapture log;
  const auto logger = *Logger::Create(log.sink());
  UploadProgress progress("/data/big.bin", 4000000, clock, *logger);
  for (int second = 1; second <= 65; ++second) {
    clock.Advance(std::chrono::seconds(1));
    progress.Add(50000);
  }
  EXPECT_TRUE(progress.told());
  EXPECT_EQ(progress.Summary(), "3.25 MB in 65.0s (avg rate: 50.00 KB/s)");
  logger->Close();
  EXPECT_EQ(log.Count("info: uploading "), 2U) << log.Text();
  EXPECT_TRUE(log.Has("uploading /data/big.bin: 1.50 MB / 4.00 MB (38%), rate: 50.00 KB/s"))
      << log.Text();
  EXPECT_TRUE(log.Has("3.00 MB / 4.00 MB (75%)")) << log.Text();
}

TEST(UploadProgressTest, OfAShortUploadThereIsNothingToTell) {
  StillClock clock;
  testing::LogCapture log;
  const auto logger = *Logger::Create(log.sink());
  UploadProgress progress("/data/small.bin", 100, clock, *logger);
  progress.Add(100);
  EXPECT_FALSE(progress.told());
  EXPECT_EQ(progress.Summary(), "100 Bytes in 0.0s (avg rate: 0 Bytes/s)");
  logger->Close();
  EXPECT_EQ(log.Count("uploading"), 0U);
}

}  // namespace
}  // namespace datamanager::sync
