// Writes records in their wire form, without building messages first.
#ifndef DATAMANAGER_SRC_CAPTURE_RECORD_ENCODER_H_
#define DATAMANAGER_SRC_CAPTURE_RECORD_ENCODER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "capture_file/record_buffer.h"
#include "datamanager/clock.h"
#include "datamanager/value.h"

namespace datamanager::capture {

// When a source was asked, and when it had answered.
struct RecordTimes {
  WallTime requested;
  WallTime received;
};

// Encodes SensorData messages (proto/viam/app/datasync/v1/data_sync.proto). Two passes: one that
// measures and checks, one that writes; the scratch memory is kept, so that values of a fixed shape
// cost no allocation. Numbers that JSON cannot express become the strings "NaN", "Infinity" and
// "-Infinity", as they do when the reference's clients read them. Not thread-safe.
class RecordEncoder {
 public:
  // A tabular record {"<key>": {values}}. INVALID_ARGUMENT, naming the key at fault, for text that
  // is not UTF-8 and for values nested too deep for a Protobuf parser.
  absl::Status EncodeTabular(const RecordTimes& times, std::string_view key, const ValueMap& values,
                             capture_file::RecordBuffer& out);

  // A binary record up to where its `payload_size` bytes follow. A non-null `label` becomes a
  // classification.
  void EncodeBinaryHead(const RecordTimes& times, const std::string* label, size_t payload_size,
                        capture_file::RecordBuffer& out);

  // The serialized google.protobuf.Value.
  absl::StatusOr<std::string> EncodeValue(const Value& value);

 private:
  absl::Status Measure(const Value& value, int depth, size_t* size);
  absl::Status MeasureMap(const ValueMap& map, int depth, size_t* size);
  char* WriteValue(const Value& value, char* out);
  char* WriteMap(const ValueMap& map, char* out);

  // Sizes of nested messages and of base64 text, in the order in which both passes meet them.
  std::vector<size_t> sizes_;
  size_t next_ = 0;
};

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_RECORD_ENCODER_H_
