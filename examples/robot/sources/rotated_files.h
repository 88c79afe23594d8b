// Finds the files beside a log that a rotation makes.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_SOURCES_ROTATED_FILES_H_
#define DATAMANAGER_EXAMPLES_ROBOT_SOURCES_ROTATED_FILES_H_

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "robot/sources/tail_position.h"

namespace robot {

// Whether a rotation may give this name to a file that was `base` or that precedes `base`: "log.1",
// "log-20240131", "log.old" for "log", "app-2.log" for "app.log", and names that differ from `base`
// in digits only. Compressed files do not count.
bool IsRotatedName(std::string_view name, std::string_view base);

struct RotatedFile {
  std::string path;
  FileId id;
  int64_t time = 0;      // Time of birth or, if unknown, of the last change.
  bool by_name = false;  // IsRotatedName is true.
};

// Returns the regular files in `directory` that are named `base` or as a rotation names it, and
// those whose inode number is in `wanted`, under any name; the oldest first. Empty if the directory
// cannot be read.
std::vector<RotatedFile> FindRotatedFiles(const std::string& directory, const std::string& base,
                                          const std::set<uint64_t>& wanted);

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_SOURCES_ROTATED_FILES_H_
