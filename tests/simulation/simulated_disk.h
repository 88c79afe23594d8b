// A disk that numbers what is asked of it, fails on demand, and writes down what changes on it.
#ifndef DATAMANAGER_TESTS_SIMULATION_SIMULATED_DISK_H_
#define DATAMANAGER_TESTS_SIMULATION_SIMULATED_DISK_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_ops.h"
#include "base/mutex.h"
#include "tests/simulation/change.h"

namespace datamanager::simulation {

enum class Call : uint8_t {
  kOpen,
  kCreate,
  kWrite,
  kPread,
  kFstat,
  kLstat,
  kAccess,
  kFtruncate,
  kFdatasync,
  kFsync,
  kSyncFileRange,
  kSyncfs,
  kRename,
  kUnlink,
  kMkdir,
  kLock,
  kLease,
  kReadDirectory,
  kStatvfs,
};
std::string_view CallName(Call call);
// What the call can fail with on a disk that is full, broken, read-only, over its quota, or not
// ours; in a process without descriptors or memory; EINTR for those calls that FileOps does not
// repeat.
const std::vector<int>& ErrorsOf(Call call);

struct Fault {
  enum class Kind : uint8_t {
    kNone,
    kError,       // The call fails.
    kShortWrite,  // It stores the first half, and the next write fails: the disk is full.
    kLostReply,   // It is done, and said to have failed.
    kOutage,      // It fails, and so does every one after it until Heal.
  };
  Kind kind = Kind::kNone;
  size_t at = 0;  // The number of the call, from 0 on.
  int error = 0;
  // Which call. Another one may have this number, because threads race: then the next such call
  // is meant. Not for an outage.
  std::optional<Call> call = std::nullopt;
};

// Broken disks, for tests of the tests.
struct Flaws {
  bool drops_directory_flushes = false;
  bool drops_data_flushes = false;
  bool drops_commits = false;  // Commits of the journal, and of the whole file system.
  bool drops_truncations = false;
  bool hides_changes = false;      // A file looks for ever as when it was first looked at.
  bool leaks_descriptors = false;  // By every failed open.
};

// The real file system below a directory, which should lie in memory. Only notes flushes to the
// medium. It has a journal, as ext4 and XFS have: an fdatasync of a file without a name whose size
// has changed since the last one commits it. Thread-safe, except Plan, Record and SetCommitMethod,
// which come first, and SetFlaws, which comes while no call is under way.
class SimulatedDisk final : public FileOps {
 public:
  // `root` is the directory whose listings are counted.
  explicit SimulatedDisk(std::string root) : root_(std::move(root)) {}

  void Plan(Fault fault) { fault_ = fault; }
  void SetFlaws(Flaws flaws) { flaws_ = flaws; }
  void SetCommitMethod(CommitMethod method) { commit_method_ = method; }
  // Faults are over, and calls no longer counted.
  void Heal() DM_EXCLUDES(mutex_);
  // The calls until Heal, in their order.
  std::vector<Call> calls() const DM_EXCLUDES(mutex_);

  // From here on changes are written down; what is below the root's parent is there already.
  void Record();
  // What has changed since, in order.
  const std::vector<Change>& changes() const { return changes_; }
  size_t change_count() const DM_EXCLUDES(mutex_);
  const Image& recorded_from() const { return recorded_from_; }

  // Makes flushes of files wait for ReleaseFlushes.
  void HoldFlushes() DM_EXCLUDES(mutex_);
  void ReleaseFlushes() DM_EXCLUDES(mutex_);

  // How many listings of the root have come to an end, for whatever reason. A recovery of the tree
  // ends with one.
  int listings() const DM_EXCLUDES(mutex_);
  // False: no more of them in time.
  bool WaitForListing(int before) DM_EXCLUDES(mutex_);

  // How often a file in progress has been looked at with Fstat.
  int looks() const DM_EXCLUDES(mutex_);
  // False: not so often in time.
  bool WaitForLooks(int looks) DM_EXCLUDES(mutex_);

