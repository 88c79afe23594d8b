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

// A further file is written beside the damaged file under a name of its own (see FurtherName), so
// that a process that dies at any moment neither loses a record nor stores one twice:
//
//  1. Write makes the copy and its name durable; sync does not take it under that name;
//  2. the caller cuts the damaged file, or removes it, durably;
//  3. Publish gives the copy its final name.
//
// Before step 2 the next run finds the same records in the damaged file and writes the further file
// again; after step 2 it finds the further file alone and publishes it. The file is locked as long
// as it is open.
class FurtherFile {
 public:
  // Copies the metadata and the runs of `salvage` from `fd`, which is open on the file `name` in
  // `directory`. The caller holds that file's lock.
  static absl::StatusOr<FurtherFile> Write(FileOps& ops, int directory, std::string_view name,
                                           int fd, const Salvage& salvage,
                                           const KeepGoing& keep_going);

  // Opens the further file of a process that died after step 2, if `name`, which is no longer
  // damaged, ends at `offset`. NOT_FOUND if there is none.
  static absl::StatusOr<FurtherFile> OpenLeft(FileOps& ops, int directory, std::string_view name,
                                              uint64_t offset);

  // Gives the file its final name and makes that durable. `first_name`: try the damaged file's own
  // name first; otherwise begin with that of the next microsecond. Returns the name.
  absl::StatusOr<std::string> Publish(FileOps& ops, bool first_name);
  // Removes the file.
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
