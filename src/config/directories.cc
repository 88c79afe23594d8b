#include "config/directories.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace datamanager::config {
namespace {

std::string Normal(const std::filesystem::path& path) {
  std::string normal = path.lexically_normal().string();
  while (normal.size() > 1 && normal.back() == '/') normal.pop_back();
  return normal;
}

// Where the reference captures without $VIAM_HOME.
std::string HomeCaptureDirectory(const Environment& environment) {
  return absl::StrCat(environment.home, "/.viam/capture");
}

absl::Status NoHome() {
  return absl::InvalidArgumentError("no home directory is known: set HOME or name a directory");
}

}  // namespace

bool IsRootDirectory(std::string_view path) { return Normal(path) == "/"; }

absl::StatusOr<std::string> AbsolutePath(std::string_view path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("is relative, and the working directory cannot be told: ", error.message()));
  }
  return Normal(absolute);
}

bool IsSameOrInside(std::string_view path, std::string_view directory) {
  if (directory == "/") return true;
  return path.starts_with(directory) &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

absl::StatusOr<std::string> DefaultCaptureDirectory(const Environment& environment) {
  if (!environment.viam_home.empty()) {
    return AbsolutePath(absl::StrCat(environment.viam_home, "/capture"));
  }
  if (environment.home.empty()) return NoHome();
  return AbsolutePath(HomeCaptureDirectory(environment));
}

absl::StatusOr<std::string> ConfiguredDirectory(const std::string& configured,
                                                const Environment& environment) {
  if (!configured.starts_with('~')) return AbsolutePath(configured);
  if (environment.home.empty()) return NoHome();
  return AbsolutePath(absl::StrCat(environment.home, "/", configured.substr(1)));
}

absl::StatusOr<std::string> CaptureDirectory(const std::string& configured,
                                             const Environment& environment) {
  return configured.empty() ? DefaultCaptureDirectory(environment)
                            : ConfiguredDirectory(configured, environment);
}

std::vector<std::string> FurtherRoots(std::vector<std::string> paths,
                                      const std::string& capture_directory,
                                      const Environment& environment) {
  // $VIAM_HOME moved the default: what was captured before may still wait where it was. A directory
  // that the config names itself says nothing about the default, which then is somebody else's.
  const absl::StatusOr<std::string> now = DefaultCaptureDirectory(environment);
  const absl::StatusOr<std::string> before = AbsolutePath(HomeCaptureDirectory(environment));
  std::error_code ignored;  // Whatever cannot be looked at cannot be walked either.
  if (now.ok() && before.ok() && !environment.home.empty() && capture_directory == *now &&
      std::filesystem::is_directory(*before, ignored)) {
    paths.push_back(*before);
  }
  std::vector<std::string> roots;
  for (std::string& path : paths) {
    const auto covers = [&path](const std::string& root) { return IsSameOrInside(path, root); };
    if (covers(capture_directory) || std::any_of(roots.begin(), roots.end(), covers)) continue;
    std::erase_if(roots, [&path](const std::string& root) { return IsSameOrInside(root, path); });
    roots.push_back(std::move(path));
  }
  return roots;
}

}  // namespace datamanager::config
