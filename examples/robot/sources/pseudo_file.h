// A file of /proc or /sys that is read again and again.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_SOURCES_PSEUDO_FILE_H_
#define DATAMANAGER_EXAMPLES_ROBOT_SOURCES_PSEUDO_FILE_H_

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "robot/sources/fd.h"

namespace robot {

// Opens its file at the first Read and keeps it open, so that a tick costs two system calls. Not
// thread-safe.
class PseudoFile {
 public:
  explicit PseudoFile(std::string path) : path_(std::move(path)) {}

  // What the file says at this moment; good until the next call. After an error the file is opened
  // anew, as a device may come back.
  absl::StatusOr<std::string_view> Read();

 private:
  absl::Status Fail(const char* step);

  const std::string path_;
  Fd fd_;
  std::string buffer_;
};

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_SOURCES_PSEUDO_FILE_H_
