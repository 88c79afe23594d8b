#include "capture/record_encoder.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "capture/struct_encoder.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"
#include "tests/capture/proto_tree.h"
#include "tests/support/worked_example.h"

namespace datamanager::capture {
namespace {

namespace wire = datamanager::wire::viam::app::datasync::v1;

constexpr RecordTimes kTimes{
    .requested = WallTime(std::chrono::nanoseconds(1767341045123456789)),
    .received = WallTime(std::chrono::nanoseconds(1767341046000000000)),
};

void SetTimestamp(WallTime time, google::protobuf::Timestamp* out) {
  const int64_t nanos = time.time_since_epoch() / std::chrono::nanoseconds(1);
  int64_t seconds = nanos / 1000000000;
  if (nanos % 1000000000 < 0) --seconds;
  out->set_seconds(seconds);
  out->set_nanos(static_cast<int32_t>(nanos - seconds * 1000000000));
}

wire::SensorData Stamped(const RecordTimes& times) {
  wire::SensorData data;
  SetTimestamp(times.requested, data.mutable_metadata()->mutable_time_requested());
  SetTimestamp(times.received, data.mutable_metadata()->mutable_time_received());
  return data;
}

TEST(RecordEncoderTest, EncodesTheWorkedExample) {
  ValueMap readings;
  readings.Set("a", 1);
  capture_file::RecordBuffer buffer;
  ASSERT_TRUE(PrependStruct(readings, buffer).ok());
  WrapStruct("readings", 0, buffer);
  PrependTabularHead({}, buffer);
  EXPECT_EQ(buffer.message(), testing::kExampleRecord);
  EXPECT_EQ(buffer.Frame(), "\x28" + testing::kExampleRecord);
}

TEST(RecordEncoderTest, StampsEveryInstant) {
  using std::chrono::nanoseconds;
  for (const int64_t nanos :
       {int64_t{0}, int64_t{1}, int64_t{999999999}, int64_t{1000000000}, int64_t{-1},
        int64_t{-1000000000}, int64_t{-1500000000}, int64_t{4102444800123456789}}) {
    const RecordTimes times{.requested = WallTime(nanoseconds(nanos)),
                            .received = WallTime(nanoseconds(nanos + 5))};
    capture_file::RecordBuffer buffer;
    PrependTabularHead(times, buffer);
    wire::SensorData expected = Stamped(times);
    expected.mutable_struct_();
    EXPECT_EQ(buffer.message(), expected.SerializeAsString()) << nanos;
  }
}

TEST(RecordEncoderTest, BinaryRecordsAreWhatProtobufWouldWrite) {
  const BoundingBox box{.label = "cat",
                        .x_min = 0.25,
                        .y_min = 0,
                        .x_max = std::numeric_limits<double>::quiet_NaN(),
                        .y_max = -0.0,
                        .confidence = 0};
  const BoundingBox no_box;
  const BoundingBox named{.id = "7", .label = std::string(200, 'l'), .y_max = 1};
  const Classification sure{.label = "day", .confidence = 1};
  const Classification unsure{.label = ""};
  const Classification with_id{.label = "dusk", .confidence = 0, .id = "8"};
  const std::vector<Annotations> all = {
      {},
      {.bboxes = {box}},
      {.bboxes = {no_box, named, box}},
      {.classifications = {unsure}},
      {.classifications = {sure, unsure, with_id}},
      {.bboxes = {box, box}, .classifications = {sure}},
  };
  for (const Annotations& annotations : all) {
    wire::SensorData expected = Stamped(kTimes);
    if (!annotations.empty()) {
      testing::BuildAnnotations(annotations, expected.mutable_metadata()->mutable_annotations());
    }
    for (const size_t size : {1U, 127U, 128U, 300U}) {
      const std::string payload(size, 'p');
      expected.set_binary(payload);
      capture_file::RecordBuffer buffer;
      PrependBinaryHead(kTimes, annotations, size, buffer);
      EXPECT_EQ(std::string(buffer.message()) + payload, expected.SerializeAsString())
          << expected.DebugString();
    }
  }
}

}  // namespace
}  // namespace datamanager::capture
