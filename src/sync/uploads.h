// The uploads, one per kind of file. The context and the file must outlive the task.
#ifndef DATAMANAGER_SRC_SYNC_UPLOADS_H_
#define DATAMANAGER_SRC_SYNC_UPLOADS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/task.h"
#include "sync/content_digest.h"
#include "sync/local_file.h"
#include "sync/message_limit.h"
#include "sync/upload_error.h"
#include "sync/upload_progress.h"
#include "uploader/uploader.h"

namespace datamanager::sync {

// What an upload works with.
struct UploadContext {
  CallQueue& calls;
  MessageLimit& message_limit;
  std::string part_id;                      // What the uploads are filed under.
  std::shared_ptr<void> connection = {};    // Of the session: see CallOptions.
  std::chrono::milliseconds stall_timeout;  // While requests are on their way.
  std::chrono::milliseconds reply_timeout;  // Once they are sent.
  const std::vector<std::string>& tags;
  std::span<const std::string> dataset_ids = {};  // Beside those in a file's path.
  std::stop_token stop;
  UploadProgress* progress = nullptr;  // Of a stream, if it is to be told.
  ContentDigests* digests = nullptr;   // Of large files, if they are to be remembered.
  // Whether the file with this key, which names all of it, is known to be stored; if that may be.
  std::function<bool(const std::string& key)> is_stored = {};
  // What the caller of a direct upload wants beside the content: see UploadKeys.
  std::string asked = {};
};

// kUnreadable: a capture file that does not say which it is.
enum class DataKind : uint8_t { kTabular, kBinary, kArbitrary, kSequence, kUnreadable };

// How an upload ended. With an OK status everything that can be stored is.
struct UploadResult {
  UploadError error;
  std::string step;  // What failed.
  DataKind kind = DataKind::kUnreadable;
  uint64_t resume_offset = 0;  // Of a capture file: what lies before it need not be sent again.
  // The offset in a damaged capture file where its whole records end, and why. If the error is the
  // file's own, no whole record comes before it.
  std::optional<uint64_t> torn_at;
  absl::Status torn;
  std::string key;             // Of the whole file; empty if that was not needed.
  bool empty = false;          // It holds no record.
  std::string binary_data_id;  // Of a FileUpload: by which the server knows it.
};

// Sends the records of a complete capture file, from `resume_offset` on: tabular ones by the
// request, each at most 4 MiB unless one record is larger; binary ones singly, streamed beyond
// 1,000,000 bytes. No message exceeds the limit that the server has told: a request that does as it
// becomes known is split at once. A record that fits into none is not sent, and fails with the
// server's RESOURCE_EXHAUSTED.
Task<UploadResult> UploadCaptureFile(const UploadContext& context, const LocalFile& file,
                                     uint64_t resume_offset);

// Sends a sequence that has ended.
Task<UploadResult> UploadSequence(const UploadContext& context, const LocalFile& file);

// Streams any other file, whole from its start.
Task<UploadResult> UploadArbitraryFile(const UploadContext& context, const LocalFile& file);

// Streams the contents of a file that was written for an upload to datasets: see dataset_file.h.
Task<UploadResult> UploadDatasetFile(const UploadContext& context, const LocalFile& file);

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_UPLOADS_H_
