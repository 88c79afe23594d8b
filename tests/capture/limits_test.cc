// The results, records and errors of a collector's turn at and beyond each limit.
#include <google/protobuf/struct.pb.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture/binary_answer.h"
#include "capture/capture.h"
#include "capture/collector_metadata.h"
#include "capture/kept_memory.h"
#include "capture/struct_encoder.h"
#include "capture_file/format.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"
#include "datamanager/wire/viam/component/audioin/v1/audioin.pb.h"
#include "tests/capture/captured.h"
#include "tests/capture/fake_sources.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/support/log_capture.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::capture {
namespace {

namespace wire = datamanager::wire::viam::app::datasync::v1;

using capture_file::kMaxMetadataBytes;
using capture_file::kMaxTabularRecordBytes;
using capture_file::kMaxWrittenBinaryBytes;
using capture_file::RecordBuffer;
using testing::CapturedFile;
using testing::FaultyFileOps;
using testing::PatienceEnds;
using testing::WaitUntil;

constexpr char kSensor[] = "rdk:component:sensor";
constexpr char kCamera[] = "rdk:component:camera";
constexpr char kAudioIn[] = "rdk:component:audio_in";

// A list in a list, `depth` times, around a null.
Value Nest(int depth) {
  Value value;
  Value* inner = &value;
  for (int i = 1; i < depth; ++i) inner = &inner->SetList().Add();
  return value;
}

class LimitsTest : public ::testing::Test {
 protected:
  ~LimitsTest() override {
    if (capture_ != nullptr) Close();
  }
  void Want(const std::string& api, const std::string& method, const ValueMap& params = {}) {
    config::ConfiguredCollector collector;
    collector.settings = {.api = api,
                          .name = "it",
                          .method = method,
                          .interval = std::chrono::milliseconds(2),
                          .additional_params = params};
    config_.collectors = {collector};
  }
  void Start() {
    if (capture_ == nullptr) capture_ = *Capture::Create({.logger = logger_, .ops = &ops_});
    ASSERT_TRUE(capture_->Reconfigure(config_, sources_, PatienceEnds()));
  }
  void Close() { EXPECT_TRUE(capture_->Close(PatienceEnds(), PatienceEnds()).ok()); }
  CollectorStats Stats() const { return capture_->Stats().at(0); }
  std::vector<CapturedFile> Files() const { return testing::LoadPublished(temp_.path()); }
  std::vector<std::string> Paths(std::string_view suffix) const {
    return testing::FilesBelow(temp_.path(), suffix);
  }

  // The result of one answer of readings: the error, or "" and a record.
  std::string AnswerOf(const std::function<void(Readings&)>& fill) {
    sources_ = Sources();
    const auto calls = std::make_shared<std::atomic<int>>(0);
    sources_.AddReadings(kSensor, "it", [calls, fill](const CaptureRequest& asked, Readings& out) {
      if (++*calls > 1) return testing::WaitForStop(asked);
      fill(out);
      return absl::OkStatus();
    });
    return AnswerOnce(kSensor, "Readings", *calls);
  }
  std::string AnswerOf(Image image) {
    sources_ = Sources();
    const auto calls = std::make_shared<std::atomic<int>>(0);
    sources_.AddImages("it",
                       [calls, image = std::move(image)](const CaptureRequest& asked, Images& out) {
                         if (++*calls > 1) return testing::WaitForStop(asked);
                         out.Add() = image;
                         return absl::OkStatus();
                       });
    return AnswerOnce(kCamera, "GetImages", *calls);
  }
  std::string AnswerOnce(const std::string& api, const std::string& method,
                         const std::atomic<int>& calls) {
    std::filesystem::remove_all(config_.directory);
    capture_ = nullptr;
    Want(api, method);
    Start();
    EXPECT_TRUE(WaitUntil([&] { return calls == 2; }));
    const CollectorStats stats = Stats();
    Close();
    capture_ = nullptr;
    const std::vector<CapturedFile> files = Files();
    EXPECT_EQ(stats.captured, files.size());
    EXPECT_EQ(stats.captured + stats.failed, 1U);
    EXPECT_EQ(stats.dropped.total(), 0U);
    for (const CapturedFile& file : files) EXPECT_TRUE(file.whole);
    return stats.failed == 0 ? "" : stats.last_error;
  }

