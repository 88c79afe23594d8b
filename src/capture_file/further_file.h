// The file that receives whole records from behind damage.
#ifndef DATAMANAGER_SRC_CAPTURE_FILE_FURTHER_FILE_H_
#define DATAMANAGER_SRC_CAPTURE_FILE_FURTHER_FILE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "base/unique_fd.h"
#include "capture_file/reader.h"
#include "capture_file/salvage.h"

namespace datamanager::capture_file {

// Written beside the damaged file under a name of its own (see FurtherName), so that a process that
// dies at any moment loses no record and has none twice:
//
//   1. Write: the copy, and its name, are durable; sync does not take it under that name;
//   2. the caller cuts the damaged file, or removes it, durably;
//   3. Publish.
//
// Before 2 the next run finds the same records in the damaged file and writes the file again; from
// then on it finds the further file alone and publishes it. Locked for as long as it is open.
class FurtherFile {
 public:
  // Copies the metadata and the runs of `salvage` from `fd`, which is open on the file `name` in
  // `directory`. The caller holds that file's lock.
  static absl::StatusOr<FurtherFile> Write(FileOps& ops, int directory, std::string_view name,
                                           int fd, const Salvage& salvage,
                                           const KeepGoing& keep_going);

  // The one that a process left which died behind step 2, if `name`, which is damaged no more, ends
  // at `offset`. NOT_FOUND if there is none.
  static absl::StatusOr<FurtherFile> OpenLeft(FileOps& ops, int directory, std::string_view name,
                                              uint64_t offset);

  // Gives it its final name, and makes that durable. `first_name`: whether the damaged file's own
  // name is tried first, or else the one of the next microsecond. Returns the name.
  absl::StatusOr<std::string> Publish(FileOps& ops, bool first_name);
  // Removes it.
  void Drop(FileOps& ops);

 private:
  static std::string NameFor(std::string_view name, uint64_t offset);

  FurtherFile(UniqueFd directory, UniqueFd fd, std::string damaged, std::string name)
      : directory_(std::move(directory)),
        fd_(std::move(fd)),
        damaged_(std::move(damaged)),
        name_(std::move(name)) {}

  UniqueFd directory_;
  UniqueFd fd_;
  std::string damaged_;  // The base name of the damaged file.
  std::string name_;
};

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_FURTHER_FILE_H_
