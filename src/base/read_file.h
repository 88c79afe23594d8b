// Small files that people name.
#ifndef DATAMANAGER_SRC_BASE_READ_FILE_H_
#define DATAMANAGER_SRC_BASE_READ_FILE_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"

namespace datamanager {

// All of a small file, or of a pipe: the first bytes beyond `enough` end it, so that whoever names
// a disk image by mistake learns it at once. Blocks on the file. Errors name step and path.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t enough);

struct RegularFile {
  std::string text;
  bool others_may_read = false;  // Others than its owner.
};

// The same for a regular file, through links; INVALID_ARGUMENT for anything else, of which it waits
// for none.
absl::StatusOr<RegularFile> ReadRegularFile(const std::string& path, size_t enough);

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_READ_FILE_H_
