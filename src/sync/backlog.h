// The capture files that wait, oldest first.
#ifndef DATAMANAGER_SRC_SYNC_BACKLOG_H_
#define DATAMANAGER_SRC_SYNC_BACKLOG_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "capture_file/file_name.h"

namespace datamanager::sync {

// Of what a walk adds, keeps the oldest by the time in their names, up to a limit, so that memory
// does not grow with the backlog; when they are taken, the next walk adds from there on. A file is
// 16 bytes, from which its name is made again. One thread.
class Backlog {
 public:
  struct Limits {
    size_t files = 65536;
    size_t directories = 4096;
  };

  explicit Backlog(Limits limits) : limits_(limits) {}

  struct Directory {
    std::string root;
    std::string path;
  };
  // A number for a directory: the same at each call. nullopt beyond the limit.
  std::optional<int> AddDirectory(const std::string& root, const std::string& path);
  // nullopt if it was not added.
  std::optional<int> FindDirectory(const std::string& path) const;
  const Directory& directory(int index) const { return directories_[static_cast<size_t>(index)]; }

  // Of all files in a walk, in any order, those in directories that have a number and with names
  // that capture made. What was taken before, or lay before what was, is passed over.
  void Add(int directory, const capture_file::CompleteStamp& stamp);
  // The walk is over.
  void Sort();

  struct File {
    int directory = 0;
    std::string name;
  };
  // The oldest of them; nullopt when all are taken.
  std::optional<File> Take();
  // Whether the walk met more than fitted: walk again, and go on. Those added after the first walk
  // do not make it endless.
  bool more() const { return left_out_.has_value(); }
  // Before another walk.
  void GoOn();

 private:
  struct Entry {
    int64_t micros;
    int32_t directory;
    int16_t zone_minutes;
  };
  static_assert(sizeof(Entry) == 16);
  static bool IsOlder(const Entry& a, const Entry& b) { return a.micros < b.micros; }
  void LeaveOut(int64_t micros);

  const Limits limits_;
  std::vector<Directory> directories_;
  absl::flat_hash_map<std::string, int> numbers_;
  std::vector<Entry> entries_;  // A heap with the newest on top; sorted, the oldest last.
  int64_t begin_ = INT64_MIN;   // What is older is passed over, and
  int64_t end_ = INT64_MIN;     // what is newer, after the first walk.
  bool first_walk_ = true;
  std::optional<int64_t> left_out_;  // The oldest that did not fit.
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_BACKLOG_H_
