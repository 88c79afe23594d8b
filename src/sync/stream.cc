#include "sync/stream.h"

#include <algorithm>
#include <utility>

namespace datamanager::sync {
namespace {

// With its frame heads a piece of 64 KiB no longer fits the transport's 64 KiB writes, and costs a
// third to twice more CPU.
constexpr uint64_t kPieceBytes = 65000;

}  // namespace

StreamedUpload::StreamedUpload(const UploadContext& context, const LocalFile& file,
                               UploadMethod method, CallOptions options)
    : context_(context), file_(file), stream_(context.uploader.OpenStream(method, options)) {}

UploadError StreamedUpload::Send(std::string first, capture_file::Extent extent,
                                 const FrameHead& frame_head) {
  const auto file_error = [this](absl::Status status) {
    return UploadError{.status = std::move(status),
                       .origin = ErrorOrigin::kFile,
                       .stopped = context_.stop.stop_requested()};
  };
  if (!stream_->Write(std::move(first))) return End();
  for (uint64_t offset = extent.offset; offset < extent.end();) {
    const uint64_t size = std::min(kPieceBytes, extent.end() - offset);
    std::string message;
    message.reserve(size + 16);
    frame_head(size, message);
    const size_t head = message.size();
    message.resize(head + size);
    absl::Status status = file_.Read(offset, size, message.data() + head);
    if (!status.ok()) return file_error(std::move(status));
    if (!stream_->Write(std::move(message))) return End();
    offset += size;
    if (context_.progress != nullptr) context_.progress->Add(size);
  }
  if (absl::Status status = file_.CheckUnchanged(); !status.ok()) {
    return file_error(std::move(status));
  }
  return End();
}

UploadError StreamedUpload::End() {
  CallResult call = stream_->Finish();
  response_ = std::move(call.response);
  return {.status = std::move(call.status),
          .channel_ready = call.channel_ready,
          .stopped = context_.stop.stop_requested(),
          .sent = call.sent,
          .stalled = call.stalled};
}

}  // namespace datamanager::sync
