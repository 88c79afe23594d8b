#include <google/protobuf/any.pb.h>
#include <google/protobuf/struct.pb.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "sync/message_limit.h"
#include "sync/upload_error.h"
#include "sync/uploads.h"
#include "tests/support/blocking_calls.h"
#include "tests/support/fake_uploader.h"
#include "tests/support/temp_dir.h"
#include "tests/sync/test_files.h"

namespace datamanager::sync {
namespace {

using testing::FakeUploader;
using testing::UploadCall;

constexpr size_t kUnaryLimit = 1000000;

class UploadCaptureFileTest : public ::testing::Test {
 protected:
  void Write(const wire::DataCaptureMetadata& metadata,
             const std::vector<wire::SensorData>& records) {
    WriteBytes(CaptureFileBytes(metadata, records));
  }
  void WriteBytes(const std::string& bytes) { WriteFile(path_, bytes); }

  UploadResult Upload(uint64_t resume_offset = 0) {
    const auto file = LocalFile::Open(FileOps::System(), Found(dir_.path(), path_));
    EXPECT_TRUE(file.ok()) << file.status();
    return Upload(*file, resume_offset);
  }
  UploadResult Upload(const LocalFile& file, uint64_t resume_offset = 0) {
    const UploadContext context{.calls = *calls_,
                                .message_limit = limit_,
                                .part_id = server_.NewSession().part_id,
                                .stall_timeout = std::chrono::seconds(30),
                                .reply_timeout = std::chrono::seconds(60),
                                .tags = no_tags_,
                                .stop = stop_.get_token()};
    return testing::RunTask(*calls_, UploadCaptureFile(context, file, resume_offset));
  }
  void UploadAll() {
    const UploadResult result = Upload();
    EXPECT_TRUE(result.error.status.ok()) << result.step << ": " << result.error.status;
    EXPECT_TRUE(result.torn.ok()) << result.torn;
    EXPECT_FALSE(result.torn_at.has_value());
    EXPECT_EQ(result.resume_offset, std::filesystem::file_size(path_));
    for (const UploadCall& call : server_.calls()) {
      EXPECT_TRUE(call.well_formed);
      EXPECT_EQ(call.key.size(), 32U);
    }
  }
  // The one call that was made.
  UploadCall Call() {
    const std::vector<UploadCall> calls = server_.calls();
    EXPECT_EQ(calls.size(), 1U);
    return calls.empty() ? UploadCall{} : calls[0];
  }
  // The values of the readings of each call: "1,2 3".
  std::string Values() {
    std::vector<std::string> requests;
    for (const UploadCall& call : server_.calls()) requests.push_back(ValuesOf(call.records));
    return Join(requests);
  }

