// Reads one file that grows.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_SOURCES_TAILED_FILE_H_
#define DATAMANAGER_EXAMPLES_ROBOT_SOURCES_TAILED_FILE_H_

#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "datamanager/clock.h"
#include "robot/sources/fd.h"
#include "robot/sources/tail_position.h"

namespace robot {

// What a tick may still read; the next ticks read the rest.
struct TailBudget {
  int64_t bytes = 1 << 20;
  size_t lines = 20'000;

  bool used_up() const { return bytes <= 0 || lines == 0; }
};

// The lines that were read.
struct TailedLines {
  std::vector<std::string> lines;
  int64_t nul_bytes = 0;  // Skipped: holes of a file, or zeros that a power cut left.
};

// Reads a file from an offset on, line by line, and notices when the bytes that were read have
// changed. Keeps no more than a tick may read. Not thread-safe.
class TailedFile {
 public:
  static constexpr size_t kLongestLine = 64 << 10;

  // Takes over `fd`, whose facts are `info` and `id`. Reads from `offset` on, which must be 0 or
  // the file's size.
  TailedFile(Fd& fd, const struct stat& info, FileId id, int64_t offset,
             datamanager::MonotonicTime now);
  // Reads from `mark` on. If the file no longer has the mark, the first Read asks for a Restart.
  TailedFile(Fd& fd, const struct stat& info, FileId id, const TailMark& mark,
             datamanager::MonotonicTime now);

  enum class Change : uint8_t {
    kNone,     // Nothing, or growth, read as far as the budget goes.
    kRestart,  // The bytes that were read have changed: call Restart.
  };
  // Adds the new whole lines to `out`. Takes bytes only if, after the read, those before them are
  // unchanged.
  absl::Status Read(datamanager::MonotonicTime now, TailBudget& budget, TailedLines& out,
                    Change& change);
  // Adds the rest without an end as a line.
  void TakeRemainder(TailBudget& budget, TailedLines& out);
  // Goes back to the beginning, after TakeRemainder. Returns the number of bytes that are known to
  // be lost unread.
  int64_t Restart();
  // Forgets the rest without an end: it is read from another file.
  void DropRemainder() { buffer_.clear(); }
  // Goes on with another descriptor of the same file.
  void Reopen(Fd& fd, const struct stat& info, FileId id) {
    fd_.Reset(fd.Release());
    info_ = info;
    id_ = id;
  }

  const FileId& id() const { return id_; }
  const struct stat& info() const { return info_; }  // As of the last look.
  // Whether the file had the mark, or the bytes before the offset, when this was made.
  bool has_mark() const { return !gone_.has_value(); }
  TailMark mark() const;
  int64_t offset() const { return offset_; }
  bool has_remainder() const { return !buffer_.empty(); }
  // The bytes that are there and not read yet.
  int64_t backlog() const { return std::max<int64_t>(0, info_.st_size - ReadEnd()); }
  // When it last grew or, if it did not, when it was opened.
  datamanager::MonotonicTime last_growth() const { return last_growth_; }
  // Whether it has no name any more.
  bool removed() const { return info_.st_nlink == 0; }

 private:
  int64_t ReadEnd() const {
    return std::max(offset_ + static_cast<int64_t>(buffer_.size()), nul_end_);
  }
  bool IsAsItWas() const;
  // Checks the NUL bytes at the end again: a hole may be filled by now.
  absl::Status LookAtHole();
  // Reads the bytes at ReadEnd(), as far as the budget goes.
  absl::Status ReadOn(TailBudget& budget, std::string& fresh, bool& at_end) const;
  void Take(std::string_view fresh, bool at_end, TailedLines& out);
  void Consume(std::string_view bytes);
  void ConsumeBuffer(size_t bytes);
  void SplitLines(TailBudget& budget, TailedLines& out);

  Fd fd_;
  struct stat info_;
  FileId id_;
  int64_t offset_;
  std::string buffer_;   // The bytes from `offset_` on that were read.
  int64_t nul_end_ = 0;  // From `offset_` to here are only NUL bytes, if the buffer is empty.
  std::string head_;     // The first bytes of the file, as far as `offset_`.
  std::string before_;   // The last bytes before `offset_`.
  datamanager::MonotonicTime last_growth_;
  datamanager::MonotonicTime last_change_;  // When its size or times last changed, as seen here.
  bool looked_at_ = false;
  // The mark that the file was to be read from, if it no longer had it.
  std::optional<TailMark> gone_;
};

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_SOURCES_TAILED_FILE_H_
