#include "sync/stream.h"

#include <algorithm>
#include <utility>

#include "sync/await_call.h"

namespace datamanager::sync {
namespace {

// With its frame heads a piece of 64 KiB no longer fits the transport's 64 KiB writes, and costs a
// third to twice more CPU.
constexpr uint64_t kPieceBytes = 65000;
// What stands before a piece in its message takes no more.
constexpr uint64_t kMostHead = 16;
static_assert(MessageLimit::kSmallest > kMostHead);

}  // namespace

StreamedUpload::StreamedUpload(const UploadContext& context, const LocalFile& file,
                               UploadMethod method, CallOptions options)
    : context_(context), file_(file), method_(method), options_(std::move(options)) {}

Task<UploadError> StreamedUpload::Send(const std::string& first, capture_file::Extent extent,
                                       const FrameHead& frame_head) {
  CallResult call;
  bool smaller = false;
  int splits = 0;
  do {
    if (absl::Status fits = context_.message_limit.Check(first.size()); !fits.ok()) {
      co_return UploadError{.status = std::move(fits)};
    }
    const std::unique_ptr<UploadStream> stream = context_.calls.OpenStream(method_, options_);
    absl::Status written = co_await Write(*stream, first, extent, frame_head);
    if (!written.ok()) {
      co_return UploadError{.status = std::move(written),
                            .origin = ErrorOrigin::kFile,
                            .stopped = context_.stop.stop_requested()};
    }
    call = co_await AwaitFinish(*stream);
    options_.is_repeat = call.renewed;
    smaller = context_.message_limit.Learn(call.status) && ++splits <= MessageLimit::kMostSplits;
    if ((call.renewed || smaller) && context_.progress != nullptr) context_.progress->Restart();
  } while (call.renewed || smaller);
  response_ = std::move(call.response);
  co_return UploadError{.status = std::move(call.status),
                        .channel_ready = call.channel_ready,
                        .stopped = context_.stop.stop_requested(),
                        .sent = call.sent,
                        .stalled = call.stalled,
                        .pushback = call.pushback};
}

Task<absl::Status> StreamedUpload::Write(UploadStream& stream, const std::string& first,
                                         capture_file::Extent extent, const FrameHead& frame_head) {
  if (!co_await AwaitWrite(stream, first)) co_return absl::OkStatus();
  const uint64_t most = context_.message_limit.AtMost(kPieceBytes + kMostHead) - kMostHead;
  for (uint64_t offset = extent.offset; offset < extent.end();) {
    const uint64_t size = std::min({most, context_.calls.Sizes().piece, extent.end() - offset});
    std::string message;
    message.reserve(size + kMostHead);
    frame_head(size, message);
    const size_t head = message.size();
    message.resize(head + size);
    absl::Status status = file_.Read(offset, size, message.data() + head);
    if (!status.ok()) co_return status;
    if (!co_await AwaitWrite(stream, std::move(message))) co_return absl::OkStatus();
    offset += size;
    if (context_.progress != nullptr) context_.progress->Add(size);
  }
  co_return file_.CheckContents();
}

}  // namespace datamanager::sync
