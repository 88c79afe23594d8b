// The files beside a log that a rotation makes.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_SOURCES_ROTATED_FILES_H_
#define DATAMANAGER_EXAMPLES_ROBOT_SOURCES_ROTATED_FILES_H_

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "robot/sources/tail_position.h"

namespace robot {

// Whether a rotation may have called a file so that was `base` before, or that `base` follows:
// "log.1", "log-20240131", "log.old" of "log", "app-2.log" of "app.log", and what differs from it
// in its digits only. Compressed ones do not count.
bool IsRotatedName(std::string_view name, std::string_view base);

struct RotatedFile {
  std::string path;
  FileId id;
  int64_t time = 0;      // Of its birth or, if that is not known, of its last change.
  bool by_name = false;  // IsRotatedName says so.
};

// The regular files in `directory` that are called `base` or as a rotation calls it, and those
// whose inode number is in `wanted`, whatever they are called; the oldest first. None of a
// directory that cannot be read.
std::vector<RotatedFile> FindRotatedFiles(const std::string& directory, const std::string& base,
                                          const std::set<uint64_t>& wanted);

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_SOURCES_ROTATED_FILES_H_
