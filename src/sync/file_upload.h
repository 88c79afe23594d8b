// The call FileUpload: one file, or what stands in it from some byte on, beside its metadata.
#ifndef DATAMANAGER_SRC_SYNC_FILE_UPLOAD_H_
#define DATAMANAGER_SRC_SYNC_FILE_UPLOAD_H_

#include <string>

#include "base/task.h"
#include "capture_file/reader.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"
#include "sync/local_file.h"
#include "sync/uploads.h"

namespace datamanager::sync {

// Streams `contents` of the file. Adds to the metadata the part, the type and the file's times.
// `asked`: see UploadKeys.
Task<UploadResult> SendFile(const UploadContext& context, const LocalFile& file,
                            datamanager::wire::viam::app::datasync::v1::UploadMetadata metadata,
                            capture_file::Extent contents, std::string asked);

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_FILE_UPLOAD_H_