  const testing::TempDir temp_{testing::MemoryDirectory()};
  testing::LogCapture log_;
  const std::shared_ptr<Logger> logger_ = *Logger::Create(log_.sink());
  FaultyFileOps ops_;
  config::CaptureConfig config_{.directory = temp_.path() + "/capture", .max_file_bytes = 1 << 18};
  Sources sources_;
  std::unique_ptr<Capture> capture_;
};

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(LimitsTest, ReadingsOfEverySize) {
  const auto text = [](size_t size) {
    return [size](Readings& out) { out.Set("text", std::string(size, 't')); };
  };
  EXPECT_EQ(AnswerOf([](Readings&) {}), "");
  EXPECT_EQ(AnswerOf(text(0)), "");
  EXPECT_EQ(AnswerOf(text(1 << 20)), "");
  // The last size that fits into a request with its metadata, and the first that does not.
  const size_t room = kMaxTabularRecordBytes - 1300;
  EXPECT_EQ(AnswerOf(text(room)), "");
  for (const size_t size :
       {kMaxTabularRecordBytes - 900, kMaxTabularRecordBytes - 100, kMaxTabularRecordBytes,
        kMaxTabularRecordBytes + 1, uint64_t{100} << 20}) {
    const std::string error = AnswerOf(text(size));
    EXPECT_TRUE(Has(error, "is larger than the 33554432 a server accepts")) << error;
    EXPECT_TRUE(Files().empty());
  }
  // A reading of many small values.
  const std::string error = AnswerOf([](Readings& out) {
    ValueList& list = out.Add("list").SetList();
    const std::string value(100, 'v');
    for (int i = 0; i < 400000; ++i) list.Append(value);
  });
  EXPECT_TRUE(Has(error, "is larger than the 33554432 a server accepts")) << error;
}

TEST_F(LimitsTest, ReadingsOfEveryDepth) {
  const auto nested = [](int depth) {
    return [depth](Readings& out) { out.Set("deep", Nest(depth)); };
  };
  EXPECT_EQ(AnswerOf(nested(30)), "");
  // A server can parse it.
  const std::vector<CapturedFile> files = Files();
  ASSERT_EQ(files.size(), 1U);
  wire::DataCaptureUploadRequest request;
  *request.add_sensor_contents() = files[0].records.at(0);
  EXPECT_TRUE(wire::DataCaptureUploadRequest().ParseFromString(request.SerializeAsString()));
  for (const int depth : {31, 200, 3000}) {
    const std::string error = AnswerOf(nested(depth));
    EXPECT_TRUE(Has(error, "deep: nested deeper than 30 levels")) << error;
  }
  EXPECT_EQ(AnswerOf([](Readings& out) {
              ValueMap* map = &out.Add("deep").SetMap();
              for (int i = 2; i < 30; ++i) map = &map->Add("in").SetMap();
              map->Set("n", 1);
            }),
            "");
  request.Clear();
  *request.add_sensor_contents() = Files().at(0).records.at(0);
  EXPECT_TRUE(wire::DataCaptureUploadRequest().ParseFromString(request.SerializeAsString()));
}

TEST_F(LimitsTest, ErrorsAreOfBoundedLength) {
  const std::string wrong(1 << 20, '\xff');
  for (const std::function<void(Readings&)>& fill : std::vector<std::function<void(Readings&)>>{
           [&](Readings& out) { out.Set("text", wrong); },
           [&](Readings& out) { out.Set(wrong, 1); },
           [&](Readings& out) { out.Add(std::string(1 << 20, 'k')).SetMap().Set("k", wrong); }}) {
    const std::string error = AnswerOf(fill);
    EXPECT_TRUE(Has(error, "invalid UTF-8")) << error;
    EXPECT_LT(error.size(), 1000U);
  }
  sources_ = Sources();
  std::atomic<int> calls = 0;
  sources_.AddReadings(kSensor, "it", [&](const CaptureRequest&, Readings&) {
    ++calls;
    // A character of two bytes lies across the limit.
    return absl::InternalError(
        absl::StrCat("x", std::string(4094, 'e'), "\xc3\xa9", std::string(1 << 20, 'e')));
  });
  Want(kSensor, "Readings");
  Start();
  ASSERT_TRUE(WaitUntil([&] { return calls >= 3; }));
  EXPECT_LT(Stats().last_error.size(), 5000U);
  EXPECT_TRUE(IsUtf8(Stats().last_error));
  EXPECT_TRUE(Has(Stats().last_error, "... (1052673 bytes)")) << Stats().last_error.substr(4000);
}

TEST_F(LimitsTest, MimeTypesAndLabelsOfEverySize) {
  const Image image = {.mime_type = "image/png", .data = "data"};
  const auto with = [&](const std::function<void(Image&)>& change) {
    Image changed = image;
    change(changed);
    return AnswerOf(changed);
  };
  EXPECT_EQ(AnswerOf(image), "");
  EXPECT_EQ(with([](Image& i) { i.mime_type = std::string(kMaxMimeTypeBytes, 'm'); }), "");
  EXPECT_EQ(Files().at(0).metadata.mime_type().size(), kMaxMimeTypeBytes);
  EXPECT_TRUE(Has(with([](Image& i) { i.mime_type = std::string(kMaxMimeTypeBytes + 1, 'm'); }),
                  "the mime_type has 1025 bytes, more than 1024"));
  EXPECT_TRUE(Has(with([](Image& i) { i.mime_type = "\xff"; }), "the mime_type is not UTF-8"));
  EXPECT_TRUE(Has(with([](Image& i) { i.data.clear(); }), "empty binary payload"));
  const auto label = [&](size_t size) {
    return with([size](Image& i) {
      i.annotations.classifications.push_back({.label = std::string(size, 'l')});
    });
  };
  EXPECT_EQ(label(kMaxMetadataBytes - 200), "");
  for (const size_t size : {kMaxMetadataBytes, uint64_t{40} << 20}) {
    EXPECT_TRUE(Has(label(size), "the annotations of a record have more than the 1048576 bytes"));
  }
}

TEST(RecordLimitsTest, APayloadThatNoWriteTakesIsRefused) {
  // Only address space: its bytes are never read.
  constexpr size_t kSize = kMaxWrittenBinaryBytes + 1;
  void* const memory =
      ::mmap(nullptr, kSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  BinaryRecord record{.data = {static_cast<const char*>(memory), kSize}, .mime_type = "image/png"};
  const absl::Status status = CheckRecord(record);
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_TRUE(Has(std::string(status.message()), "that a record can have")) << status;
  record.data.remove_suffix(1);
  EXPECT_TRUE(CheckRecord(record).ok());
  ::munmap(memory, kSize);
  // With the largest metadata and heads it is still one write, and a message that Protobuf accepts.
  EXPECT_LE(kMaxWrittenBinaryBytes + kMaxMetadataBytes + 4096, uint64_t{0x7ffff000});
}

TEST(RecordLimitsTest, ABufferTakesNoMoreThanARecordMayHave) {
  RecordBuffer buffer;
  buffer.PrependBytes("before");
  buffer.PrependText(0x0a, std::string(100 << 20, 't'));
  EXPECT_TRUE(buffer.overflowed());
  EXPECT_LT(buffer.capacity(), 4096U);
  buffer.Clear();
  const std::string part(1 << 20, 'p');
  while (!buffer.overflowed()) buffer.PrependBytes(part);
  EXPECT_GE(buffer.size(), kMaxTabularRecordBytes);
  EXPECT_LE(buffer.capacity(), kMaxTabularRecordBytes + 8192);
  buffer.PrependBytes(part);
  EXPECT_TRUE(buffer.overflowed());
  buffer.Clear();
  EXPECT_FALSE(buffer.overflowed());
  buffer.PrependBytes("after");
  EXPECT_EQ(buffer.message(), "after");
}

TEST(RecordLimitsTest, BytesOfAMessageAreNotSpelledOutBeyondTheLimit) {
  google::protobuf::Struct message;
  auto& list = *(*message.mutable_fields())["list"].mutable_list_value();
  for (int i = 0; i < 4000000; ++i) list.add_values()->set_number_value(i);
  google::protobuf::Value holder;
  *holder.mutable_struct_value() = std::move(message);
  RecordBuffer buffer;
  const absl::Status status =
      PrependStruct(holder, *holder.GetDescriptor()->FindFieldByName("struct_value"), buffer);
  EXPECT_TRUE(Has(std::string(status.message()), "larger than the 33554432 a server accepts"))
      << status;
  EXPECT_LE(buffer.capacity(), kMaxTabularRecordBytes + 8192);
}

TEST(RecordLimitsTest, TheSizeOfReadingsIsKnownBeforeTheyAreEncoded) {
  ValueMap map;
  Value bytes;
  const auto expect_size = [&map] {
    RecordBuffer buffer;
    ASSERT_TRUE(PrependStruct(map, buffer).ok());
    EXPECT_EQ(EncodedSize(map), buffer.size()) << ToJson(map);
  };
  expect_size();
  map.Set("null", nullptr);
  map.Set("bool", true);
  map.Set("number", 0.5);
  for (const double number :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
        -std::numeric_limits<double>::infinity()}) {
    map.Set("odd", number);
    expect_size();
  }
  for (const size_t size : {0, 1, 2, 3, 4, 100, 127, 128, 20000}) {
    map.Set("text", std::string(size, 't'));
    map.Set(std::string(size, 'k'), 1);
    bytes.SetBytes(std::string(size, 'b'));
    map.Set("bytes", bytes);
    expect_size();
    ValueMap outer;
    outer.Set("map", map);
    ValueList& list = outer.Add("list").SetList();
    for (size_t i = 0; i < size % 1000; ++i) list.Append(i);
    list.Append(map);
    map = outer;
    expect_size();
  }
}

// Limits of the config.

TEST_F(LimitsTest, MetadataThatNoReaderTakesRefusesTheCollector) {
  sources_.AddReadings(kSensor, "it",
                       [](const CaptureRequest&, Readings&) { return absl::OkStatus(); });
  struct Case {
    std::string fault;  // Empty: the config is accepted.
    std::vector<std::string> tags;
    ValueMap params;
  };
  const auto params = [](const std::string& key, const Value& value) {
    ValueMap map;
    map.Set(key, value);
    return map;
  };
  for (const Case& one : std::vector<Case>{
           {"", {std::string(1000000, 't')}, {}},
           {"more than the 1048576 that a capture file can have", {std::string(1048576, 't')}, {}},
           {"a tag is not UTF-8: \"\\xff\"", {"\xff"}, {}},
           {"", {}, params("k", std::string(1000000, 'v'))},
           {"more than the 1048576", {}, params("k", std::string(1048576, 'v'))},
           {"larger than the 33554432", {}, params("k", std::string(40 << 20, 'v'))},
           {"a key of additional_params is not UTF-8: \"\\xfe\"", {}, params("\xfe", 1)},
           {"additional_params.k: proto: invalid UTF-8", {}, params("k", "\xff")},
           {"nested deeper than 30 levels", {}, params("k", Nest(40))}}) {
    Want(kSensor, "Readings", one.params);
    config_.tags = one.tags;
    Start();
    if (one.fault.empty()) {
      EXPECT_TRUE(WaitUntil([&] { return Stats().captured > 0; })) << Stats().reason;
    } else {
      EXPECT_EQ(Stats().state, CollectorState::kRefused);
      EXPECT_TRUE(Has(Stats().reason, one.fault)) << Stats().reason.substr(0, 200);
      EXPECT_LT(Stats().reason.size(), 1000U);
    }
  }
  Close();
  capture_ = nullptr;
  for (const CapturedFile& file : Files()) EXPECT_TRUE(file.whole);
  logger_->Close();
  EXPECT_TRUE(log_.Has("a tag is not UTF-8")) << log_.Text();
}

TEST_F(LimitsTest, CountersOfFormerCollectorsAreKeptUpToALimit) {
  sources_.AddReadings(kSensor, "it",
                       [](const CaptureRequest&, Readings&) { return absl::OkStatus(); });
  const auto use = [this](int n) {
    ValueMap params;
    params.Set("n", n);
    Want(kSensor, "Readings", params);
    config_.collectors[0].settings.interval = std::chrono::hours(1);
    Start();
  };
  const auto capture_some = [this] {
    config_.collectors[0].settings.interval = std::chrono::milliseconds(1);
    Start();
    ASSERT_TRUE(WaitUntil([&] { return Stats().captured > 0; }));
  };
  use(0);
  capture_some();
  use(0);
  EXPECT_GT(Stats().captured, 0U) << "a restart goes on counting";
  for (int n = 1; n <= 64; ++n) use(n);
  use(0);
  EXPECT_GT(Stats().captured, 0U) << "as one of the last 64 that were configured";
  for (int n = 100; n <= 164; ++n) use(n);
  use(0);
  EXPECT_EQ(Stats().captured, 0U);
}

// Audio that was not written.

// A disk of which one write fails.
class OneBadWrite final : public FileOps {
 public:
  // Fails the `n`th write from now on; none, if it is 0.
  void Fail(int n) { left_ = n; }
  ssize_t Write(int fd, const void* data, size_t size) override {
    if (left_ > 0 && --left_ == 0) {
      errno = ENOSPC;
      return -1;
    }
    return FileOps::Write(fd, data, size);
  }

