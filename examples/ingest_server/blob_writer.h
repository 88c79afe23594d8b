// Binary payloads and files, each a file of the blob directory that is named by its SHA-256.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_BLOB_WRITER_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_BLOB_WRITER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/sha256.h"
#include "base/unique_fd.h"

namespace ingest {

struct Blob {
  std::string sha256;  // In hexadecimal.
  int64_t size = 0;
};

// Writes one blob under a temporary name, and takes it away again unless it was finished.
// One thread at a time.
class BlobWriter {
 public:
  static absl::StatusOr<std::unique_ptr<BlobWriter>> Create(const std::string& directory);
  // Removes what a process that died has left half-written; what others are writing stays.
  static void RemoveAbandoned(const std::string& directory);

  ~BlobWriter();
  BlobWriter(const BlobWriter&) = delete;
  BlobWriter& operator=(const BlobWriter&) = delete;

  absl::Status Append(std::string_view bytes);
  // Flushes the content to media and names it. The name itself lasts once the directory is flushed,
  // which the store does for all blobs of a transaction together. Once.
  absl::StatusOr<Blob> Finish();

 private:
  BlobWriter(std::string directory, std::string path, datamanager::UniqueFd fd);

  const std::string directory_;
  const std::string path_;
  const datamanager::UniqueFd fd_;
  datamanager::Sha256 digest_;
  int64_t size_ = 0;
  bool named_ = false;
};

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_BLOB_WRITER_H_
