// Files that hold what nobody else should read.
#ifndef DATAMANAGER_SRC_CLOUD_SECRET_FILE_H_
#define DATAMANAGER_SRC_CLOUD_SECRET_FILE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace datamanager::cloud {

// The first line of the regular file at `path`, through links. INVALID_ARGUMENT says what is wrong
// with it and what to do, beginning with `field`, the place in the config that names it. A file
// that others than its owner can read draws a warning. Neither tells what is in it.
absl::StatusOr<std::string> ReadSecretFile(std::string_view field, const std::string& path,
                                           std::vector<std::string>& warnings);

// The warning, without the field.
std::string OthersMayRead(const std::string& path);

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_SECRET_FILE_H_
