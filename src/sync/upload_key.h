// The key under which a server stores a request, so that a repeat is stored once.
#ifndef DATAMANAGER_SRC_SYNC_UPLOAD_KEY_H_
#define DATAMANAGER_SRC_SYNC_UPLOAD_KEY_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "sync/found_file.h"

namespace datamanager::sync {

// Makes the keys of one file's requests: 128 bits of SHA-256, in hexadecimal, over the part id, the
// kind of the file, its content's digest, and the byte range that the request carries. Neither a
// name nor a time enters: a file that is moved or copied keeps its keys, and two files that differ
// in one byte have none in common.
class UploadKeys {
 public:
  // `digest` is the SHA-256 of the whole file. `asked` holds what a caller wants beside the
  // content, such as datasets: the same file may be uploaded once for each.
  UploadKeys(std::string_view part_id, FileKind kind, std::string_view digest,
             std::string_view asked = "");

  // The key for the bytes from `begin` up to `end`.
  std::string ForRange(uint64_t begin, uint64_t end) const;

 private:
  std::string identity_;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_UPLOAD_KEY_H_
