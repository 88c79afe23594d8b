#include <string>
#include <string_view>
#include <utility>

#include "base/strings.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"
#include "sync/file_upload.h"
#include "sync/path_labels.h"
#include "sync/uploads.h"

namespace datamanager::sync {

Task<UploadResult> UploadArbitraryFile(const UploadContext& context, const LocalFile& file) {
  const std::string& path = file.found().path;
  if (!IsUtf8(path)) {
    co_return UploadResult{
        .error = {.status = absl::DataLossError("its path is not UTF-8, as the protocol demands"),
                  .origin = ErrorOrigin::kFile},
        .step = "FileUpload",
        .kind = DataKind::kArbitrary};
  }
  const std::string_view name = BaseName(path);
  const size_t dot = name.rfind('.');
  const UploadLabels labels = LabelsOfPath(path, context.tags, context.dataset_ids);

  datamanager::wire::viam::app::datasync::v1::UploadMetadata metadata;
  metadata.set_file_name(path);
  if (dot != std::string_view::npos) metadata.set_file_extension(std::string(name.substr(dot)));
  for (const std::string& tag : labels.tags) metadata.add_tags(tag);
  for (const std::string& id : labels.dataset_ids) metadata.add_dataset_ids(id);
  const capture_file::Extent all{.offset = 0, .size = file.size()};
  co_return co_await SendFile(context, file, std::move(metadata), all, context.asked);
}

}  // namespace datamanager::sync
