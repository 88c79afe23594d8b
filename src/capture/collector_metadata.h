// What a capture file says about the collector that wrote it.
#ifndef DATAMANAGER_SRC_CAPTURE_COLLECTOR_METADATA_H_
#define DATAMANAGER_SRC_CAPTURE_COLLECTOR_METADATA_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "capture/methods.h"
#include "config/effective_config.h"

namespace datamanager::capture {

// The limit on a MIME type; registered ones have at most 255 bytes.
inline constexpr size_t kMaxMimeTypeBytes = 1024;

// Returns the serialized DataCaptureMetadata of a collector's files. INVALID_ARGUMENT for metadata
// that no reader or server takes: a tag, a parameter or its key that is not UTF-8, parameters that
// are nested too deep, more than kMaxMetadataBytes in all. `mime_type` is the payload's, for binary
// methods: UTF-8, and at most kMaxMimeTypeBytes. If it is not known yet, room is left for the
// longest.
absl::StatusOr<std::string> CollectorMetadata(const config::CollectorSettings& settings,
                                              const Method& method,
                                              const std::vector<std::string>& tags,
                                              std::string_view mime_type);

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_COLLECTOR_METADATA_H_