  int OpenAt(int dir, const char* path, int flags, mode_t mode) override;
  int OpenWithoutLinks(const char* path, int flags) override;
  ssize_t Write(int fd, const void* data, size_t size) override;
  ssize_t Writev(int fd, const iovec* parts, int count) override;
  ssize_t Pread(int fd, void* data, size_t size, off_t offset) override;
  int Fstat(int fd, struct stat* result) override;
  int LstatAt(int dir, const char* path, struct stat* result) override;
  int AccessAt(int dir, const char* path, int mode) override;
  int Ftruncate(int fd, off_t size) override;
  int Fdatasync(int fd) override;
  int Fsync(int fd) override;
  int SyncFileRange(int fd, unsigned flags) override;
  int Syncfs(int fd) override;
  CommitMethod CommitMethodFor(int) override { return commit_method_; }
  int RenameNoReplaceAt(int from_dir, const char* from, int to_dir, const char* to) override;
  int UnlinkAt(int dir, const char* path) override;
  int MkdirAt(int dir, const char* path, mode_t mode) override;
  int TryLock(int fd) override;
  int TryLease(int fd, int type) override;
  const dirent* ReadDirectory(DIR* directory) override;
  int Statvfs(const char* path, struct statvfs* result) override;

 private:
  enum class Fate : uint8_t { kDone, kFails, kCut, kDoneButFails };
  // Numbers the call; sets errno if it is to fail.
  Fate Next(Call call) DM_EXCLUDES(mutex_);
  template <typename Effect>
  auto Do(Call call, Effect effect) -> decltype(effect());
  bool IsRoot(int fd);
  void WaitForRelease() DM_EXCLUDES(mutex_);
  void EndListing() DM_EXCLUDES(mutex_);
  void Note(Change change) DM_EXCLUDES(mutex_);
  uint64_t ObjectOf(int fd) DM_EXCLUDES(mutex_);
  uint64_t ObjectOf(ino_t inode) DM_EXCLUDES(mutex_);
  uint64_t NewObject(ino_t inode) DM_EXCLUDES(mutex_);
  // Whether it has no name; a change of its size is remembered until a flush.
  bool IsUnnamed(uint64_t object) const DM_EXCLUDES(mutex_);
  void NoteSizeOfUnnamed(uint64_t object) DM_EXCLUDES(mutex_);
  bool TakeSizeOfUnnamed(uint64_t object) DM_EXCLUDES(mutex_);
  void Disguise(struct stat* result) DM_EXCLUDES(mutex_);

  const std::string root_;
  Fault fault_;
  Flaws flaws_;
  // The method of a file system in memory, so that the calls come in the same order each time.
  CommitMethod commit_method_ = CommitMethod::kInTurn;
  bool recording_ = false;
  Image recorded_from_;

  mutable Mutex mutex_;
  CondVar changed_;
  bool healthy_ DM_GUARDED_BY(mutex_) = false;
  bool struck_ DM_GUARDED_BY(mutex_) = false;  // The fault has happened.
  bool full_ DM_GUARDED_BY(mutex_) = false;    // The next write fails.
  std::vector<Call> calls_ DM_GUARDED_BY(mutex_);
  int listings_ DM_GUARDED_BY(mutex_) = 0;
  int looks_ DM_GUARDED_BY(mutex_) = 0;
  bool flushes_are_held_ DM_GUARDED_BY(mutex_) = false;
  // Inodes are reused; objects are not.
  std::map<ino_t, uint64_t> objects_ DM_GUARDED_BY(mutex_);
  uint64_t next_object_ DM_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, bool> unnamed_ DM_GUARDED_BY(mutex_);  // Whether its size has changed.
  std::map<ino_t, struct stat> first_looks_ DM_GUARDED_BY(mutex_);
  std::vector<Change> changes_;  // Guarded by mutex_ while somebody writes.
};

}  // namespace datamanager::simulation

#endif  // DATAMANAGER_TESTS_SIMULATION_SIMULATED_DISK_H_
