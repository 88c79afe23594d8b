// P1: what it costs to turn a reading into bytes.
#include <google/protobuf/arena.h>
#include <google/protobuf/util/message_differencer.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "capture/record_encoder.h"
#include "capture_file/format.h"
#include "capture_file/record_buffer.h"
#include "datamanager/source.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"
#include "tests/bench/benches.h"
#include "tests/bench/reading.h"
#include "tests/bench/records.h"

namespace datamanager::bench {
namespace {

using wire::SensorData;

capture::RecordTimes TimesOf(double value) {
  const WallTime time{std::chrono::seconds(1767225600) +
                      std::chrono::microseconds(static_cast<int64_t>(value))};
  return {.requested = time, .received = time + std::chrono::microseconds(40)};
}

// As the collector's loop does it.
class Direct {
 public:
  std::string_view Encode(double value) {
    readings_.Clear();
    FillReading(value, readings_);
    encoder_.Encode(TimesOf(value), readings_, buffer_);
    return buffer_.Frame();
  }

 private:
  Readings readings_;
  const ReadingEncoder encoder_{};
  capture_file::RecordBuffer buffer_;
};

// The same message by Protobuf, in memory that is used again.
class ByProtobuf {
 public:
  std::string_view Encode(double value) {
    arena_.Reset();
    auto* record = google::protobuf::Arena::CreateMessage<SensorData>(&arena_);
    const capture::RecordTimes times = TimesOf(value);
    SetTime(times.requested, *record->mutable_metadata()->mutable_time_requested());
    SetTime(times.received, *record->mutable_metadata()->mutable_time_received());
    auto& readings =
        *(*record->mutable_struct_()->mutable_fields())["readings"].mutable_struct_value();
    auto& fields = *readings.mutable_fields();
    fields["temperature_celsius"].set_number_value(value);
    fields["humidity_percent"].set_number_value(value + 1);
    fields["pressure_hpa"].set_number_value(value + 2);
    fields["voltage"].set_number_value(value + 3);
    fields["healthy"].set_bool_value(true);
    fields["state"].set_string_value("running");

    const size_t size = record->ByteSizeLong();
    const size_t prefix = capture_file::VarintSize(size);
    bytes_.resize(prefix + size);
    char* const message = capture_file::WriteVarint(size, bytes_.data());
    record->SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(message));
    return {bytes_.data(), bytes_.size()};
  }

 private:
  static void SetTime(WallTime time, google::protobuf::Timestamp& out) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time.time_since_epoch());
    out.set_seconds(seconds.count());
    out.set_nanos(static_cast<int32_t>((time.time_since_epoch() - seconds).count()));
  }

  std::vector<char> block_ = std::vector<char>(16 << 10);
  google::protobuf::Arena arena_{block_.data(), block_.size()};
  std::vector<char> bytes_;
};

SensorData Parse(std::string_view frame) {
  uint64_t size = 0;
  const char* const end = frame.data() + frame.size();
  const char* const message = capture_file::ReadVarint(frame.data(), end, &size);
  SensorData record;
  Require(message != nullptr && size == static_cast<uint64_t>(end - message) &&
              record.ParseFromArray(message, static_cast<int>(size)),
          "what the encoder wrote is no record");
  return record;
}

template <typename Encoder>
Run TimeOf(const Settings& settings, Encoder& encoder) {
  return [&settings, &encoder]() -> std::vector<double> {
    double value = 0;
    size_t bytes = 0;
    size_t records = 0;
    const double seconds = settings.micro->SecondsPerCall(settings.Size(0, 10), [&](size_t calls) {
      for (size_t i = 0; i < calls; ++i) bytes += encoder.Encode(++value).size();
      records += calls;
    });
    // The two times have one to five bytes for their nanoseconds.
    const size_t size = encoder.Encode(1).size();
    Require(records > 0 && bytes >= records * (size - 8) && bytes <= records * (size + 8),
            "the encoder wrote another number of bytes than it should");
    return {seconds};
  };
}

}  // namespace

std::vector<Row> Encode(const Settings& settings) {
  Direct direct;
  ByProtobuf by_protobuf;
  for (const double value : {0.0, 1.5, 1e6}) {
    Require(google::protobuf::util::MessageDifferencer::Equals(Parse(direct.Encode(value)),
                                                               Parse(by_protobuf.Encode(value))),
            "the encoder writes another message than Protobuf");
  }
  return Compare("P1", settings.Rounds(7), {{.what = "encode a reading", .bound = 0.15}},
                 TimeOf(settings, direct), TimeOf(settings, by_protobuf));
}

}  // namespace datamanager::bench
