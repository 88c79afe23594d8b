// Bytes on their way to datasets, as they wait on disk: one file with all that the upload takes, so
// that a restart finds it whole or not at all.
//
//   file     = metadata contents
//   metadata = length UploadMetadata      tags, dataset_ids, mime_type, file_extension, type FILE
//   length   = the message's size in bytes as a base-128 varint; at most 1 MiB, never 0
//   contents = the bytes, up to the file's end
//
// It lies at <capture_dir>/datasetUpload/<digest><extension>.upload, where <digest> is 128 bits of
// SHA-256, in hexadecimal, over the file. So the same bytes with the same labels have one place:
// while they wait there, another upload of them joins the first. Once they are stored the place is
// free, and a further upload is a new one.
#ifndef DATAMANAGER_SRC_SYNC_DATASET_FILE_H_
#define DATAMANAGER_SRC_SYNC_DATASET_FILE_H_

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "datamanager/data_manager.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"
#include "sync/local_file.h"
#include "sync/roots.h"

namespace datamanager::sync {

// What is to be written: the contents are the caller's, and not copied.
class DatasetFile {
 public:
  // INVALID_ARGUMENT names what cannot be uploaded: no bytes at all, labels that are empty or no
  // UTF-8, or so many that they take more than 1 MiB. Each label counts once.
  static absl::StatusOr<DatasetFile> Make(std::string_view contents, const UploadLabels& labels,
                                          std::string_view mime_type);

  // "<digest><extension>.upload".
  const std::string& name() const { return name_; }

  // Puts it below `root`, the capture directory, and makes it durable: data, name, directories. If
  // the same waits there already, that is as good: nullopt, else which file was made. Of one that
  // cannot be written nothing is left. `about_to_name` is called once the file is there, right
  // before it gets its name.
  absl::StatusOr<std::optional<FileId>> Write(FileOps& ops, const Root& root,
                                              const std::function<void()>& about_to_name) const;

 private:
  DatasetFile() = default;
  absl::StatusOr<std::optional<FileId>> WriteTo(FileOps& ops, int directory,
                                                const std::string& path,
                                                const std::function<void()>& about_to_name) const;

  std::string head_;  // The metadata, with its length.
  std::string_view contents_;
  std::string name_;
};

// What one says of itself.
struct DatasetFileHead {
  datamanager::wire::viam::app::datasync::v1::UploadMetadata metadata;
  uint64_t size = 0;  // Where the contents begin.
};
// DATA_LOSS if it is none.
absl::StatusOr<DatasetFileHead> ReadDatasetFileHead(const LocalFile& file);

// Removes what dead processes left half-written in `datasetUpload` below the roots. Any thread with
// all signals blocked.
void RemoveAbandonedDatasetFiles(FileOps& ops, const std::vector<Root>& roots,
                                 const std::stop_token& stop,
                                 const std::function<void(const std::string& path)>& removed);

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_DATASET_FILE_H_
