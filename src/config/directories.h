// Where captured data waits, and what else sync walks.
#ifndef DATAMANAGER_SRC_CONFIG_DIRECTORIES_H_
#define DATAMANAGER_SRC_CONFIG_DIRECTORIES_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "config/effective_config.h"

namespace datamanager::config {

// Whether `path` is the root, as it is written.
bool IsRootDirectory(std::string_view path);

// `path` made absolute against the working directory, and normal, by its letters alone: without
// ".", "..", double or closing slashes.
absl::StatusOr<std::string> AbsolutePath(std::string_view path);

// Whether `path` is `directory` or lies in it, by their letters: both absolute and normal.
bool IsSameOrInside(std::string_view path, std::string_view directory);

// $VIAM_HOME/capture, else $HOME/.viam/capture. Fails if neither is known.
absl::StatusOr<std::string> DefaultCaptureDirectory(const Environment& environment);

// `configured` with its leading "~" replaced; absolute.
absl::StatusOr<std::string> ConfiguredDirectory(const std::string& configured,
                                                const Environment& environment);

// The same, or the default if it is empty; absolute.
absl::StatusOr<std::string> CaptureDirectory(const std::string& configured,
                                             const Environment& environment);

// What sync walks beside the capture directory: `paths`, and $HOME/.viam/capture if $VIAM_HOME
// moved the default away from there, the default is in use, and it exists. All are absolute. What
// is equal to or inside the capture directory or another of them is left out.
std::vector<std::string> FurtherRoots(std::vector<std::string> paths,
                                      const std::string& capture_directory,
                                      const Environment& environment);

}  // namespace datamanager::config

#endif  // DATAMANAGER_SRC_CONFIG_DIRECTORIES_H_
