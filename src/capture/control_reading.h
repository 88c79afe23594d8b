// What the readings of a control sensor, and of a selective sensor, say. Pure.
#ifndef DATAMANAGER_SRC_CAPTURE_CONTROL_READING_H_
#define DATAMANAGER_SRC_CAPTURE_CONTROL_READING_H_

#include <compare>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "capture_file/sequence.h"
#include "config/overrides.h"
#include "datamanager/source.h"

namespace datamanager::capture {

// In one list of a reading. A longer one is broken: nobody means that.
inline constexpr size_t kMaxControlEntries = 4096;

// The list under `key`: maps with `resource_name`, `method`, and perhaps `capture_frequency_hz` and
// `tags`. Of entries with the same resource and method the last counts. No such key: no overrides.
//
// INVALID_ARGUMENT says where the list is not as it should be; then none of it counts, since a
// sensor that garbles one entry may garble any.
absl::StatusOr<config::Overrides> ParseOverrides(const Readings& readings, std::string_view key);

// Which sequences are wanted: each is known by its resources and tags, in whatever order they come.
struct WantedSequence {
  std::vector<capture_file::SequenceResource> resources;  // Sorted; each once.
  std::vector<std::string> tags;                          // Sorted.

  friend auto operator<=>(const WantedSequence&, const WantedSequence&) = default;
};
using WantedSequences = std::set<WantedSequence>;

// The list under "sequences": maps with `resources`, each with `resource_name` and `method`, and
// perhaps `sequence_tags`. One without resources is dropped, with a complaint. Otherwise as above.
absl::StatusOr<WantedSequences> ParseSequences(const Readings& readings,
                                               std::vector<std::string>& complaints);

// The bool under "should_sync". INVALID_ARGUMENT if there is none.
absl::StatusOr<bool> ParseShouldSync(const Readings& readings);

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_CONTROL_READING_H_
