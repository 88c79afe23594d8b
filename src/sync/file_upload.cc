#include "sync/file_upload.h"

#include <sys/stat.h>

#include <string>
#include <utility>

#include "base/sha256.h"
#include "sync/content_digest.h"
#include "sync/stream.h"
#include "sync/upload_key.h"
#include "sync/wire_field.h"

namespace datamanager::sync {
namespace {

namespace v1 = wire::viam::app::datasync::v1;

// Fields of FileUploadRequest and FileData.
constexpr int kPacketMetadata = 1;
constexpr int kPacketContents = 2;
constexpr int kContentsData = 1;

void SetTime(const timespec& time, google::protobuf::Timestamp& out) {
  out.set_seconds(time.tv_sec);
  out.set_nanos(static_cast<int32_t>(time.tv_nsec));
}

}  // namespace

Task<UploadResult> SendFile(const UploadContext& context, const LocalFile& file,
                            v1::UploadMetadata metadata, capture_file::Extent contents,
                            std::string asked) {
  UploadResult result{.step = "FileUpload", .kind = DataKind::kArbitrary};
  absl::StatusOr<std::string> digest =
      co_await DigestOf(file, contents, context.calls, context.stop, context.digests);
  if (!digest.ok()) {
    result.error = {.status = digest.status(),
                    .origin = ErrorOrigin::kFile,
                    .stopped = context.stop.stop_requested()};
    result.step = "read";
    co_return result;
  }
  const UploadKeys keys(context.part_id, file.found().kind, *digest, asked);
  result.key = keys.ForRange(contents.offset, contents.end());
  if (context.is_stored && context.is_stored(result.key)) co_return result;
  metadata.set_part_id(context.part_id);
  metadata.set_type(v1::DATA_TYPE_FILE);
  // Linux tells when the inode last changed; the reference sends that as the time of creation.
  SetTime(file.info().st_ctim, *metadata.mutable_file_create_time());
  SetTime(file.info().st_mtim, *metadata.mutable_file_modify_time());
  std::string first;
  AppendField(kPacketMetadata, metadata.SerializeAsString(), first);
  StreamedUpload upload(context, file, UploadMethod::kFileUpload,
                        {.connection = context.connection,
                         .upload_key = result.key,
                         .content_sha256 = ToHex(*digest),
                         .timeout = context.stall_timeout,
                         .reply_timeout = context.reply_timeout,
                         .stop = context.stop});
  const StreamedUpload::FrameHead frame_head = [](uint64_t size, std::string& message) {
    std::string data_head;
    AppendFieldHead(kContentsData, size, data_head);
    AppendFieldHead(kPacketContents, data_head.size() + size, message);
    message += data_head;
  };
  result.error = co_await upload.Send(first, contents, frame_head);
  if (v1::FileUploadResponse response; response.ParseFromString(upload.response())) {
    result.binary_data_id = response.binary_data_id();
  }
  co_return result;
}

}  // namespace datamanager::sync