  testing::TempDir dir_;
  const std::string path_ = dir_.path() + "/x/2026-01-02T03_04_05.000006Z.capture";
  std::vector<std::string> no_tags_;
  FakeUploader server_;
  const std::unique_ptr<CallQueue> calls_ = server_.NewQueue();
  MessageLimit limit_;
  std::stop_source stop_;
};

TEST_F(UploadCaptureFileTest, Readings) {
  wire::DataCaptureMetadata metadata = TabularMetadata("arm");
  metadata.add_tags("red");
  metadata.add_tags("blue");
  google::protobuf::Value parameter;
  parameter.set_string_value("on");
  (*metadata.mutable_method_parameters())["mode"].PackFrom(parameter);
  Write(metadata, {Reading(1), Reading(2), Reading(3)});
  UploadAll();

  const UploadCall call = Call();
  EXPECT_EQ(call.method, UploadMethod::kDataCaptureUpload);
  EXPECT_EQ(ValuesOf(call.records), "1,2,3");
  EXPECT_EQ(call.records[1].metadata().time_requested().seconds(), 2);

  wire::UploadMetadata expected;
  expected.set_part_id("part-1");
  expected.set_component_type("rdk:component:sensor");
  expected.set_component_name("arm");
  expected.set_method_name("Readings");
  expected.set_type(wire::DATA_TYPE_TABULAR_SENSOR);
  expected.set_file_extension(".dat");
  expected.add_tags("red");
  expected.add_tags("blue");
  (*expected.mutable_method_parameters())["mode"].PackFrom(parameter);
  EXPECT_EQ(call.metadata.DebugString(), expected.DebugString());
}

TEST_F(UploadCaptureFileTest, OtherTabularData) {
  wire::SensorData record = Image("");
  (*record.mutable_struct_()->mutable_fields())["pose"].set_number_value(1.5);
  Write(TabularMetadata("arm", "EndPosition"), {record});
  UploadAll();
  EXPECT_EQ(Call().metadata.method_name(), "EndPosition");
  ASSERT_EQ(Call().records.size(), 1U);
  EXPECT_EQ(Call().records[0].struct_().fields().at("pose").number_value(), 1.5);
}

struct ImageCase {
  const char* name;
  const char* method;
  size_t size;
  const char* mime_type;
  const char* stored_extension;
  const char* sent_extension;
};

class UploadImageTest : public UploadCaptureFileTest,
                        public ::testing::WithParamInterface<ImageCase> {};

TEST_P(UploadImageTest, IsSentWhole) {
  const ImageCase& test = GetParam();
  wire::SensorData image = Image(Noise(test.size), 5);
  image.mutable_metadata()->mutable_annotations()->add_classifications()->set_label("front");
  wire::DataCaptureMetadata metadata =
      BinaryMetadata("cam", test.method, test.mime_type, test.stored_extension);
  metadata.add_tags("red");
  Write(metadata, {image});
  UploadAll();

  const UploadCall call = Call();
  wire::UploadMetadata expected;
  expected.set_part_id("part-1");
  expected.set_component_type("rdk:component:camera");
  expected.set_component_name("cam");
  expected.set_method_name(test.method);
  expected.set_type(wire::DATA_TYPE_BINARY_SENSOR);
  expected.set_file_extension(test.sent_extension);
  expected.set_mime_type(test.mime_type);
  expected.add_tags("red");
  EXPECT_EQ(call.metadata.DebugString(), expected.DebugString());

  if (test.size <= kUnaryLimit) {
    EXPECT_EQ(call.method, UploadMethod::kDataCaptureUpload);
    ASSERT_EQ(call.records.size(), 1U);
    EXPECT_TRUE(call.records[0].SerializeAsString() == image.SerializeAsString());
    return;
  }
  EXPECT_EQ(call.method, UploadMethod::kStreamingDataCaptureUpload);
  EXPECT_EQ(call.sensor_metadata.DebugString(), image.metadata().DebugString());
  EXPECT_TRUE(call.contents == image.binary());
  EXPECT_LE(*std::max_element(call.message_sizes.begin(), call.message_sizes.end()), 65536U);
}

INSTANTIATE_TEST_SUITE_P(
    Images, UploadImageTest,
    ::testing::Values(
        ImageCase{"Small", "ReadImage", 1000, "image/jpeg", ".jpeg", ".jpeg"},
        ImageCase{"SmallOtherMime", "ReadImage", 1000, "image/png", ".jpeg", ".png"},
        ImageCase{"SmallNoMime", "ReadImage", 1000, "", ".jpeg", ".jpeg"},
        ImageCase{"SmallUnknownMime", "ReadImage", 1000, "image/x", ".jpeg", ".jpeg"},
        ImageCase{"Large", "ReadImage", 1500000, "image/jpeg", ".jpeg", ".jpeg"},
        ImageCase{"LargeOtherMime", "ReadImage", 1500000, "image/png", ".jpeg", ".png"},
        ImageCase{"LargeNoMime", "ReadImage", 1500000, "", ".jpeg", ".jpeg"},
        ImageCase{"GetImagesSmall", "GetImages", 1000, "image/png", "", ".png"},
        ImageCase{"GetImagesLarge", "GetImages", 1500000, "image/png", "", ".png"},
        ImageCase{"AtTheLimit", "ReadImage", kUnaryLimit, "image/jpeg", "", ".jpeg"},
        ImageCase{"BeyondTheLimit", "ReadImage", kUnaryLimit + 1, "image/jpeg", "", ".jpeg"},
        ImageCase{"Depth", "ReadImage", 10, "image/vnd.viam.dep", ".x", ".dep"},
        ImageCase{"Rgba", "ReadImage", 10, "image/vnd.viam.rgba", ".x", ".rgba"},
        ImageCase{"Pcd", "NextPointCloud", 10, "pointcloud/pcd", "", ".pcd"},
        ImageCase{"Mp4", "ReadImage", 10, "video/mp4", ".x", ".mp4"},
        ImageCase{"Wav", "GetAudio", 10, "audio/wav", ".x", ".wav"},
        ImageCase{"Mp3", "GetAudio", 10, "audio/mpeg", ".x", ".mp3"}),
    [](const auto& image) { return std::string(image.param.name); });

TEST_F(UploadCaptureFileTest, TheMimeTypeOfTabularDataChangesNothing) {
  wire::DataCaptureMetadata metadata = TabularMetadata();
  metadata.set_mime_type("image/png");
  Write(metadata, {Reading(1)});
  UploadAll();
  EXPECT_EQ(Call().metadata.file_extension(), ".dat");
}

TEST_F(UploadCaptureFileTest, RecordsGoOutAsTheyAreOnDisk) {
  // Fields that this version does not know survive.
  std::string record = Reading(1).SerializeAsString() + std::string("\x7a\x03new", 5);
  WriteBytes(Framed(TabularMetadata()) + Varint(record.size()) + record + Framed(Reading(2)));
  UploadAll();
  const std::string expected = Varint(record.size()) + record;
  EXPECT_NE(Call().request.find(expected), std::string::npos);
  EXPECT_EQ(ValuesOf(Call().records), "1,2");
}

TEST_F(UploadCaptureFileTest, RequestsStayBelow4MiB) {
  const std::string text(1 << 20, 'x');
  std::vector<wire::SensorData> records;
  for (int i = 1; i <= 8; ++i) records.push_back(Reading(i, text));
  Write(TabularMetadata(), records);
  UploadAll();
  EXPECT_EQ(Values(), "1,2,3 4,5,6 7,8");
  std::set<std::string> keys;
  for (const UploadCall& call : server_.calls()) {
    EXPECT_LE(call.request.size(), size_t{4} << 20);
    EXPECT_TRUE(keys.insert(call.key).second);
  }
}

TEST_F(UploadCaptureFileTest, OneLargeRecordGoesByItself) {
  Write(TabularMetadata(), {Reading(1), Reading(2, std::string(5 << 20, 'x')), Reading(3)});
  UploadAll();
  EXPECT_EQ(Values(), "1 2 3");
}

TEST_F(UploadCaptureFileTest, ManySmallRecordsFillARequest) {
  std::vector<wire::SensorData> records;
  for (int i = 0; i < 2000; ++i) records.push_back(Reading(i));
  Write(TabularMetadata(), records);
  UploadAll();
  EXPECT_EQ(Call().records.size(), 2000U);
}

TEST_F(UploadCaptureFileTest, ResumesFromTheFirstUnacknowledgedRequest) {
  const std::string text(3 << 20, 'x');
  Write(TabularMetadata(), {Reading(1, text), Reading(2, text), Reading(3, text)});
  server_.OnCall([](const UploadCall& call) {
    return ValueOf(call.records[0]) == 2 ? absl::UnavailableError("busy") : absl::OkStatus();
  });
  const UploadResult failed = Upload();
  EXPECT_TRUE(absl::IsUnavailable(failed.error.status));
  EXPECT_EQ(failed.step, "DataCaptureUpload");
  EXPECT_EQ(Values(), "1 2");
  const std::string second_key = server_.calls()[1].key;

  server_.OnCall(nullptr);
  const UploadResult rest = Upload(failed.resume_offset);
  EXPECT_TRUE(rest.error.status.ok());
  EXPECT_EQ(Values(), "1 2 2 3");
  EXPECT_EQ(server_.calls()[2].key, second_key);
  EXPECT_EQ(server_.stored_count(), 3U);
  EXPECT_EQ(server_.repeats(), 0U);
}

TEST_F(UploadCaptureFileTest, AResumedOffsetThatCannotBeIsIgnored) {
  Write(TabularMetadata(), {Reading(1)});
  EXPECT_TRUE(Upload(1 << 20).error.status.ok());
  EXPECT_EQ(Values(), "1");
}

TEST_F(UploadCaptureFileTest, OldBinaryFilesWithSeveralRecords) {
  const std::string large = Noise(1200000);
  Write(BinaryMetadata("cam", "GetImages", "", ""), {Image("one"), Image(large), Image("three")});
  UploadAll();
  const std::vector<UploadCall> calls = server_.calls();
  ASSERT_EQ(calls.size(), 3U);
  EXPECT_EQ(calls[0].records[0].binary(), "one");
  EXPECT_TRUE(calls[1].contents == large);
  EXPECT_EQ(calls[2].records[0].binary(), "three");
  EXPECT_EQ(server_.stored_count(), 3U);  // The keys differ.
}

TEST_F(UploadCaptureFileTest, AServerThatEndsTheStreamEarlyIsHeard) {
  Write(BinaryMetadata(), {Image(Noise(3000000))});
  server_.BreakNextStreamAfter(200000, absl::StatusCode::kInvalidArgument);
  const UploadResult result = Upload();
  EXPECT_TRUE(absl::IsInvalidArgument(result.error.status)) << result.error.status;
  EXPECT_EQ(Judge(result.error), Verdict::kRefused);
  EXPECT_EQ(result.step, "StreamingDataCaptureUpload");
  EXPECT_LT(Call().contents.size(), 400000U);
}

TEST_F(UploadCaptureFileTest, AStreamThatIsRejectedForItsTokenIsRepeatedWhole) {
  const std::string payload = Noise(3000000);
  Write(BinaryMetadata(), {Image(payload)});
  server_.BreakNextStreamAfter(200000, absl::StatusCode::kUnauthenticated);
  const UploadResult result = Upload();
  EXPECT_TRUE(result.error.status.ok()) << result.error.status;
  EXPECT_EQ(server_.call_count(), 2U);
  EXPECT_TRUE(server_.calls().back().contents == payload);
}

TEST_F(UploadCaptureFileTest, AFailureTellsWhetherTheChannelWasReady) {
  Write(TabularMetadata(), {Reading(1)});
  server_.SetReady(false);
  const UploadResult result = Upload();
  EXPECT_EQ(Judge(result.error), Verdict::kOffline);
  server_.SetReady(true);
  server_.FailNext(1, absl::StatusCode::kUnavailable);
  EXPECT_EQ(Judge(Upload().error), Verdict::kTransient);
}

TEST_F(UploadCaptureFileTest, AStopIsNoFailure) {
  Write(TabularMetadata(), {Reading(1)});
  stop_.request_stop();
  EXPECT_EQ(Judge(Upload().error), Verdict::kStopped);

  Write(BinaryMetadata(), {Image(Noise(3000000))});
  EXPECT_EQ(Judge(Upload().error), Verdict::kStopped);
  EXPECT_EQ(server_.stored_count(), 0U);
}

TEST_F(UploadCaptureFileTest, CutAtAnyByteItsWholeRecordsAreSent) {
  const std::string metadata = Framed(TabularMetadata());
  const std::string first = Framed(Reading(1));
  const std::string second = Framed(Reading(2));
  const std::string whole = metadata + first + second;
  for (size_t size = 0; size <= whole.size(); ++size) {
    SCOPED_TRACE(size);
    WriteBytes(whole.substr(0, size));
    const size_t calls = server_.call_count();
    const UploadResult result = Upload();
    const std::vector<UploadCall> all = server_.calls();
    const std::string sent = all.size() == calls ? "" : ValuesOf(all.back().records);
    if (size == 0) {
      EXPECT_TRUE(result.empty);
    } else if (size < metadata.size()) {
      EXPECT_EQ(Judge(result.error), Verdict::kRefused) << result.error.status;
      EXPECT_EQ(sent, "");
    } else if (size == metadata.size()) {
      EXPECT_TRUE(result.error.status.ok());
      EXPECT_TRUE(result.empty);
      EXPECT_EQ(sent, "");
    } else if (size < metadata.size() + first.size()) {
      EXPECT_EQ(Judge(result.error), Verdict::kRefused) << result.error.status;
      EXPECT_EQ(sent, "");
    } else if (size == metadata.size() + first.size()) {
      EXPECT_TRUE(result.error.status.ok());
      EXPECT_EQ(result.torn_at, std::nullopt);
      EXPECT_EQ(sent, "1");
    } else if (size < whole.size()) {
      EXPECT_TRUE(result.error.status.ok());
      EXPECT_EQ(result.torn_at, metadata.size() + first.size());
      EXPECT_TRUE(absl::IsDataLoss(result.torn));
      EXPECT_EQ(sent, "1");
    } else {
      EXPECT_EQ(result.torn_at, std::nullopt);
      EXPECT_EQ(sent, "1,2");
    }
  }
}

TEST_F(UploadCaptureFileTest, AZeroFilledTailIsNoRecord) {
  const std::string whole = CaptureFileBytes(TabularMetadata(), {Reading(1)});
  WriteBytes(whole + std::string(4096, '\0'));
  const UploadResult result = Upload();
  EXPECT_TRUE(result.error.status.ok());
  EXPECT_EQ(result.torn_at, whole.size());
  EXPECT_EQ(Values(), "1");
}

TEST_F(UploadCaptureFileTest, WhatIsNoCaptureFileIsRefusedUnsent) {
  wire::DataCaptureMetadata untyped = TabularMetadata();
  untyped.set_type(wire::DATA_TYPE_UNSPECIFIED);
  wire::DataCaptureMetadata file_type = TabularMetadata();
  file_type.set_type(wire::DATA_TYPE_FILE);
  const struct {
    const char* what;
    std::string bytes;
  } kCases[] = {
      {"garbage", Noise(10000)},
      {"text", "this is no capture file but a text that somebody gave such a name"},
      {"zeros", std::string(4096, '\0')},
      {"a length beyond the file", Varint(1000) + "abc"},
      {"a huge length", Varint(uint64_t{1} << 62) + "abc"},
      {"an endless length", std::string(64, '\xff')},
      {"metadata that does not parse", Varint(3) + "\xff\xff\xff"},
      {"no type", CaptureFileBytes(untyped, {Reading(1)})},
      {"a type for other files", CaptureFileBytes(file_type, {Reading(1)})},
      {"a huge first record", Framed(TabularMetadata()) + Varint(uint64_t{1} << 40) + "abc"},
      {"another kind of record than its metadata says",
       CaptureFileBytes(TabularMetadata(), {Image("one")})},
      {"a struct in a binary file", CaptureFileBytes(BinaryMetadata(), {Reading(1)})},
  };
  for (const auto& test : kCases) {
    WriteBytes(test.bytes);
    const UploadResult result = Upload();
    EXPECT_EQ(Judge(result.error), Verdict::kRefused) << test.what << ": " << result.error.status;
    EXPECT_FALSE(result.step.empty()) << test.what;
  }
  EXPECT_EQ(server_.call_count(), 0U);
}

TEST_F(UploadCaptureFileTest, AHugeLengthBehindARecordEndsTheFileThere) {
  const std::string whole = CaptureFileBytes(TabularMetadata(), {Reading(1)});
  WriteBytes(whole + Varint(uint64_t{1} << 40) + "abc");
  const UploadResult result = Upload();
  EXPECT_TRUE(result.error.status.ok());
  EXPECT_EQ(result.torn_at, whole.size());
}

// A record whose outline is right and whose readings are zeros.
std::string Unparsable() {
  const std::string message = std::string("\x12\x08", 2) + std::string(8, '\0');
  return Varint(message.size()) + message;
}

TEST_F(UploadCaptureFileTest, ARecordThatTheServerCannotParseEndsTheFileThere) {
  server_.OnCall([](const UploadCall& call) {
    return call.well_formed ? absl::OkStatus() : absl::InternalError("");
  });
  const std::string whole = CaptureFileBytes(TabularMetadata(), {Reading(1), Reading(2)});
  WriteBytes(whole + Unparsable() + Framed(Reading(3)));
  for (const uint64_t resume_offset : {uint64_t{0}, uint64_t{whole.size()}}) {
    const UploadResult result = Upload(resume_offset);
    EXPECT_TRUE(result.error.status.ok()) << result.error.status;
    EXPECT_EQ(result.torn_at, whole.size());
    EXPECT_NE(result.torn.ToString().find("a record that does not parse"), std::string::npos);
  }
  ASSERT_EQ(server_.call_count(), 3U) << "one without it, and twice one with it";
  EXPECT_EQ(ValuesOf(server_.calls()[1].records), "1,2");
}

TEST_F(UploadCaptureFileTest, AFirstRecordThatTheServerCannotParseIsRefused) {
  server_.OnCall([](const UploadCall& call) {
    return call.well_formed ? absl::OkStatus() : absl::InternalError("");
  });
  WriteBytes(Framed(TabularMetadata()) + Unparsable() + Framed(Reading(1)));
  EXPECT_EQ(Judge(Upload().error), Verdict::kRefused);
}

TEST_F(UploadCaptureFileTest, AServerThatFailsForAnotherReasonCondemnsNothing) {
  server_.FailNext(1, absl::StatusCode::kInternal);
  Write(TabularMetadata(), {Reading(1), Reading(2)});
  EXPECT_EQ(Judge(Upload().error), Verdict::kTransient);
  EXPECT_EQ(server_.call_count(), 1U);
}

TEST_F(UploadCaptureFileTest, AnotherKindOfRecordEndsTheFileThere) {
  const std::string whole = CaptureFileBytes(TabularMetadata(), {Reading(1)});
  WriteBytes(whole + Framed(Image("one")) + Framed(Reading(2)));
  const UploadResult result = Upload();
  EXPECT_TRUE(result.error.status.ok());
  EXPECT_EQ(result.torn_at, whole.size());
  EXPECT_NE(result.torn.ToString().find("sensor readings types don't match upload metadata"),
            std::string::npos);
  EXPECT_EQ(Values(), "1");
}

TEST_F(UploadCaptureFileTest, ChangedBetweenTwoRequestsItStartsAnewLater) {
  const std::string text(3 << 20, 'x');
  Write(TabularMetadata(), {Reading(1, text), Reading(2, text)});
  server_.OnCall([&](const UploadCall&) {
    AppendToFile(path_, "more");
    return absl::OkStatus();
  });
  const UploadResult result = Upload();
  EXPECT_TRUE(absl::IsAborted(result.error.status)) << result.error.status;
  EXPECT_EQ(Judge(result.error), Verdict::kTransient);
  EXPECT_EQ(result.resume_offset, 0U);
  EXPECT_EQ(Values(), "1");
}

// Shorter than it was, its bytes make no sense, but that is not the file's fault.
TEST_F(UploadCaptureFileTest, CutWhileItIsSentItIsNotCondemned) {
  const std::string text(3 << 20, 'x');
  Write(TabularMetadata(), {Reading(1, text), Reading(2, text)});
  server_.OnCall([&](const UploadCall&) {
    std::filesystem::resize_file(path_, 100);
    return absl::OkStatus();
  });
  const UploadResult result = Upload();
  EXPECT_EQ(Judge(result.error), Verdict::kTransient) << result.error.status;
  EXPECT_EQ(result.resume_offset, 0U);
}

TEST_F(UploadCaptureFileTest, ChangedWhileItIsStreamedTheStreamIsNeverEnded) {
  class GrowsWhileStreamed : public FileOps {
   public:
    explicit GrowsWhileStreamed(std::string path) : path_(std::move(path)) {}
    ssize_t Pread(int fd, void* data, size_t size, off_t offset) override {
      // Larger ones are for the digest.
      if (offset > 1000000 && size < 100000 && ++reads_ == 1) AppendToFile(path_, "more");
      return FileOps::Pread(fd, data, size, offset);
    }

   private:
    const std::string path_;
    int reads_ = 0;
  } ops(path_);
  Write(BinaryMetadata(), {Image(Noise(1500000))});
  const auto file = LocalFile::Open(ops, Found(dir_.path(), path_));
  ASSERT_TRUE(file.ok());
  const UploadResult result = Upload(*file);
  EXPECT_TRUE(absl::IsAborted(result.error.status)) << result.error.status;
  EXPECT_FALSE(Call().ended);
  EXPECT_EQ(server_.stored_count(), 0U);
}

TEST_F(UploadCaptureFileTest, AReadErrorIsTheDisks) {
  class Broken : public FileOps {
    ssize_t Pread(int, void*, size_t, off_t) override {
      errno = EIO;
      return -1;
    }
  } ops;
  Write(TabularMetadata(), {Reading(1)});
  const auto file = LocalFile::Open(ops, Found(dir_.path(), path_));
  ASSERT_TRUE(file.ok());
  const UploadResult result = Upload(*file);
  EXPECT_EQ(Judge(result.error), Verdict::kTransient) << result.error.status;
  EXPECT_EQ(server_.call_count(), 0U);
}

// --- A server that takes less than we send.

// As a server built on gRPC's C core words it.
absl::Status TooLargeError(size_t size, size_t limit) {
  return absl::ResourceExhaustedError("Received message larger than max (" + std::to_string(size) +
                                      " vs. " + std::to_string(limit) + ")");
}

class LimitedServerTest : public UploadCaptureFileTest {
 protected:
  void Limit(size_t limit) {
    server_.OnCall([limit](const UploadCall& call) {
      size_t largest = call.request.size();
      for (const size_t size : call.message_sizes) largest = std::max(largest, size);
      return largest > limit ? TooLargeError(largest, limit) : absl::OkStatus();
    });
  }
};

TEST_F(LimitedServerTest, Requests_AreSplitBelowTheLimitThatTheServerTells) {
  Limit(100000);
  const std::string text(30000, 'x');
  std::vector<wire::SensorData> records;
  for (int i = 1; i <= 10; ++i) records.push_back(Reading(i, text));
  Write(TabularMetadata(), records);
  UploadAll();
  // One request showed the limit, and no other exceeds it.
  EXPECT_EQ(Values(), "1,2,3,4,5,6,7,8,9,10 1,2,3 4,5,6 7,8,9 10");
  EXPECT_EQ(server_.stored_count(), 4U);
}

TEST_F(LimitedServerTest, TheLimit_HoldsForTheNextFileAndEndsWithTheConnection) {
  Limit(100000);
  const std::string text(30000, 'x');
  Write(TabularMetadata(),
        {Reading(1, text), Reading(2, text), Reading(3, text), Reading(4, text)});
  UploadAll();
  Write(TabularMetadata(),
        {Reading(5, text), Reading(6, text), Reading(7, text), Reading(8, text)});
  UploadAll();
  EXPECT_EQ(Values(), "1,2,3,4 1,2,3 4 5,6,7 8");
  limit_.Forget();
  Limit(1 << 20);
  Write(TabularMetadata(),
        {Reading(9, text), Reading(10, text), Reading(11, text), Reading(12, text)});
  UploadAll();
  EXPECT_EQ(ValuesOf(server_.calls().back().records), "9,10,11,12");
}

TEST_F(LimitedServerTest, ARecordBeyondTheLimit_IsNotSentAgainAndKeepsWhatWasAcknowledged) {
  Limit(100000);
  Write(TabularMetadata(), {Reading(1), Reading(2, std::string(200000, 'x')), Reading(3)});
  UploadResult result = Upload();
  EXPECT_TRUE(absl::IsResourceExhausted(result.error.status)) << result.error.status;
  EXPECT_EQ(Values(), "1,2,3 1");
  EXPECT_FALSE(result.error.sent);
  EXPECT_GT(result.resume_offset, 0U);
  // The next try sends nothing, and says why.
  result = Upload(result.resume_offset);
  EXPECT_EQ(server_.call_count(), 2U);
  EXPECT_NE(result.error.status.message().find("message larger than max ("), std::string::npos)
      << result.error.status;
  EXPECT_EQ(ParseTooLarge(result.error.status)->limit, 100000U);
}

TEST_F(LimitedServerTest, ALargePicture_IsStreamedWhereARequestIsTooLarge) {
  Limit(100000);
  Write(BinaryMetadata(), {Image(Noise(500000)), Image(Noise(300000))});
  UploadAll();
  ASSERT_EQ(server_.stored_count(), 2U);
  for (const UploadCall& call : server_.stored()) {
    EXPECT_EQ(call.method, UploadMethod::kStreamingDataCaptureUpload);
  }
  EXPECT_EQ(server_.call_count(), 3U);
}

TEST_F(LimitedServerTest, PiecesOfAStream_StayBelowTheLimit) {
  Limit(20000);
  Write(BinaryMetadata(), {Image(Noise(1500000))});
  UploadAll();
  ASSERT_EQ(server_.stored_count(), 1U);
  EXPECT_EQ(server_.stored()[0].contents.size(), 1500000U);
  EXPECT_EQ(server_.call_count(), 2U);
}

// It must not be sent request after request.
TEST_F(LimitedServerTest, AServerThatLowersItsLimitEachTime_IsSentAFewRequests) {
  server_.OnCall([limit = size_t{4000000}](const UploadCall&) mutable {
    limit -= 1000;
    return TooLargeError(limit + 1, limit);
  });
  const std::string text(1000, 'x');
  std::vector<wire::SensorData> records;
  for (int i = 1; i <= 1000; ++i) records.push_back(Reading(i, text));
  Write(TabularMetadata(), records);
  EXPECT_TRUE(absl::IsResourceExhausted(Upload().error.status));
  EXPECT_LE(server_.call_count(), 1U + MessageLimit::kMostSplits);
}

TEST_F(UploadCaptureFileTest, TheWaitThatTheServerAsksFor_IsHandedOn) {
  Write(TabularMetadata(), {Reading(1)});
  server_.PushBackNext(1, std::chrono::seconds(5));
  EXPECT_EQ(Upload().error.pushback, std::chrono::seconds(5));
  Write(BinaryMetadata(), {Image(Noise(1500000))});
  server_.PushBackNext(1, std::chrono::seconds(6));
  EXPECT_EQ(Upload().error.pushback, std::chrono::seconds(6));
}

}  // namespace
}  // namespace datamanager::sync
