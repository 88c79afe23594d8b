#include "sync/path_labels.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "base/file_ops.h"
#include "base/strings.h"

namespace datamanager::sync {
namespace {

constexpr std::string_view kTagPrefix = "tag=";
constexpr std::string_view kDatasetPrefix = "dataset=";

void AddOnce(std::string_view label, std::vector<std::string>& labels) {
  const std::string_view trimmed = ToStd(absl::StripAsciiWhitespace(ToAbsl(label)));
  if (trimmed.empty() || std::find(labels.begin(), labels.end(), trimmed) != labels.end()) return;
  labels.emplace_back(trimmed);
}

}  // namespace

PathLabels LabelsOfPath(std::string_view path, const std::vector<std::string>& config_tags) {
  PathLabels labels;
  for (const std::string& tag : config_tags) AddOnce(tag, labels.tags);
  std::string_view rest = path.substr(0, path.size() - BaseName(path).size());
  while (!rest.empty()) {
    const size_t slash = rest.find('/');
    const std::string_view segment = rest.substr(0, slash);
    if (segment.starts_with(kTagPrefix)) {
      AddOnce(segment.substr(kTagPrefix.size()), labels.tags);
    } else if (segment.starts_with(kDatasetPrefix)) {
      AddOnce(segment.substr(kDatasetPrefix.size()), labels.dataset_ids);
    }
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  return labels;
}

}  // namespace datamanager::sync
