// The capture files that wait, oldest first.
#ifndef DATAMANAGER_SRC_SYNC_BACKLOG_H_
#define DATAMANAGER_SRC_SYNC_BACKLOG_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "capture_file/file_name.h"
#include "sync/page_allocator.h"

namespace datamanager::sync {

// Of what a walk adds, keeps the oldest by the time in their names, up to a limit, so that memory
// does not grow with the backlog; when they are taken, the next walk adds from there on. A file is
// 8 bytes, from which its name is made again. One thread.
class Backlog {
 public:
  struct Limits {
    size_t files = 131072;
    size_t directories = 4096;  // Of at most 4,096; each counts once for each zone in its names.
  };

  explicit Backlog(Limits limits) : limits_(limits) { entries_.reserve(limits_.files); }

  struct Directory {
    std::string root;
    std::string path;
    int newest_place = -1;  // See places_.
  };
  // A number for a directory: the same at each call. nullopt beyond the limit.
  std::optional<int> AddDirectory(const std::string& root, const std::string& path);
  // nullopt if it was not added.
  std::optional<int> FindDirectory(const std::string& path) const;
  const Directory& directory(int index) const { return directories_[static_cast<size_t>(index)]; }

  // How many files are kept from the next walk on, if fewer than the limit.
  void KeepAtMost(size_t files) { most_files_ = std::min(files, limits_.files); }

  // Of all files in a walk, in any order, those in directories that have a number and with names
  // that capture made. What was taken before, or lay before what was, is passed over. False: it is
  // none for the backlog, as there is no number for the directory with this zone, or the time is
  // out of the century and a half that there is room for.
  bool Add(int directory, const capture_file::CompleteStamp& stamp);
  // Whether Add would not return false.
  bool Takes(int directory, const capture_file::CompleteStamp& stamp) const;
  // The walk is over.
  void Sort();

  struct File {
    int directory = 0;
    std::string_view name;
  };
  // The oldest of them, whose name is valid until the next call; nullopt when all are taken.
  std::optional<File> Take();
  // Whether the walk met more than fitted: walk again, and go on. Those added after the first walk
  // do not make it endless.
  bool more() const { return left_out_.has_value(); }
  // Before another walk.
  void GoOn();

 private:
  // The time of a file above its place, so that the order of entries is that of the files.
  using Entry = uint64_t;
  // A directory, and the zone in the names there.
  struct Place {
    int directory;
    int older;  // Another place of this directory; -1: there is none.
    int16_t zone_minutes;
  };
  static bool FitsEntry(int64_t micros);
  static Entry EntryOf(int64_t micros, int place);
  static int64_t MicrosOf(Entry entry);
  static size_t PlaceOf(Entry entry);
  // -1 if there is none.
  int FindPlace(int directory, int16_t zone_minutes) const;
  bool HasRoomForPlace() const;
  void LeaveOut(int64_t micros);

  const Limits limits_;
  size_t most_files_ = limits_.files;
  std::deque<Directory> directories_;
  absl::flat_hash_map<absl::string_view, int> numbers_;  // By the paths of directories_.
  std::vector<Place> places_;
  // A heap with the newest on top; sorted, the oldest last.
  std::vector<Entry, PageAllocator<Entry>> entries_;
  std::string name_;           // Of the file last taken.
  int64_t begin_ = INT64_MIN;  // What is older is passed over, and
  int64_t end_ = INT64_MIN;    // what is newer, after the first walk.
  bool first_walk_ = true;
  std::optional<int64_t> left_out_;  // The oldest that did not fit.
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_BACKLOG_H_
