// What a collector's loop allocates.
#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "capture/capture.h"
#include "datamanager/wire/viam/common/v1/common.pb.h"
#include "datamanager/wire/viam/component/motor/v1/motor.pb.h"
#include "tests/support/log_capture.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace {

thread_local uint64_t allocations = 0;
// Bytes allocated by all threads, now and at most.
std::atomic<int64_t> live_bytes{0};
std::atomic<int64_t> most_live_bytes{0};

void* Allocate(std::size_t size) {
  ++allocations;
  void* memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  const auto taken = static_cast<int64_t>(::malloc_usable_size(memory));
  const int64_t live = live_bytes += taken;
  int64_t most = most_live_bytes;
  while (live > most && !most_live_bytes.compare_exchange_weak(most, live)) {
  }
  return memory;
}

void Free(void* memory) {
  live_bytes -= static_cast<int64_t>(::malloc_usable_size(memory));
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) { return Allocate(size); }
void* operator new[](std::size_t size) { return Allocate(size); }
void operator delete(void* memory) noexcept { Free(memory); }
void operator delete[](void* memory) noexcept { Free(memory); }
void operator delete(void* memory, std::size_t) noexcept { Free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { Free(memory); }

namespace datamanager::capture {
namespace {

using testing::PatienceEnds;
using testing::WaitUntil;

constexpr int kWarmUp = 20;
constexpr int kTicks = 200;

// Told at each call of a source, by its thread: what was allocated from the first call after the
// warm-up to the last is that of all in between, source and loop.
class Count {
 public:
  void Note() {
    const int call = ++calls_;
    if (call == kWarmUp) before_ = allocations;
    if (call == kWarmUp + kTicks) allocated_ = static_cast<int64_t>(allocations - before_);
  }
  // -1: not there yet.
  int64_t allocated() const { return allocated_; }

 private:
  int calls_ = 0;
  uint64_t before_ = 0;
  std::atomic<int64_t> allocated_{-1};
};

// What `kTicks` ticks allocate of the collector that captures `method` of "it".
int64_t Allocated(const Sources& sources, const Count& count, const std::string& api,
                  const std::string& method) {
  const testing::TempDir dir;
  testing::LogCapture log;
  const std::unique_ptr<Capture> capture =
      *Capture::Create({.logger = *Logger::Create(log.sink())});
  config::ConfiguredCollector collector;
  collector.settings = {
      .api = api, .name = "it", .method = method, .interval = std::chrono::microseconds(500)};
  config::CaptureConfig config{
      .directory = dir.path(), .max_file_bytes = 1 << 30, .collectors = {collector}};
  EXPECT_TRUE(capture->Reconfigure(config, sources, PatienceEnds()));
  EXPECT_TRUE(WaitUntil([&] { return count.allocated() >= 0; }));
  EXPECT_TRUE(capture->Close(PatienceEnds(), PatienceEnds()).ok());
  EXPECT_EQ(capture->Stats().at(0).failed, 0U) << capture->Stats().at(0).last_error;
  EXPECT_GE(capture->Stats().at(0).captured, static_cast<uint64_t>(kWarmUp + kTicks));
  return count.allocated();
}

TEST(AllocationTest, TheCounterCounts) {
  const uint64_t before = allocations;
  const auto number = std::make_unique<int>(5);
  EXPECT_EQ(allocations, before + 1) << *number;
}

TEST(AllocationTest, ReadingsOfFixedShapeCostNone) {
  Sources sources;
  Count count;
  int tick = 0;
  sources.AddReadings("rdk:component:sensor", "it", [&](const CaptureRequest&, Readings& out) {
    count.Note();
    out.Set("temperature_celsius", 20 + 0.1 * (++tick % 10));
    out.Set("ok", true);
    out.Set("none", nullptr);
    out.Set("text", "longer than what std::string keeps inside itself");
    ValueMap& cores = out.Add("a key that is longer than what std::string keeps").SetMap();
    cores.Set("cpu0", tick);
    cores.Add("list").SetList().Append(1);
    return absl::OkStatus();
  });
  EXPECT_EQ(Allocated(sources, count, "rdk:component:sensor", "Readings"), 0);
}

// Protobuf itself frees a message in a message, and makes it again.
TEST(AllocationTest, MessagesWithoutMessagesInThemCostNone) {
  using Power = wire::viam::component::motor::v1::IsPoweredResponse;
  Sources sources;
  Count count;
  sources.AddMessage<Power>("rdk:component:motor", "it", "IsPowered",
                            [&](const CaptureRequest&, Power& out) {
                              count.Note();
                              out.set_power_pct(0.5);
                              return absl::OkStatus();
                            });
  EXPECT_EQ(Allocated(sources, count, "rdk:component:motor", "IsPowered"), 0);
}

// A source whose first answer is a burst.
class BurstTest : public ::testing::Test {
 protected:
  // Captures from it for more than `ticks` ticks, and measures the allocated bytes before and
  // after.
  void Capture(const std::string& api, const std::string& method, int ticks) {
    capture_ = *capture::Capture::Create({.logger = *Logger::Create(log_.sink())});
    config::ConfiguredCollector collector;
    collector.settings = {
        .api = api, .name = "it", .method = method, .interval = std::chrono::microseconds(200)};
    const config::CaptureConfig config{
        .directory = dir_.path(), .max_file_bytes = 1 << 30, .collectors = {collector}};
    before_ = live_bytes;
    most_live_bytes = before_;
    ASSERT_TRUE(capture_->Reconfigure(config, sources_, PatienceEnds()));
    ASSERT_TRUE(WaitUntil([&] { return calls_ > ticks; }));
    after_ = live_bytes;
    ASSERT_TRUE(capture_->Close(PatienceEnds(), PatienceEnds()).ok());
    capture_ = nullptr;
  }

  const testing::TempDir dir_;
  testing::LogCapture log_;
  Sources sources_;
  std::unique_ptr<capture::Capture> capture_;
  std::atomic<int> calls_ = 0;
  int64_t before_ = 0;
  int64_t after_ = 0;
};

TEST_F(BurstTest, AReadingOf300MegabytesLeavesNothing) {
  constexpr int64_t kSize = 300 << 20;
  sources_.AddReadings("rdk:component:sensor", "it", [&](const CaptureRequest&, Readings& out) {
    if (++calls_ == 1) out.Add("text").SetString(std::string(kSize, 't'));
    return absl::OkStatus();
  });
  Capture("rdk:component:sensor", "Readings", 2);
  // The source's own bytes and the reading, none of which was encoded.
  EXPECT_LT(most_live_bytes - before_, 2 * kSize + (4 << 20));
  EXPECT_LT(after_ - before_, 4 << 20);
}

TEST_F(BurstTest, AReadingThatFits) {
  sources_.AddReadings("rdk:component:sensor", "it", [&](const CaptureRequest&, Readings& out) {
    if (++calls_ == 1) out.Set("text", std::string(20 << 20, 't'));
    return absl::OkStatus();
  });
  Capture("rdk:component:sensor", "Readings", 1100);
  EXPECT_LT(after_ - before_, 4 << 20);
}

TEST_F(BurstTest, AnAnswerThatEndsInAnError) {
  sources_.AddReadings("rdk:component:sensor", "it",
                       [&](const CaptureRequest&, Readings& out) -> absl::Status {
                         if (++calls_ > 1) return absl::OkStatus();
                         out.Set("text", std::string(100 << 20, 't'));
                         return absl::InternalError(std::string(10 << 20, 'e'));
                       });
  Capture("rdk:component:sensor", "Readings", 2);
  EXPECT_LT(after_ - before_, 4 << 20);
}

TEST_F(BurstTest, Pictures) {
  sources_.AddImages("it", [&](const CaptureRequest&, Images& out) {
    if (++calls_ == 1) {
      for (int i = 0; i < 10; ++i) out.Add().data = std::string(4 << 20, 'p');
    } else {
      out.Add().data = "p";
    }
    return absl::OkStatus();
  });
  Capture("rdk:component:camera", "GetImages", 2);
  EXPECT_LT(after_ - before_, 4 << 20);
}

TEST_F(BurstTest, Messages) {
  using Response = wire::viam::common::v1::GetReadingsResponse;
  sources_.AddMessage<Response>(
      "rdk:component:sensor", "it", "Readings", [&](const CaptureRequest&, Response& out) {
        if (++calls_ == 1) {
          (*out.mutable_readings())["text"].set_string_value(std::string(100 << 20, 't'));
        }
        return absl::OkStatus();
      });
  Capture("rdk:component:sensor", "Readings", 2);
  EXPECT_LT(most_live_bytes - before_, int64_t{2} * (100 << 20) + (4 << 20));
  EXPECT_LT(after_ - before_, 4 << 20);
}

}  // namespace
}  // namespace datamanager::capture
