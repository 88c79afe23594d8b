// A part of a file on its way through a client stream.
#ifndef DATAMANAGER_SRC_SYNC_STREAM_H_
#define DATAMANAGER_SRC_SYNC_STREAM_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "base/task.h"
#include "capture_file/reader.h"
#include "sync/local_file.h"
#include "sync/upload_error.h"
#include "sync/uploads.h"
#include "uploader/uploader.h"

namespace datamanager::sync {

// Sends a first message and then a stretch of the file in pieces, none of which it keeps. Before
// the stream is ended, the file must be as it was: else it is cancelled, so that the server never
// sees a mixture as whole. A stream that the server rejected for its token alone is repeated, once;
// one whose pieces were larger than the server takes, with smaller ones.
// Used by one thread.
class StreamedUpload {
 public:
  // Appends to `message` what stands before the `size` bytes of a piece.
  using FrameHead = std::function<void(uint64_t size, std::string& message)>;

  StreamedUpload(const UploadContext& context, const LocalFile& file, UploadMethod method,
                 CallOptions options);

  // The arguments must outlive the task.
  Task<UploadError> Send(const std::string& first, capture_file::Extent extent,
                         const FrameHead& frame_head);
  // The serialized reply, if that succeeded.
  const std::string& response() const { return response_; }

 private:
  // Writes everything. An error is the file's; a stream that ends early is no error here.
  Task<absl::Status> Write(UploadStream& stream, const std::string& first,
                           capture_file::Extent extent, const FrameHead& frame_head);

  const UploadContext& context_;
  const LocalFile& file_;
  const UploadMethod method_;
  CallOptions options_;
  std::string response_;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_STREAM_H_
