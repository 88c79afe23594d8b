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

// The serialized DataCaptureMetadata of a collector's files. INVALID_ARGUMENT for parameters that
// cannot be encoded. `mime_type` is the payload's, for binary methods.
absl::StatusOr<std::string> CollectorMetadata(const config::CollectorSettings& settings,
                                              const Method& method,
                                              const std::vector<std::string>& tags,
                                              std::string_view mime_type);

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_COLLECTOR_METADATA_H_
