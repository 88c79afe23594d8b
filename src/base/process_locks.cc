#include "base/process_locks.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "base/mutex.h"

namespace datamanager {
namespace {

using Key = std::pair<dev_t, ino_t>;

struct Table {
  Mutex mutex;
  std::map<Key, int> owners DM_GUARDED_BY(mutex);
};

Table& TheTable() {
  // Never destroyed: a thread that was left alone may outlive main().
  static auto* const table = new Table;
  return *table;
}

}  // namespace

int ProcessLocks::Take(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return -1;
  const Key key(info.st_dev, info.st_ino);
  Table& table = TheTable();
  MutexLock lock(table.mutex);
  const auto [entry, added] = table.owners.emplace(key, fd);
  if (added) {
    ++held_;
    return 0;
  }
  if (entry->second != fd) {
    // A descriptor that was closed by other means holds no lock.
    struct stat owner {};
    if (::fstat(entry->second, &owner) == 0 && Key(owner.st_dev, owner.st_ino) == key) {
      errno = EWOULDBLOCK;
      return -1;
    }
    entry->second = fd;
  }
  return 0;
}

bool ProcessLocks::IsHeld(int fd) {
  Table& table = TheTable();
  MutexLock lock(table.mutex);
  return std::any_of(table.owners.begin(), table.owners.end(),
                     [fd](const auto& entry) { return entry.second == fd; });
}

void ProcessLocks::ReleaseHeld(int fd) {
  Table& table = TheTable();
  MutexLock lock(table.mutex);
  held_ -= std::erase_if(table.owners, [fd](const auto& entry) { return entry.second == fd; });
}

}  // namespace datamanager
