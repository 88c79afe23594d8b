// A sequence: a stretch of time, and the resources whose data of it belong together. As it is
// written by capture, and read by sync:
//
//   {
//     "start_time": "2026-01-02T03:04:05.000006Z",
//     "end_time": "2026-01-02T03:05:05Z",
//     "resources": [
//       {
//         "resource_name": "arm1",
//         "method_name": "EndPosition"
//       }
//     ],
//     "sequence_tags": [
//       "pick"
//     ]
//   }
//
// RFC 3339 in UTC; the end of one that has not ended is 0001-01-01T00:00:00Z; without tags the last
// entry is missing.
#ifndef DATAMANAGER_SRC_CAPTURE_FILE_SEQUENCE_H_
#define DATAMANAGER_SRC_CAPTURE_FILE_SEQUENCE_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "datamanager/clock.h"

namespace datamanager::capture_file {

// Far more than a sequence has to say.
inline constexpr size_t kMaxSequenceBytes = 1 << 20;

struct SequenceResource {
  std::string name;  // Short.
  std::string method;

  friend auto operator<=>(const SequenceResource&, const SequenceResource&) = default;
};

struct Sequence {
  WallTime start;
  std::optional<WallTime> end;  // Empty: it has not ended.
  std::vector<SequenceResource> resources;
  std::vector<std::string> tags;

  friend bool operator==(const Sequence&, const Sequence&) = default;
};

std::string ToText(const Sequence& sequence);
// DATA_LOSS says what is wrong with a text that is no sequence.
absl::StatusOr<Sequence> ParseSequence(std::string_view text);
// The same from a file of that size. ABORTED if it has become shorter.
absl::StatusOr<Sequence> ReadSequence(FileOps& ops, int fd, uint64_t size);

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_SEQUENCE_H_
