#ifndef DATAMANAGER_SRC_CLOUD_UNARY_CALL_H_
#define DATAMANAGER_SRC_CLOUD_UNARY_CALL_H_

#include <string>

#include "cloud/connectivity.h"
#include "uploader/uploader.h"

namespace datamanager::cloud {

// See sync::Uploader::Unary.
sync::CallResult CallUnary(Connectivity& connectivity, sync::UploadMethod method,
                           std::string request, const sync::CallOptions& options);

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_UNARY_CALL_H_
