#include "capture/record_encoder.h"

#include <bit>
#include <chrono>
#include <cstdint>
#include <string_view>

namespace datamanager::capture {
namespace {

using capture_file::BackwardWriter;
using capture_file::kDoubleFieldBytes;
using capture_file::kMaxFieldHeadBytes;
using capture_file::kMaxVarintFieldBytes;
using capture_file::RecordBuffer;

// Tags: field number and wire type. SensorData:
constexpr char kMetadata = 0x0a;
constexpr char kStruct = 0x12;
constexpr char kBinary = 0x1a;
// SensorMetadata, Timestamp:
constexpr char kTimeRequested = 0x0a;
constexpr char kTimeReceived = 0x12;
constexpr char kAnnotations = 0x22;
constexpr char kSeconds = 0x08;
constexpr char kNanos = 0x10;
// Annotations:
constexpr char kBoxes = 0x0a;
constexpr char kClassifications = 0x12;
// BoundingBox:
constexpr char kBoxId = 0x0a;
constexpr char kBoxLabel = 0x12;
constexpr char kXMin = 0x19;
constexpr char kYMin = 0x21;
constexpr char kXMax = 0x29;
constexpr char kYMax = 0x31;
constexpr char kBoxConfidence = 0x39;
// Classification:
constexpr char kLabel = 0x0a;
constexpr char kConfidence = 0x11;
constexpr char kId = 0x1a;

// Each field is written after what follows it. Proto3 leaves zeros and empty texts out, unless
// presence tells something.

void WriteUnlessZero(char tag, uint64_t value, BackwardWriter& out) {
  if (value != 0) out.Varint(tag, value);
}

void WriteUnlessZero(char tag, double number, BackwardWriter& out) {
  if (std::bit_cast<uint64_t>(number) != 0) out.Double(tag, number);
}

void WriteUnlessEmpty(char tag, std::string_view text, BackwardWriter& out) {
  if (!text.empty()) out.Text(tag, text);
}

constexpr size_t kMaxTimestampBytes = kMaxFieldHeadBytes + 2 * kMaxVarintFieldBytes;

void WriteTimestamp(char tag, WallTime time, BackwardWriter& out) {
  const auto since_epoch = time.time_since_epoch();
  const auto whole = std::chrono::floor<std::chrono::seconds>(since_epoch);
  const size_t end = out.size();
  WriteUnlessZero(kNanos,
                  static_cast<uint64_t>((since_epoch - whole) / std::chrono::nanoseconds(1)), out);
  WriteUnlessZero(kSeconds, static_cast<uint64_t>(whole.count()), out);
  out.Head(tag, end);
}

void PrependBox(const BoundingBox& box, RecordBuffer& out) {
  const size_t most =
      3 * kMaxFieldHeadBytes + 5 * kDoubleFieldBytes + box.label.size() + box.id.size();
  out.Prepend(most, [&](BackwardWriter& field) {
    const size_t end = field.size();
    if (box.confidence) field.Double(kBoxConfidence, *box.confidence);
    WriteUnlessZero(kYMax, box.y_max, field);
    WriteUnlessZero(kXMax, box.x_max, field);
    WriteUnlessZero(kYMin, box.y_min, field);
    WriteUnlessZero(kXMin, box.x_min, field);
    WriteUnlessEmpty(kBoxLabel, box.label, field);
    WriteUnlessEmpty(kBoxId, box.id, field);
    field.Head(kBoxes, end);
  });
}

void PrependClassification(const Classification& classification, RecordBuffer& out) {
  const size_t most = 3 * kMaxFieldHeadBytes + kDoubleFieldBytes + classification.id.size() +
                      classification.label.size();
  out.Prepend(most, [&](BackwardWriter& field) {
    const size_t end = field.size();
    WriteUnlessEmpty(kId, classification.id, field);
    if (classification.confidence) field.Double(kConfidence, *classification.confidence);
    WriteUnlessEmpty(kLabel, classification.label, field);
    field.Head(kClassifications, end);
  });
}

void PrependAnnotations(const Annotations& annotations, RecordBuffer& out) {
  if (annotations.empty()) return;
  const size_t end = out.size();
  for (auto it = annotations.classifications.rbegin(); it != annotations.classifications.rend();
       ++it) {
    PrependClassification(*it, out);
  }
  for (auto it = annotations.bboxes.rbegin(); it != annotations.bboxes.rend(); ++it) {
    PrependBox(*it, out);
  }
  out.PrependHead(kAnnotations, end);
}

// SensorMetadata, whose annotations were written since size() was `end`.
constexpr size_t kMaxMetadataHeadBytes = kMaxFieldHeadBytes + 2 * kMaxTimestampBytes;

void WriteMetadataHead(const RecordTimes& times, size_t end, BackwardWriter& out) {
  WriteTimestamp(kTimeReceived, times.received, out);
  WriteTimestamp(kTimeRequested, times.requested, out);
  out.Head(kMetadata, end);
}

}  // namespace

void PrependTabularHead(const RecordTimes& times, RecordBuffer& out) {
  out.Prepend(kMaxFieldHeadBytes + kMaxMetadataHeadBytes, [&](BackwardWriter& head) {
    head.Head(kStruct, 0);
    WriteMetadataHead(times, head.size(), head);
  });
}

void PrependBinaryHead(const RecordTimes& times, const Annotations& annotations,
                       size_t payload_size, RecordBuffer& out) {
  out.PrependVarint(kBinary, payload_size);
  const size_t end = out.size();
  PrependAnnotations(annotations, out);
  out.Prepend(kMaxMetadataHeadBytes,
              [&](BackwardWriter& head) { WriteMetadataHead(times, end, head); });
}

}  // namespace datamanager::capture
