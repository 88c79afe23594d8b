// Taking hold of a file that its writer has left behind.
#ifndef DATAMANAGER_SRC_CAPTURE_FILE_CLAIM_H_
#define DATAMANAGER_SRC_CAPTURE_FILE_CLAIM_H_

#include <sys/stat.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "base/unique_fd.h"

namespace datamanager::capture_file {

// How long a file must have been left alone where the file system does not tell who has it open.
inline constexpr std::chrono::minutes kLeftBehindAge{5};

// Ours as long as `fd` is open: it holds the lock.
struct Claim {
  enum class Outcome : uint8_t {
    kOurs,     // Nobody else has it open.
    kUnknown,  // The lock is ours, but the file system does not tell who else has it open.
    kInUse,    // Somebody else has it open; not claimed.
    kNone,     // No regular file, or no longer under this name; not claimed.
  };

  Outcome outcome = Outcome::kNone;
  UniqueFd fd;
  struct stat info {};  // As seen with the lock held.
};

// Claims the file at `path` for reading and writing, without following a link or waiting: the
// owner's lock tells of writers of ours, in this process and others, and a write lease of those who
// take no lock. Any thread with all signals blocked.
absl::StatusOr<Claim> ClaimFile(FileOps& ops, const std::string& path);

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_CLAIM_H_
