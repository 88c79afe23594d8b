// Whether a record means anything.
#ifndef DATAMANAGER_SRC_CAPTURE_FILE_RECORD_CHECK_H_
#define DATAMANAGER_SRC_CAPTURE_FILE_RECORD_CHECK_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "capture_file/reader.h"

namespace datamanager::capture_file {

// When a record was asked for and received, in microseconds since the epoch.
struct RecordTimes {
  std::optional<int64_t> requested;
  std::optional<int64_t> received;

  // The time that orders the records of one file.
  std::optional<int64_t> order() const { return requested.has_value() ? requested : received; }
};

// Returns the times in a serialized SensorMetadata; nullopt if it is malformed or one of its times
// is not valid.
std::optional<RecordTimes> TimesOf(std::string_view sensor_metadata);

// Whether a server can parse the record, of which `reader` has checked only the outline. After a
// power cut, zeros can lie inside a record whose outline is right, and a request that holds it
// would fail for ever, together with all its other records. An error is the disk's. `times`
// receives the times that the record has; both are empty if they are not valid.
absl::StatusOr<bool> Parses(const Reader& reader, const Record& record,
                            RecordTimes* times = nullptr);

// DATA_LOSS that says where it is.
absl::Status UnparsableRecord(const Record& record);

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_RECORD_CHECK_H_
