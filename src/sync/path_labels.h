// Tags and datasets that a file has from the directories it lies in.
#ifndef DATAMANAGER_SRC_SYNC_PATH_LABELS_H_
#define DATAMANAGER_SRC_SYNC_PATH_LABELS_H_

#include <string>
#include <string_view>
#include <vector>

namespace datamanager::sync {

struct PathLabels {
  std::vector<std::string> tags;
  std::vector<std::string> dataset_ids;
};

// Each directory `tag=V` above the file adds the tag V to `config_tags`, each `dataset=V` a dataset
// id. White space around V does not count, and neither do an empty V and the file's own name. Each
// label once: the config's first, then in the order of the path.
PathLabels LabelsOfPath(std::string_view path, const std::vector<std::string>& config_tags);

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_PATH_LABELS_H_
