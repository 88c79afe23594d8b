// Captures the new lines of a file, each at least once.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_SOURCES_FILE_TAIL_H_
#define DATAMANAGER_EXAMPLES_ROBOT_SOURCES_FILE_TAIL_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "datamanager/source.h"
#include "robot/sources/rotated_files.h"
#include "robot/sources/source_context.h"
#include "robot/sources/tail_state.h"
#include "robot/sources/tailed_file.h"

namespace robot {

struct FileTailOptions {
  std::string component;  // Named in the log.
  std::string path;
  bool from_start = false;  // Reads also the lines that are there at the very first start.
  std::shared_ptr<TailState> state;
  SourceContext context;
};

// Follows a file by its name, over rotations, truncations and restarts. Lines are given to a
// collector until they are written to its capture file: a line can come twice after a kill, none is
// left out. Bytes that were overwritten before they could be read are counted. A request whose
// answer is not stored gets the last lines and leaves the position as it is.
//
// The position is where the oldest line that is not stored begins, in each file that is still read:
// the one at the path, and those that were there before. Thread-safe; one collector reads at a
// time.
class FileTail : public std::enable_shared_from_this<FileTail> {
 public:
  // How long a line without an end is held back.
  static constexpr std::chrono::seconds kRemainderPatience{5};
  // A file that was replaced is watched while it has a name, because a program may keep it open for
  // a day: the last kWatchedFiles always, older ones for kWatchReplaced after they last grew.
  static constexpr size_t kWatchedFiles = 8;
  static constexpr std::chrono::seconds kWatchReplaced{10};
  // How many files are read at a time.
  static constexpr size_t kMaxFiles = 256;

  explicit FileTail(FileTailOptions options) : options_(std::move(options)) {}

  absl::Status Read(const datamanager::CaptureRequest& request, datamanager::Readings& out);

 private:
  struct Answer {
    std::vector<std::string> lines;
    int64_t replaced_bytes = 0;
    int64_t gap_bytes = 0;
    int64_t nul_bytes = 0;
    int64_t backlog_bytes = 0;
    TailPosition position;  // The position after these lines.
    bool under_way = false;
  };
  struct Tailed {
    std::unique_ptr<TailedFile> file;
    bool replaced = false;  // Another file is at the path.
    bool ended = false;     // Its last line was taken, with or without an end.
  };
  // The file at the path.
  struct Named {
    Fd fd;
    struct stat info = {};
    FileId id;
    std::string directory;
    std::string base;
  };
  // The files beside it, and when their directory had last changed before it was read.
  struct Listing {
    std::vector<RotatedFile> files;
    timespec changed = {};
    bool settled = false;  // Any later change gives the directory another time.
  };

  absl::Status ReadLast(datamanager::Readings& out) const;
  absl::Status ReadNew(datamanager::MonotonicTime now);
  void Give(Answer& answer, const datamanager::CaptureRequest& request, datamanager::Readings& out);
  void OnWritten(const absl::Status& written);

  absl::Status OpenNamed(Named& named) const;
  // Begins where the state says or, without a state, at the file's end.
  absl::Status Begin(datamanager::MonotonicTime now);
  absl::Status Resume(const TailPosition& position, Named* named, datamanager::MonotonicTime now);
  // Follows the path to another file. `changed`: there are more files to read.
  absl::Status Follow(datamanager::MonotonicTime now, bool& changed);
  bool IsTailed(const FileId& id) const;
  static Listing List(const std::string& directory, const std::string& base,
                      const std::set<uint64_t>& wanted);
  // Makes the listed files known: they no longer count as new.
  void Remember(const Listing& listing);
  // Whether `copy` has the bytes that were read of `file`.
  static bool IsCopyOf(const RotatedFile& copy, const TailedFile& file);
  // Whether a rotation has made the file since the last look, and nothing was read of it.
  bool IsNew(const RotatedFile& file, const Named* named) const;
  // Whether there may be files that are not in the last listing.
  bool IsDirectoryChanged() const;
  // Reads a file that was replaced, before the one at `index`: from `mark` on, or all of it.
  // NOT_FOUND if it does not have the mark; ABORTED if its name no longer leads to it.
  absl::Status Add(const RotatedFile& file, const TailMark* mark, datamanager::MonotonicTime now,
                   size_t index);
  void AddCurrent(Named& named, int64_t offset, datamanager::MonotonicTime now);
  // Reads the files in their order.
  absl::Status ReadFiles(datamanager::MonotonicTime now, TailBudget& budget, TailedLines& read);
  // Handles a file that was emptied, and perhaps written again: reads the copy that a rotation
  // made, if there is one, and then the new beginning.
  void Restart(size_t index, datamanager::MonotonicTime now, TailBudget& budget, TailedLines& read);
  void DropEnded(datamanager::MonotonicTime now);
  TailPosition Position() const;
  void Save(bool at_once);
  void Log(datamanager::LogLevel level, const std::string& text) const;

  const FileTailOptions options_;
  std::mutex mutex_;
  bool begun_ = false;
  std::vector<Tailed> files_;  // The oldest first.
  std::string directory_;      // Directory and name of the last file at the path.
  std::string base_;
  std::set<FileId> known_;
  // The time of the directory before `known_` was read from it.
  timespec listed_ = {};
  bool listed_settled_ = false;
  bool look_again_ = false;       // A rotated file may still be unknown.
  int64_t gap_ = 0;               // Lost bytes that are not reported yet.
  std::optional<Answer> answer_;  // Kept until it is written.
  std::optional<datamanager::MonotonicTime> missing_since_;
  bool save_failed_ = false;
};

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_SOURCES_FILE_TAIL_H_
