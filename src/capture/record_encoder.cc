#include "capture/record_encoder.h"

#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture_file/format.h"

namespace datamanager::capture {
namespace {

using capture_file::VarintSize;
using capture_file::WriteVarint;

// Protobuf parsers stop at 100 nested messages; a map in a map takes three of them, and a request
// around the record some more.
constexpr int kMaxDepth = 30;

// Tags: field number and wire type. google.protobuf.Value:
constexpr char kNullValue = 0x08;
constexpr char kNumberValue = 0x11;
constexpr char kStringValue = 0x1a;
constexpr char kBoolValue = 0x20;
constexpr char kStructValue = 0x2a;
constexpr char kListValue = 0x32;
// google.protobuf.Struct.fields, and ListValue.values:
constexpr char kFields = 0x0a;
constexpr char kValues = 0x0a;
// An entry of a map:
constexpr char kEntryKey = 0x0a;
constexpr char kEntryValue = 0x12;
// SensorData:
constexpr char kMetadata = 0x0a;
constexpr char kStruct = 0x12;
constexpr char kBinary = 0x1a;
// SensorMetadata, Timestamp, Annotations, Classification:
constexpr char kTimeRequested = 0x0a;
constexpr char kTimeReceived = 0x12;
constexpr char kAnnotations = 0x22;
constexpr char kSeconds = 0x08;
constexpr char kNanos = 0x10;
constexpr char kClassifications = 0x12;
constexpr char kLabel = 0x0a;

// The size of a length-delimited field with a one-byte tag.
constexpr size_t FieldSize(size_t payload) { return 1 + VarintSize(payload) + payload; }

char* WriteHead(char tag, size_t size, char* out) {
  *out++ = tag;
  return WriteVarint(size, out);
}

char* WriteText(char tag, std::string_view text, char* out) {
  out = WriteHead(tag, text.size(), out);
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

// What JSON has no number for.
std::string_view SpecialName(double number) {
  if (std::isnan(number)) return "NaN";
  return number > 0 ? "Infinity" : "-Infinity";
}

struct Timestamp {
  explicit Timestamp(WallTime time) {
    const auto since_epoch = time.time_since_epoch();
    const auto whole = std::chrono::floor<std::chrono::seconds>(since_epoch);
    seconds = static_cast<uint64_t>(whole.count());
    nanos = static_cast<uint64_t>((since_epoch - whole) / std::chrono::nanoseconds(1));
  }
  // Proto3 leaves zeros out.
  size_t size() const {
    return (seconds != 0 ? 1 + VarintSize(seconds) : 0) + (nanos != 0 ? 1 + VarintSize(nanos) : 0);
  }
  char* Write(char tag, char* out) const {
    out = WriteHead(tag, size(), out);
    if (seconds != 0) {
      *out++ = kSeconds;
      out = WriteVarint(seconds, out);
    }
    if (nanos != 0) {
      *out++ = kNanos;
      out = WriteVarint(nanos, out);
    }
    return out;
  }

  uint64_t seconds = 0;
  uint64_t nanos = 0;
};

// SensorMetadata.
class MetadataField {
 public:
  MetadataField(const RecordTimes& times, const std::string* label)
      : requested_(times.requested), received_(times.received), label_(label) {
    size_ = FieldSize(requested_.size()) + FieldSize(received_.size());
    if (label_ != nullptr) size_ += FieldSize(annotations_size());
  }
  size_t field_size() const { return FieldSize(size_); }
  char* Write(char* out) const {
    out = WriteHead(kMetadata, size_, out);
    out = requested_.Write(kTimeRequested, out);
    out = received_.Write(kTimeReceived, out);
    if (label_ == nullptr) return out;
    out = WriteHead(kAnnotations, annotations_size(), out);
    out = WriteHead(kClassifications, classification_size(), out);
    return label_->empty() ? out : WriteText(kLabel, *label_, out);
  }

 private:
  size_t classification_size() const { return label_->empty() ? 0 : FieldSize(label_->size()); }
  size_t annotations_size() const { return FieldSize(classification_size()); }

  const Timestamp requested_;
  const Timestamp received_;
  const std::string* const label_;
  size_t size_ = 0;
};

}  // namespace

absl::Status RecordEncoder::EncodeTabular(const RecordTimes& times, std::string_view key,
                                          const ValueMap& values, capture_file::RecordBuffer& out) {
  sizes_.clear();
  next_ = 0;
  size_t map_size = 0;
  if (absl::Status status = MeasureMap(values, 1, &map_size); !status.ok()) return status;

  const size_t value_size = FieldSize(map_size);  // Value.struct_value
  const size_t entry_size = FieldSize(key.size()) + FieldSize(value_size);
  const size_t struct_size = FieldSize(entry_size);  // Struct.fields
  const MetadataField metadata(times, nullptr);
  char* p = out.Resize(metadata.field_size() + FieldSize(struct_size));
  p = metadata.Write(p);
  p = WriteHead(kStruct, struct_size, p);
  p = WriteHead(kFields, entry_size, p);
  p = WriteText(kEntryKey, key, p);
  p = WriteHead(kEntryValue, value_size, p);
  p = WriteHead(kStructValue, map_size, p);
  WriteMap(values, p);
  return absl::OkStatus();
}

void RecordEncoder::EncodeBinaryHead(const RecordTimes& times, const std::string* label,
                                     size_t payload_size, capture_file::RecordBuffer& out) {
  const MetadataField metadata(times, label);
  char* p = out.Resize(metadata.field_size() + 1 + VarintSize(payload_size));
  p = metadata.Write(p);
  WriteHead(kBinary, payload_size, p);
}

absl::StatusOr<std::string> RecordEncoder::EncodeValue(const Value& value) {
  sizes_.clear();
  next_ = 0;
  size_t size = 0;
  if (absl::Status status = Measure(value, 1, &size); !status.ok()) return status;
  std::string out(size, '\0');
  WriteValue(value, out.data());
  return out;
}

// `*size` becomes the size of the Value message.
absl::Status RecordEncoder::Measure(const Value& value, int depth, size_t* size) {
  if (depth > kMaxDepth) {
    return absl::InvalidArgumentError(absl::StrCat("nested deeper than ", kMaxDepth, " levels"));
  }
  switch (value.kind()) {
    case Value::Kind::kNull:
    case Value::Kind::kBool:
      *size = 2;
      return absl::OkStatus();
    case Value::Kind::kNumber:
      *size = std::isfinite(value.AsNumber()) ? 9 : FieldSize(SpecialName(value.AsNumber()).size());
      return absl::OkStatus();
    case Value::Kind::kString:
      if (!IsUtf8(value.AsString())) {
        return absl::InvalidArgumentError(absl::StrCat("proto: invalid UTF-8 in string: \"",
                                                       absl::CHexEscape(ToAbsl(value.AsString())),
                                                       "\""));
      }
      *size = FieldSize(value.AsString().size());
      return absl::OkStatus();
    case Value::Kind::kBytes:
      *size = FieldSize((value.AsString().size() + 2) / 3 * 4);
      return absl::OkStatus();
    case Value::Kind::kList: {
      const size_t slot = sizes_.size();
      sizes_.push_back(0);
      size_t total = 0;
      for (const Value& element : value.AsList()) {
        const size_t element_slot = sizes_.size();
        sizes_.push_back(0);
        size_t element_size = 0;
        if (absl::Status status = Measure(element, depth + 1, &element_size); !status.ok()) {
          return status;
        }
        sizes_[element_slot] = element_size;
        total += FieldSize(element_size);
      }
      sizes_[slot] = total;
      *size = FieldSize(total);
      return absl::OkStatus();
    }
    case Value::Kind::kMap: {
      const size_t slot = sizes_.size();
      sizes_.push_back(0);
      size_t total = 0;
      if (absl::Status status = MeasureMap(value.AsMap(), depth + 1, &total); !status.ok()) {
        return status;
      }
      sizes_[slot] = total;
      *size = FieldSize(total);
      return absl::OkStatus();
    }
  }
  return absl::InternalError("a value of no kind");
}

// `*size` becomes the size of the Struct message.
absl::Status RecordEncoder::MeasureMap(const ValueMap& map, int depth, size_t* size) {
  size_t total = 0;
  for (const ValueMap::Entry& entry : map) {
    if (!IsUtf8(entry.key)) {
      return absl::InvalidArgumentError(
          absl::StrCat("proto: invalid UTF-8 in key: \"", absl::CHexEscape(entry.key), "\""));
    }
    const size_t slot = sizes_.size();
    sizes_.push_back(0);
    size_t value_size = 0;
    if (absl::Status status = Measure(entry.value, depth, &value_size); !status.ok()) {
      return Wrap(status, entry.key);
    }
    sizes_[slot] = value_size;
    total += FieldSize(FieldSize(entry.key.size()) + FieldSize(value_size));
  }
  *size = total;
  return absl::OkStatus();
}

char* RecordEncoder::WriteValue(const Value& value, char* out) {
  switch (value.kind()) {
    case Value::Kind::kNull:
      *out++ = kNullValue;
      *out++ = 0;
      return out;
    case Value::Kind::kBool:
      *out++ = kBoolValue;
      *out++ = value.AsBool() ? 1 : 0;
      return out;
    case Value::Kind::kNumber: {
      const double number = value.AsNumber();
      if (!std::isfinite(number)) return WriteText(kStringValue, SpecialName(number), out);
      *out++ = kNumberValue;
      auto bits = std::bit_cast<uint64_t>(number);
      for (int i = 0; i < 8; ++i) {
        *out++ = static_cast<char>(bits);
        bits >>= 8;
      }
      return out;
    }
    case Value::Kind::kString:
      return WriteText(kStringValue, value.AsString(), out);
    case Value::Kind::kBytes:
      return WriteText(kStringValue, absl::Base64Escape(ToAbsl(value.AsString())), out);
    case Value::Kind::kList:
      out = WriteHead(kListValue, sizes_[next_++], out);
      for (const Value& element : value.AsList()) {
        out = WriteHead(kValues, sizes_[next_++], out);
        out = WriteValue(element, out);
      }
      return out;
    case Value::Kind::kMap:
      out = WriteHead(kStructValue, sizes_[next_++], out);
      return WriteMap(value.AsMap(), out);
  }
  return out;
}

char* RecordEncoder::WriteMap(const ValueMap& map, char* out) {
  for (const ValueMap::Entry& entry : map) {
    const size_t value_size = sizes_[next_++];
    out = WriteHead(kFields, FieldSize(entry.key.size()) + FieldSize(value_size), out);
    out = WriteText(kEntryKey, entry.key, out);
    out = WriteHead(kEntryValue, value_size, out);
    out = WriteValue(entry.value, out);
  }
  return out;
}

}  // namespace datamanager::capture
