// MIME types and the file extensions that the protocol has for them.
#ifndef DATAMANAGER_SRC_SYNC_MIME_TYPE_H_
#define DATAMANAGER_SRC_SYNC_MIME_TYPE_H_

#include <string_view>

namespace datamanager::sync {

// ".jpeg" for "image/jpeg"; empty for a type without one. Pure.
std::string_view ExtensionOf(std::string_view mime_type);

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_MIME_TYPE_H_
