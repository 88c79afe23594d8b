#include <string>
#include <utility>

#include "base/strings.h"
#include "capture_file/file_name.h"
#include "sync/dataset_file.h"
#include "sync/file_upload.h"
#include "sync/uploads.h"

namespace datamanager::sync {

Task<UploadResult> UploadDatasetFile(const UploadContext& context, const LocalFile& file) {
  UploadResult result{.step = "read", .kind = DataKind::kArbitrary};
  absl::StatusOr<DatasetFileHead> head = ReadDatasetFileHead(file);
  absl::Status status = head.status();
  // As the contents would be called, in a file of their own.
  std::string name = capture_file::DatasetContentName(file.found().path);
  if (status.ok() && !IsUtf8(name)) {
    status = absl::DataLossError("its path is not UTF-8, as the protocol demands");
  }
  if (!status.ok()) {
    result.error = {.status = std::move(status), .origin = ErrorOrigin::kFile};
    co_return result;
  }
  // The same bytes may be for other datasets, too.
  std::string asked = head->metadata.SerializeAsString();
  head->metadata.set_file_name(std::move(name));
  const capture_file::Extent contents{.offset = head->size, .size = file.size() - head->size};
  co_return co_await SendFile(context, file, std::move(head->metadata), contents, std::move(asked));
}

}  // namespace datamanager::sync
