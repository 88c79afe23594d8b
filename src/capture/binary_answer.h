// What the answer to a binary method becomes.
#ifndef DATAMANAGER_SRC_CAPTURE_BINARY_ANSWER_H_
#define DATAMANAGER_SRC_CAPTURE_BINARY_ANSWER_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "capture/methods.h"
#include "datamanager/clock.h"
#include "datamanager/source.h"

namespace datamanager::capture {

struct BinaryRecord {
  std::string_view data;
  std::string_view mime_type;
  Annotations annotations;
  // The end of the last audio chunk in the record; nullopt if it is not audio.
  std::optional<int64_t> audio_end;
};

struct BinaryAnswer {
  std::vector<BinaryRecord> records;
  // When it was captured, if the component said so.
  std::optional<WallTime> captured_at;
  // The end of the last audio chunk, even if the answer cannot be stored.
  std::optional<int64_t> audio_end;

  // Payloads that are no part of the answer as they stand.
  std::deque<std::string> assembled;
};

// Checks that capture files can hold such a record: INVALID_ARGUMENT if its payload is empty or
// larger than one write(2) takes, or if its MIME type or a label is too long or not UTF-8.
absl::Status CheckRecord(const BinaryRecord& record);

// Fills `out`, which is empty and whose records point into it and into the answer. An error, with
// the reference's text where it has one, if the answer, as a whole, cannot be stored. `params` have
// passed CheckParameters; `messages` have the fields of the method's response.
absl::Status ReadBinaryAnswer(const Method& method, const ValueMap& params, const Images& images,
                              BinaryAnswer& out);
absl::Status ReadBinaryAnswer(const Method& method, const ValueMap& params,
                              const Messages& messages, BinaryAnswer& out);

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_BINARY_ANSWER_H_
