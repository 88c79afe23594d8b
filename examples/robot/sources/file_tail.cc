#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "robot/sources/fd.h"
#include "robot/sources/line_splitter.h"
#include "robot/sources/models.h"
#include "robot/sources/regular_file.h"

namespace robot {
namespace {

// Of one line, and of what is read at one tick: the rest comes at the next ones.
constexpr size_t kLongestLine = 64 << 10;
constexpr size_t kMaxPerTick = 1 << 20;
constexpr size_t kPiece = 64 << 10;

bool IsSame(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// Follows a file by its name. What was there at the first look is not new; of a file that takes
// its place, or begins again, everything is.
class FileTail {
 public:
  explicit FileTail(std::string path) : path_(std::move(path)), lines_(kLongestLine) {}

  absl::Status Read(datamanager::Readings& out) {
    std::vector<std::string> lines;
    absl::Status status = ReadNew(lines);
    first_look_ = false;
    // What was read is not to be lost for an error after it.
    if (lines.empty()) return status.ok() ? datamanager::NothingToStore() : status;
    int64_t replaced = 0;
    datamanager::ValueList& list = out.Add("lines").SetList();
    for (const std::string& line : lines) list.Append(WellFormed(line, replaced));
    out.Set("replaced_bytes", replaced);
    return absl::OkStatus();
  }

 private:
  absl::Status ReadNew(std::vector<std::string>& lines) {
    size_t left = kMaxPerTick;
    if (fd_.valid()) {
      if (absl::Status status = ReadOn(lines, left); !status.ok()) return status;
      struct stat named = {};
      if (left == 0 || ::stat(path_.c_str(), &named) != 0 || IsSame(named, opened_)) {
        return absl::OkStatus();
      }
      // Another file has taken its place, since it was last written to.
      if (absl::Status status = ReadOn(lines, left); !status.ok() || left == 0) return status;
      lines_.End(lines);
      fd_.Reset(-1);
    }
    if (absl::Status status = OpenRegularFile(path_, fd_, opened_); !status.ok()) return status;
    offset_ = first_look_ ? opened_.st_size : 0;
    return ReadOn(lines, left);
  }

  // What has been appended to the open file, at most `left` bytes.
  absl::Status ReadOn(std::vector<std::string>& lines, size_t& left) {
    struct stat info = {};
    if (::fstat(fd_.get(), &info) != 0) return Fail("look at ");
    if (info.st_size < offset_) {
      // It was emptied, and begins again.
      lines_.End(lines);
      offset_ = 0;
    }
    std::string piece(kPiece, '\0');
    while (left > 0) {
      const ssize_t size = ::pread(fd_.get(), piece.data(), std::min(piece.size(), left), offset_);
      if (size < 0) return Fail("read ");
      if (size == 0) break;
      offset_ += size;
      left -= static_cast<size_t>(size);
      lines_.Add(std::string_view(piece).substr(0, static_cast<size_t>(size)), lines);
    }
    return absl::OkStatus();
  }

  absl::Status Fail(const char* step) {
    const absl::Status status = absl::ErrnoToStatus(errno, step + path_);
    fd_.Reset(-1);
    return status;
  }

  const std::string path_;
  Fd fd_;
  struct stat opened_ = {};
  off_t offset_ = 0;
  bool first_look_ = true;
  LineSplitter lines_;
};

}  // namespace

datamanager::SourceFunction MakeFileTail(Attributes& attributes) {
  return ReadingsFrom(std::make_shared<FileTail>(attributes.RequiredText("path")));
}

}  // namespace robot
