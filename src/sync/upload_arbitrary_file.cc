#include <string>
#include <string_view>
#include <utility>

#include "base/strings.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"
#include "sync/path_labels.h"
#include "sync/stream.h"
#include "sync/upload_key.h"
#include "sync/uploads.h"
#include "sync/wire_field.h"

namespace datamanager::sync {
namespace {

namespace wire = datamanager::wire::viam::app::datasync::v1;

// Fields of FileUploadRequest and FileData.
constexpr int kPacketMetadata = 1;
constexpr int kPacketContents = 2;
constexpr int kContentsData = 1;

void SetTime(const timespec& time, google::protobuf::Timestamp& out) {
  out.set_seconds(time.tv_sec);
  out.set_nanos(static_cast<int32_t>(time.tv_nsec));
}

std::string MetadataOf(const UploadContext& context, const LocalFile& file) {
  const std::string& path = file.found().path;
  const std::string_view name = BaseName(path);
  const size_t dot = name.rfind('.');
  const PathLabels labels = LabelsOfPath(path, context.tags);

  wire::UploadMetadata metadata;
  metadata.set_part_id(context.uploader.part_id());
  metadata.set_type(wire::DATA_TYPE_FILE);
  metadata.set_file_name(path);
  if (dot != std::string_view::npos) metadata.set_file_extension(std::string(name.substr(dot)));
  // Linux tells when the inode last changed; the reference sends that as the time of creation.
  SetTime(file.info().st_ctim, *metadata.mutable_file_create_time());
  SetTime(file.info().st_mtim, *metadata.mutable_file_modify_time());
  for (const std::string& tag : labels.tags) metadata.add_tags(tag);
  for (const std::string& id : labels.dataset_ids) metadata.add_dataset_ids(id);
  return metadata.SerializeAsString();
}

}  // namespace

UploadResult UploadArbitraryFile(const UploadContext& context, const LocalFile& file) {
  UploadResult result{.step = "FileUpload", .kind = DataKind::kArbitrary};
  if (!IsUtf8(file.found().path)) {
    result.error = {.status = absl::DataLossError("its path is not UTF-8, as the protocol demands"),
                    .origin = ErrorOrigin::kFile};
    return result;
  }
  absl::StatusOr<UploadKeys> keys = UploadKeys::Of(file, context.uploader.part_id());
  if (!keys.ok()) {
    result.error = {.status = keys.status(), .origin = ErrorOrigin::kFile};
    return result;
  }
  std::string first;
  AppendField(kPacketMetadata, MetadataOf(context, file), first);
  StreamedUpload upload(context, file, UploadMethod::kFileUpload,
                        {.upload_key = keys->ForRange(0, file.size()),
                         .timeout = context.stall_timeout,
                         .reply_timeout = context.reply_timeout,
                         .stop = context.stop});
  result.error = upload.Send(first, {.offset = 0, .size = file.size()},
                             [](uint64_t size, std::string& message) {
                               std::string data_head;
                               AppendFieldHead(kContentsData, size, data_head);
                               AppendFieldHead(kPacketContents, data_head.size() + size, message);
                               message += data_head;
                             });
  return result;
}

}  // namespace datamanager::sync
