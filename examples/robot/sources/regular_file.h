// A regular file that somebody else writes.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_SOURCES_REGULAR_FILE_H_
#define DATAMANAGER_EXAMPLES_ROBOT_SOURCES_REGULAR_FILE_H_

#include <sys/stat.h>

#include <string>

#include "absl/status/status.h"
#include "robot/sources/fd.h"

namespace robot {

// Opens the file at `path` for reading and looks at it, without waiting for a FIFO or a terminal.
// INVALID_ARGUMENT if it is no regular file.
absl::Status OpenRegularFile(const std::string& path, Fd& fd, struct stat& info);

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_SOURCES_REGULAR_FILE_H_
