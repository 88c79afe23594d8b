#include "robot/sources/tailed_file.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "robot/sources/line_splitter.h"

namespace robot {
namespace {

using datamanager::MonotonicTime;

constexpr size_t kPiece = 64 << 10;
// A file that changed this recently may have changed again with the same time: a file system may
// keep times to 2 s only (FAT).
constexpr std::chrono::seconds kCoarsestTimes{2};

bool SameTime(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool LooksTheSame(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && SameTime(a.st_mtim, b.st_mtim) && SameTime(a.st_ctim, b.st_ctim);
}

size_t LeadingNuls(std::string_view bytes) {
  return std::min(bytes.find_first_not_of('\0'), bytes.size());
}

}  // namespace

TailedFile::TailedFile(Fd& fd, const struct stat& info, FileId id, int64_t offset,
                       MonotonicTime now)
    : info_(info), id_(id), offset_(offset), last_growth_(now), last_change_(now) {
  fd_.Reset(fd.Release());
  const int64_t size = std::min(offset, kMarkBytes);
  if (!ReadExactly(fd_.get(), 0, size, head_) ||
      !ReadExactly(fd_.get(), offset - size, size, before_)) {
    gone_ = TailMark{.offset = offset, .size = info.st_size};
  }
}

TailedFile::TailedFile(Fd& fd, const struct stat& info, FileId id, const TailMark& mark,
                       MonotonicTime now)
    : info_(info), id_(id), offset_(mark.offset), last_growth_(now), last_change_(now) {
  fd_.Reset(fd.Release());
  // The bytes that are kept must be the ones that are compared: the file may be emptied and written
  // again between any two reads.
  if (!ReadMark(fd_.get(), mark, head_, before_)) gone_ = mark;
}

absl::Status TailedFile::Read(MonotonicTime now, TailBudget& budget, TailedLines& out,
                              Change& change) {
  change = Change::kNone;
  struct stat info = {};
  if (::fstat(fd_.get(), &info) != 0) return absl::ErrnoToStatus(errno, "look at it");
  if (!LooksTheSame(info, info_) || !std::exchange(looked_at_, true)) last_change_ = now;
  if (now - last_change_ > kCoarsestTimes && info.st_size <= ReadEnd()) {
    info_ = info;
    SplitLines(budget, out);
    return absl::OkStatus();
  }
  if (gone_ || info.st_size < offset_ + static_cast<int64_t>(buffer_.size())) {
    change = Change::kRestart;
    return absl::OkStatus();
  }
  if (info.st_size < nul_end_) nul_end_ = 0;
  if (absl::Status status = LookAtHole(); !status.ok()) return status;
  absl::Status status;
  while (true) {
    std::string fresh;
    bool at_end = true;
    status = ReadOn(budget, fresh, at_end);
    // Checked after the read: then the bytes read before still precede these.
    if (!IsAsItWas()) {
      change = Change::kRestart;
      return absl::OkStatus();
    }
    const size_t held = buffer_.size();
    if (!fresh.empty()) Take(fresh, at_end, out);
    if (buffer_.size() != held) last_growth_ = now;
    SplitLines(budget, out);
    if (!status.ok() || at_end || budget.used_up()) break;
  }
  info_ = info;
  return status;
}

absl::Status TailedFile::LookAtHole() {
  if (!buffer_.empty() || nul_end_ <= offset_) return absl::OkStatus();
  std::string piece(std::min(kPiece, static_cast<size_t>(nul_end_ - offset_)), '\0');
  const ssize_t n = ::pread(fd_.get(), piece.data(), piece.size(), offset_);
  if (n < 0) return errno == EINTR ? absl::OkStatus() : absl::ErrnoToStatus(errno, "read it");
  if (LeadingNuls(std::string_view(piece).substr(0, static_cast<size_t>(n))) <
      static_cast<size_t>(n)) {
    nul_end_ = 0;
  }
  return absl::OkStatus();
}

absl::Status TailedFile::ReadOn(TailBudget& budget, std::string& fresh, bool& at_end) const {
  const int64_t begin = ReadEnd();
  at_end = false;
  while (budget.bytes > 0 && !at_end) {
    const size_t size = fresh.size();
    const size_t wanted = std::min(kPiece, static_cast<size_t>(budget.bytes));
    fresh.resize(size + wanted);
    const ssize_t n = ::pread(fd_.get(), fresh.data() + size, wanted,
                              static_cast<off_t>(begin) + static_cast<off_t>(size));
    const int error = errno;
    fresh.resize(size + static_cast<size_t>(std::max<ssize_t>(0, n)));
    if (n < 0 && error == EINTR) continue;
    if (n < 0) return absl::ErrnoToStatus(error, "read it");
    budget.bytes -= n;
    at_end = n == 0;
  }
  return absl::OkStatus();
}

void TailedFile::Take(std::string_view fresh, bool at_end, TailedLines& out) {
  // A program may have given the file its length in advance: NUL bytes at the end are not written
  // yet.
  if (at_end) {
    const size_t last = fresh.find_last_not_of('\0');
    const int64_t end = ReadEnd() + static_cast<int64_t>(fresh.size());
    fresh = fresh.substr(0, last == std::string_view::npos ? 0 : last + 1);
    if (fresh.empty()) {
      if (buffer_.empty()) nul_end_ = end;
      return;
    }
  }
  if (!buffer_.empty()) {
    buffer_ += fresh;
    return;
  }
  const size_t nuls = LeadingNuls(fresh);
  const int64_t begin = ReadEnd();
  if (nuls == fresh.size()) {
    nul_end_ = begin + static_cast<int64_t>(nuls);
    // lseek fails with ENXIO if the hole reaches to the end of the file.
    const off_t data = ::lseek(fd_.get(), static_cast<off_t>(nul_end_), SEEK_DATA);
    if (data > nul_end_) nul_end_ = data;
    return;
  }
  int64_t skipped = begin + static_cast<int64_t>(nuls) - offset_;
  if (skipped > 0) {
    out.nul_bytes += skipped;
    // All bytes are the same, so the last ones stand for the rest.
    if (offset_ < kMarkBytes)
      Consume(std::string(static_cast<size_t>(std::min(skipped, kMarkBytes)), '\0'));
    const int64_t rest = begin + static_cast<int64_t>(nuls) - offset_;
    if (rest > 0) {
      const std::string tail(static_cast<size_t>(std::min(rest, kMarkBytes)), '\0');
      offset_ += rest - static_cast<int64_t>(tail.size());
      Consume(tail);
    }
  }
  nul_end_ = 0;
  buffer_ = fresh.substr(nuls);
}

bool TailedFile::IsAsItWas() const {
  std::string bytes;
  const auto is = [&](int64_t begin, std::string_view expected) {
    return ReadExactly(fd_.get(), begin, static_cast<int64_t>(expected.size()), bytes) &&
           bytes == expected;
  };
  const size_t last = std::min(buffer_.size(), static_cast<size_t>(kMarkBytes));
  return is(0, head_) && is(offset_ - static_cast<int64_t>(before_.size()), before_) &&
         is(offset_, std::string_view(buffer_).substr(0, last)) &&
         is(offset_ + static_cast<int64_t>(buffer_.size() - last),
            std::string_view(buffer_).substr(buffer_.size() - last));
}

void TailedFile::Consume(std::string_view bytes) {
  if (static_cast<int64_t>(head_.size()) == offset_ && offset_ < kMarkBytes) {
    head_ += bytes.substr(0, static_cast<size_t>(kMarkBytes - offset_));
  }
  offset_ += static_cast<int64_t>(bytes.size());
  constexpr auto kKept = static_cast<size_t>(kMarkBytes);
  before_ += bytes.substr(bytes.size() - std::min(bytes.size(), kKept));
  if (before_.size() > kKept) before_.erase(0, before_.size() - kKept);
}

void TailedFile::ConsumeBuffer(size_t bytes) {
  Consume(std::string_view(buffer_).substr(0, bytes));
  buffer_.erase(0, bytes);
}

void TailedFile::SplitLines(TailBudget& budget, TailedLines& out) {
  std::string_view rest = buffer_;
  // The line was given before its end was written: skip the end.
  if (!before_.empty() && before_.back() != '\n' && before_.back() != '\0') {
    if (rest.starts_with("\n")) {
      rest.remove_prefix(1);
    } else if (rest.starts_with("\r\n")) {
      rest.remove_prefix(2);
    }
  }
  while (budget.lines > 0) {
    const Line line = FirstLine(rest, kLongestLine);
    if (line.taken == 0) break;
    out.lines.emplace_back(line.text);
    rest.remove_prefix(line.taken);
    --budget.lines;
  }
  ConsumeBuffer(buffer_.size() - rest.size());
}

void TailedFile::TakeRemainder(TailBudget& budget, TailedLines& out) {
  std::string_view rest = buffer_;
  while (!rest.empty()) {
    const Line line = LastLine(rest, kLongestLine);
    out.lines.emplace_back(line.text);
    rest.remove_prefix(line.taken);
    if (budget.lines > 0) --budget.lines;
  }
  ConsumeBuffer(buffer_.size());
}

int64_t TailedFile::Restart() {
  const int64_t lost = backlog();
  offset_ = 0;
  nul_end_ = 0;
  buffer_.clear();
  head_.clear();
  before_.clear();
  looked_at_ = false;
  gone_.reset();
  info_.st_size = 0;
  return lost;
}

TailMark TailedFile::mark() const {
  if (gone_) {
    TailMark mark = *gone_;
    mark.id = id_;
    return mark;
  }
  return {.id = id_,
          .offset = offset_,
          .size = info_.st_size,
          .head_size = static_cast<int64_t>(head_.size()),
          .head_hash = HashOf(head_),
          .tail_size = static_cast<int64_t>(before_.size()),
          .tail_hash = HashOf(before_)};
}

}  // namespace robot
