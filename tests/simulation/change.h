// What happens to a disk, in the terms of its medium.
#ifndef DATAMANAGER_TESTS_SIMULATION_CHANGE_H_
#define DATAMANAGER_TESTS_SIMULATION_CHANGE_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>

namespace datamanager::simulation {

// One call that succeeded. Paths are absolute; an object is a file, whatever its name.
struct Change {
  enum class Kind : uint8_t {
    kCreate,         // object, path
    kWrite,          // object, offset, data
    kTruncate,       // object, offset: the new size
    kRename,         // object, path, to
    kUnlink,         // object, path
    kMkdir,          // path
    kSyncFile,       // object
    kSyncDirectory,  // path
    kWriteBack,      // object
    kCommit,
    kSyncAll,
  };
  Kind kind;
  uint64_t object = 0;
  std::string path;
  std::string to;
  uint64_t offset = 0;
  std::string data;
};

// What a disk holds.
struct Image {
  std::set<std::string> directories;
  std::map<std::string, uint64_t> names;
  std::map<uint64_t, std::string> contents;
};

}  // namespace datamanager::simulation

#endif  // DATAMANAGER_TESTS_SIMULATION_CHANGE_H_
