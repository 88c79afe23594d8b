#include "capture/record_encoder.h"

#include <bit>
#include <chrono>
#include <cstdint>
#include <string_view>

namespace datamanager::capture {
namespace {

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

// Proto3 leaves zeros and empty texts out, unless presence tells something.

void PrependUnlessZero(char tag, uint64_t value, RecordBuffer& out) {
  if (value != 0) out.PrependVarint(tag, value);
}

void PrependUnlessZero(char tag, double number, RecordBuffer& out) {
  if (std::bit_cast<uint64_t>(number) != 0) out.PrependDouble(tag, number);
}

void PrependUnlessEmpty(char tag, std::string_view text, RecordBuffer& out) {
  if (!text.empty()) out.PrependText(tag, text);
}

void PrependTimestamp(char tag, WallTime time, RecordBuffer& out) {
  const auto since_epoch = time.time_since_epoch();
  const auto whole = std::chrono::floor<std::chrono::seconds>(since_epoch);
  const size_t end = out.size();
  PrependUnlessZero(
      kNanos, static_cast<uint64_t>((since_epoch - whole) / std::chrono::nanoseconds(1)), out);
  PrependUnlessZero(kSeconds, static_cast<uint64_t>(whole.count()), out);
  out.PrependHead(tag, end);
}

void PrependBox(const BoundingBox& box, RecordBuffer& out) {
  const size_t end = out.size();
  if (box.confidence) out.PrependDouble(kBoxConfidence, *box.confidence);
  PrependUnlessZero(kYMax, box.y_max, out);
  PrependUnlessZero(kXMax, box.x_max, out);
  PrependUnlessZero(kYMin, box.y_min, out);
  PrependUnlessZero(kXMin, box.x_min, out);
  PrependUnlessEmpty(kBoxLabel, box.label, out);
  PrependUnlessEmpty(kBoxId, box.id, out);
  out.PrependHead(kBoxes, end);
}

void PrependClassification(const Classification& classification, RecordBuffer& out) {
  const size_t end = out.size();
  PrependUnlessEmpty(kId, classification.id, out);
  if (classification.confidence) out.PrependDouble(kConfidence, *classification.confidence);
  PrependUnlessEmpty(kLabel, classification.label, out);
  out.PrependHead(kClassifications, end);
}

void PrependMetadata(const RecordTimes& times, const Annotations& annotations, RecordBuffer& out) {
  const size_t end = out.size();
  if (!annotations.empty()) {
    for (auto it = annotations.classifications.rbegin(); it != annotations.classifications.rend();
         ++it) {
      PrependClassification(*it, out);
    }
    for (auto it = annotations.bboxes.rbegin(); it != annotations.bboxes.rend(); ++it) {
      PrependBox(*it, out);
    }
    out.PrependHead(kAnnotations, end);
  }
  PrependTimestamp(kTimeReceived, times.received, out);
  PrependTimestamp(kTimeRequested, times.requested, out);
  out.PrependHead(kMetadata, end);
}

}  // namespace

void PrependTabularHead(const RecordTimes& times, RecordBuffer& out) {
  out.PrependHead(kStruct, 0);
  PrependMetadata(times, {}, out);
}

void PrependBinaryHead(const RecordTimes& times, const Annotations& annotations,
                       size_t payload_size, RecordBuffer& out) {
  out.PrependVarint(payload_size);
  out.PrependByte(kBinary);
  PrependMetadata(times, annotations, out);
}

}  // namespace datamanager::capture
