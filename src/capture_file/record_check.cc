#include "capture_file/record_check.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture_file/format.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"

namespace datamanager::capture_file {
namespace {

namespace wire = datamanager::wire::viam::app::datasync::v1;

constexpr int64_t kMicrosPerSecond = 1000000;
constexpr int64_t kNanosPerMicro = 1000;

// The range of google.protobuf.Timestamp: the years 1 to 9999.
constexpr int64_t kFirstSecond = -62135596800;
constexpr int64_t kLastSecond = 253402300799;

// How deep messages may be nested: Protobuf's limit, which counts the record's own two levels.
constexpr int kMessageDepthLimit = 98;

// Protobuf's wire types.
enum : uint64_t { kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5 };

// Iterates over the fields of a message.
class Fields {
 public:
  explicit Fields(std::string_view message)
      : at_(message.data()), end_(message.data() + message.size()) {}

  // False at the end of the message, or where it is malformed: ok() distinguishes them.
  bool Next() {
    if (at_ == end_ || !ok_) return false;
    uint64_t tag = 0;
    ok_ = Varint(tag) && tag <= kMaxTag && tag >> 3 != 0;
    if (!ok_) return false;
    number_ = tag >> 3;
    type_ = tag & 7;
    uint64_t size = 0;
    value_ = 0;
    switch (type_) {
      case kVarint:
        ok_ = Varint(value_);
        break;
      case kFixed64:
        size = 8;
        break;
      case kFixed32:
        size = 4;
        break;
      case kLength:
        ok_ = Varint(size);
        break;
      default:
        ok_ = false;
    }
    ok_ = ok_ && size <= static_cast<uint64_t>(end_ - at_);
    if (!ok_) return false;
    bytes_ = std::string_view(at_, size);
    at_ += size;
    return true;
  }
  bool ok() const { return ok_; }
  // Whether the last field has this number and wire type.
  bool Is(uint64_t number, uint64_t type) const { return number_ == number && type_ == type; }
  uint64_t value() const { return value_; }
  std::string_view bytes() const { return bytes_; }

 private:
  bool Varint(uint64_t& value) {
    const char* const after = ReadVarint(at_, end_, &value);
    if (after != nullptr) at_ = after;
    return after != nullptr;
  }

  const char* at_;
  const char* const end_;
  bool ok_ = true;
  uint64_t number_ = 0;
  uint64_t type_ = 0;
  uint64_t value_ = 0;
  std::string_view bytes_;
};

// Checks whether Protobuf would parse these messages of google/protobuf/struct.proto. It does not
// call Protobuf, which would build them in many times their size and print errors to standard
// error.
enum class Kind : uint8_t { kStruct, kEntry, kValue, kList };
bool IsMessage(Kind kind, std::string_view bytes, int depth) {
  if (depth > kMessageDepthLimit) return false;
  Fields fields(bytes);
  while (fields.Next()) {
    bool fine = true;
    switch (kind) {
      case Kind::kStruct:
        if (fields.Is(1, kLength)) fine = IsMessage(Kind::kEntry, fields.bytes(), depth + 1);
        break;
      case Kind::kEntry:
        if (fields.Is(1, kLength)) fine = IsUtf8(fields.bytes());
        if (fields.Is(2, kLength)) fine = IsMessage(Kind::kValue, fields.bytes(), depth + 1);
        break;
      case Kind::kValue:
        if (fields.Is(3, kLength)) fine = IsUtf8(fields.bytes());
        if (fields.Is(5, kLength)) fine = IsMessage(Kind::kStruct, fields.bytes(), depth + 1);
        if (fields.Is(6, kLength)) fine = IsMessage(Kind::kList, fields.bytes(), depth + 1);
        break;
      case Kind::kList:
        if (fields.Is(1, kLength)) fine = IsMessage(Kind::kValue, fields.bytes(), depth + 1);
        break;
    }
    if (!fine) return false;
  }
  return fields.ok();
}

// Reads a google.protobuf.Timestamp as far as it is well formed; nullopt if Protobuf would reject
// it.
struct Timestamp {
  int64_t seconds = 0;
  int64_t nanos = 0;
};
bool Read(std::string_view bytes, std::optional<Timestamp>& time) {
  if (!time.has_value()) time.emplace();
  Fields fields(bytes);
  while (fields.Next()) {
    if (fields.Is(1, kVarint)) time->seconds = static_cast<int64_t>(fields.value());
    if (fields.Is(2, kVarint)) time->nanos = static_cast<int32_t>(fields.value());
  }
  return fields.ok();
}

// False: it is not a valid time.
bool ToMicros(const std::optional<Timestamp>& time, std::optional<int64_t>& micros) {
  if (!time.has_value()) return true;
  if (time->seconds < kFirstSecond || time->seconds > kLastSecond || time->nanos < 0 ||
      time->nanos >= kMicrosPerSecond * kNanosPerMicro) {
    return false;
  }
  micros = time->seconds * kMicrosPerSecond + time->nanos / kNanosPerMicro;
  return true;
}

// Whether Protobuf would parse these bytes as a SensorMetadata. `times` receives its valid times,
// or none.
bool ParseSensorMetadata(std::string_view bytes, RecordTimes& times) {
  std::optional<Timestamp> requested;
  std::optional<Timestamp> received;
  bool others = false;
  Fields fields(bytes);
  while (fields.Next()) {
    if (fields.Is(1, kLength)) {
      if (!Read(fields.bytes(), requested)) return false;
    } else if (fields.Is(2, kLength)) {
      if (!Read(fields.bytes(), received)) return false;
    } else {
      others = true;
    }
  }
  if (!fields.ok()) return false;
  // Protobuf checks the annotations, and only those of messages that pass all checks above.
  if (others) {
    wire::SensorMetadata metadata;
    if (!metadata.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return false;
  }
  if (!ToMicros(requested, times.requested) || !ToMicros(received, times.received)) times = {};
  return true;
}

}  // namespace

std::optional<RecordTimes> TimesOf(std::string_view sensor_metadata) {
  RecordTimes times;
  if (!ParseSensorMetadata(sensor_metadata, times)) return std::nullopt;
  return times;
}

absl::StatusOr<bool> Parses(const Reader& reader, const Record& record, RecordTimes* times) {
  const bool tabular = record.payload_kind == Record::Payload::kStruct;
  if (record.metadata.size > kMaxMetadataBytes) return false;
  std::string copy;
  absl::Status status;
  // Returns a view of bytes that were just read, or else a copy.
  const auto bytes_of = [&](Extent extent) {
    if (const char* const in = reader.View(extent); in != nullptr) {
      return std::string_view(in, extent.size);
    }
    copy.resize(extent.size);
    status = reader.Read(extent, copy.data());
    return std::string_view(copy);
  };
  RecordTimes found;
  const std::string_view metadata = bytes_of(record.metadata);
  if (!status.ok()) return status;
  if (!ParseSensorMetadata(metadata, found)) return false;
  if (times != nullptr) *times = found;
  if (!tabular) return true;
  const std::string_view payload = bytes_of(record.payload);
  if (!status.ok()) return status;
  return IsMessage(Kind::kStruct, payload, 1);
}

absl::Status UnparsableRecord(const Record& record) {
  return absl::DataLossError(
      absl::StrCat("at byte ", record.frame.offset, ": a record that does not parse"));
}

}  // namespace datamanager::capture_file
