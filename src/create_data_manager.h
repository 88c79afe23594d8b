// How tests make a DataManager whose disk they can make fail.
#ifndef DATAMANAGER_SRC_CREATE_DATA_MANAGER_H_
#define DATAMANAGER_SRC_CREATE_DATA_MANAGER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "datamanager/data_manager.h"

namespace datamanager {

// DataManager::Create, with all that capture and sync do to the disk going through `ops`, which
// must outlive the threads that Close had to leave alone.
absl::StatusOr<std::unique_ptr<DataManager>> CreateDataManager(DataManagerOptions options,
                                                               FileOps& ops);

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_CREATE_DATA_MANAGER_H_
