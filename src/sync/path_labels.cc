#include "sync/path_labels.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
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

absl::Status CheckList(std::string_view what, const std::vector<std::string>& labels) {
  for (size_t i = 0; i < labels.size(); ++i) {
    const char* const fault = labels[i].empty()    ? " is empty"
                              : !IsUtf8(labels[i]) ? " is not UTF-8, as the protocol demands"
                                                   : nullptr;
    if (fault != nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(ToAbsl(what), "[", i, "]", fault));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckLabels(const UploadLabels& labels) {
  absl::Status status = CheckList("tags", labels.tags);
  return status.ok() ? CheckList("dataset_ids", labels.dataset_ids) : status;
}

UploadLabels LabelsOfPath(std::string_view path, std::span<const std::string> tags,
                          std::span<const std::string> dataset_ids) {
  UploadLabels labels;
  for (const std::string& tag : tags) AddOnce(tag, labels.tags);
  for (const std::string& id : dataset_ids) AddOnce(id, labels.dataset_ids);
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
