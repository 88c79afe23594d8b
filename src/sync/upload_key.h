// The key under which a server stores a request, so that a repeat is stored once.
#ifndef DATAMANAGER_SRC_SYNC_UPLOAD_KEY_H_
#define DATAMANAGER_SRC_SYNC_UPLOAD_KEY_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "sync/local_file.h"

namespace datamanager::sync {

// Makes the keys of one file's requests: 128 bits of SHA-256, in hexadecimal, over the part id, the
// file's name, its size, its first and last 4 KiB, and the byte range that the request carries. The
// name is a capture file's or sequence's base name, so that moved capture directories give the same
// keys; with an upload to datasets it is the base name and the time of the last change, since the
// same may be uploaded again once it is stored; of other files, whose names are not unique, the
// absolute path and that time.
class UploadKeys {
 public:
  // Reads both ends of the file, by `read` if somebody has just read them.
  static absl::StatusOr<UploadKeys> Of(const LocalFile& file, std::string_view part_id);
  using Read = absl::FunctionRef<absl::Status(uint64_t offset, uint64_t size, char* out)>;
  static absl::StatusOr<UploadKeys> Of(const LocalFile& file, std::string_view part_id, Read read);

  // The key for the bytes from `begin` up to `end`.
  std::string ForRange(uint64_t begin, uint64_t end) const;

 private:
  std::string identity_;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_UPLOAD_KEY_H_
