// Every name that capture gives on disk, and that sync finds there, is built and parsed here.
//
//   <capture_dir>/<api>/<resource>/<method>/<stamp>.prog      being written
//   <capture_dir>/<api>/<resource>/<method>/<stamp>.capture   published, to be uploaded
//   <root>/failed/<path below root>                           refused, or unreadable
//
//   stamp = YYYY-MM-DDTHH_MM_SS.uuuuuu(Z | (+|-)HH_MM)         local time and its offset from UTC
//
// ':' becomes '_' in the segments that are made here, and in no other part of the path.
// Example: /data/rdk_component_sensor/cpu/Readings/2026-01-02T03_04_05.000006-05_00.capture
#ifndef DATAMANAGER_SRC_CAPTURE_FILE_FILE_NAME_H_
#define DATAMANAGER_SRC_CAPTURE_FILE_FILE_NAME_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "datamanager/clock.h"

namespace datamanager::capture_file {

inline constexpr std::string_view kInProgressSuffix = ".prog";
inline constexpr std::string_view kCompleteSuffix = ".capture";
inline constexpr std::string_view kFailedDirectory = "failed";
// Kept by other parts of the reference below the capture directory; not for the walker.
inline constexpr std::string_view kSequencesDirectory = "sequences";
inline constexpr std::string_view kDatasetUploadDirectory = "datasetUpload";

std::string CollectorDirectory(std::string_view capture_dir, std::string_view api,
                               std::string_view name, std::string_view method);

// Base names for a file begun at `start`, cut to microseconds.
std::string InProgressName(WallTime start);
std::string CompleteName(WallTime start);

// The path under which a finished in-progress file is published.
std::string CompletePath(std::string_view in_progress_path);

bool IsInProgress(std::string_view base_name);
bool IsComplete(std::string_view base_name);

// When a file was begun, from its base name; nullopt if the name was not made here.
std::optional<WallTime> ParseStamp(std::string_view base_name);

// The time in a complete file's name, which is all that it takes to make the name again.
struct CompleteStamp {
  static constexpr int16_t kZulu = INT16_MIN;

  int64_t micros = 0;        // Since the epoch.
  int16_t zone_minutes = 0;  // East of UTC, as the name has it; kZulu for "Z".
};
// nullopt if CompleteName would not make the same name of it.
std::optional<CompleteStamp> ParseComplete(std::string_view base_name);
std::string CompleteName(const CompleteStamp& stamp);

// Where a file below `root` is set aside.
std::string FailedPath(std::string_view root, std::string_view path);

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_FILE_NAME_H_
