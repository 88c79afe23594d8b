// Tags and datasets that a file has from the directories it lies in.
#ifndef DATAMANAGER_SRC_SYNC_PATH_LABELS_H_
#define DATAMANAGER_SRC_SYNC_PATH_LABELS_H_

#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "datamanager/data_manager.h"

namespace datamanager::sync {

// Each directory `tag=V` above the file adds the tag V to `tags`, each `dataset=V` a dataset id to
// `dataset_ids`. White space around V does not count, and neither do an empty V and the file's own
// name. Each label once: the given ones first, then in the order of the path.
UploadLabels LabelsOfPath(std::string_view path, std::span<const std::string> tags,
                          std::span<const std::string> dataset_ids = {});

// INVALID_ARGUMENT, naming the first that is empty or not UTF-8. Pure.
absl::Status CheckLabels(const UploadLabels& labels);

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_PATH_LABELS_H_