 private:
  std::atomic<int> left_{0};
};

TEST_F(LimitsTest, AudioThatWasNotWrittenIsAskedForAgain) {
  using Audio = datamanager::wire::viam::component::audioin::v1::GetAudioResponse;
  OneBadWrite disk;
  std::mutex mutex;
  std::vector<int64_t> asked_for;
  std::atomic<size_t> calls = 0;
  sources_.AddStream<Audio>(
      kAudioIn, "it", "GetAudio",
      [&](const CaptureRequest& request, ResponseStream<Audio> out) -> absl::Status {
        const std::lock_guard lock(mutex);
        asked_for.push_back(request.previous_timestamp_nanoseconds);
        calls = asked_for.size();
        // Each format is a record of its own.
        for (int i = 1; i <= 3; ++i) {
          auto& chunk = *out.Add().mutable_audio();
          chunk.set_audio_data("ab");
          chunk.mutable_audio_info()->set_sample_rate_hz(asked_for.size() == 4 ? 0 : 8000 * i);
          chunk.mutable_audio_info()->set_num_channels(1);
          chunk.set_end_timestamp_nanoseconds(request.previous_timestamp_nanoseconds + 10 * i);
        }
        if (asked_for.size() <= 2) disk.Fail(static_cast<int>(asked_for.size()));
        return absl::OkStatus();
      });
  Want(kAudioIn, "GetAudio");
  capture_ = *Capture::Create({.logger = logger_, .ops = &disk});
  Start();
  ASSERT_TRUE(WaitUntil([&] { return calls >= 6; }));
  Close();
  ASSERT_GE(asked_for.size(), 6U);
  asked_for.resize(6);
  // Written by call: nothing; the first of three records; all; a record that no file can hold,
  // which is given up; all.
  EXPECT_EQ(asked_for, (std::vector<int64_t>{0, 0, 10, 40, 70, 100}));
  capture_ = nullptr;
  // Each stretch lies on the disk once, beginning with the first record of the second call.
  EXPECT_GE(Files().size(), 1U + 3U + 3U);
}

// Memory that a collector keeps.

using std::chrono::seconds;

TEST(KeptMemoryTest, IsGivenBackAfterABurst) {
  KeptMemory kept;
  MonotonicTime now{seconds(1000)};
  EXPECT_FALSE(kept.Note(1 << 20, now));
  int ticks = 0;
  while (!kept.Note(1000, now)) ++ticks;
  EXPECT_EQ(ticks, KeptMemory::kTicks - 1);
  EXPECT_FALSE(kept.Note(1000, now)) << "once";
  // The time counts for slow collectors.
  EXPECT_FALSE(kept.Note(1 << 20, now));
  EXPECT_FALSE(kept.Note(1000, now + seconds(9)));
  EXPECT_TRUE(kept.Note(1000, now + seconds(10)));
  // The largest buffers are freed at once.
  EXPECT_TRUE(kept.Note(KeptMemory::kAtOnceBytes + 1, now));
  EXPECT_FALSE(kept.Note(1000, now + seconds(100)));
}

TEST(KeptMemoryTest, StaysAtASteadySizeAndWhereItIsLittle) {
  KeptMemory kept;
  MonotonicTime now{seconds(1000)};
  for (int i = 0; i < 5000; ++i) {
    now += seconds(1);
    // Every ninth is as large as the first.
    EXPECT_FALSE(kept.Note(i % 9 == 0 ? 1 << 20 : 1000, now)) << i;
  }
  KeptMemory small;
  EXPECT_FALSE(small.Note(60000, now));
  for (int i = 0; i < 5000; ++i) EXPECT_FALSE(small.Note(10, now += seconds(1)));
}

}  // namespace
}  // namespace datamanager::capture
