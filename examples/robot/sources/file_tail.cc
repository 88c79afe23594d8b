#include "robot/sources/file_tail.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "robot/sources/line_splitter.h"
#include "robot/sources/models.h"
#include "robot/sources/regular_file.h"

namespace robot {
namespace {

using datamanager::CaptureRequest;
using datamanager::LogLevel;
using datamanager::MonotonicTime;
using datamanager::Readings;

// How much of the file's end a client gets.
constexpr int64_t kLastBytes = 64 << 10;
constexpr size_t kLastLines = 100;
// How often a tick starts again in files that are emptied while they are read.
constexpr int kMaxRestarts = 4;
// How often a tick looks again while files are moved and copied.
constexpr int kMaxLooks = 4;
// A directory that changed this recently may have changed again with the same time: FAT keeps times
// to 2 s only.
constexpr time_t kCoarsestTimes = 2;

// Whether two descriptors show the same file although its numbers differ, as on file systems that
// invent inode numbers: a rotation leaves no two files that changed at the same time.
bool IsSameContent(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_size == b.st_size && a.st_size > 0 &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec &&
         a.st_ctim.tv_sec == b.st_ctim.tv_sec && a.st_ctim.tv_nsec == b.st_ctim.tv_nsec;
}

// A component's name as a file name; no two components get the same one.
std::string FileNameFor(const std::string& component) {
  std::string name;
  for (const char c : component) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_') {
      name += c;
    } else {
      absl::StrAppend(&name, "%", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    }
  }
  return name;
}

void Fill(const std::vector<std::string>& lines, int64_t replaced, Readings& out) {
  datamanager::ValueList& list = out.Add("lines").SetList();
  for (const std::string& line : lines) list.Append(line);
  out.Set("replaced_bytes", replaced);
}

}  // namespace

absl::Status FileTail::Read(const CaptureRequest& request, Readings& out) {
  if (request.when_written == nullptr) return ReadLast(out);
  const std::lock_guard lock(mutex_);
  const MonotonicTime now = options_.context.clock->MonotonicNow();
  if (!options_.state->Own(this)) {
    // Another source, as before a reload, has read on from the state.
    begun_ = false;
    answer_.reset();
  }
  absl::Status status;
  if (answer_ && answer_->under_way) {
    return absl::UnavailableError("the lines before are not written yet");
  }
  if (!answer_) status = ReadNew(now);
  if (!answer_) {
    Save(/*at_once=*/false);
    return status.ok() ? datamanager::NothingToStore() : status;
  }
  // Lines that were read are given even if an error came after them.
  Give(*answer_, request, out);
  return absl::OkStatus();
}

void FileTail::Give(Answer& answer, const CaptureRequest& request, Readings& out) {
  Fill(answer.lines, answer.replaced_bytes, out);
  if (answer.gap_bytes > 0) out.Set("gap_bytes", answer.gap_bytes);
  if (answer.nul_bytes > 0) out.Set("nul_bytes", answer.nul_bytes);
  if (answer.backlog_bytes > 0) out.Set("backlog_bytes", answer.backlog_bytes);
  answer.under_way = true;
  *request.when_written = [self = shared_from_this()](const absl::Status& written) {
    self->OnWritten(written);
  };
}

void FileTail::OnWritten(const absl::Status& written) {
  const std::lock_guard lock(mutex_);
  if (!answer_) return;
  if (!written.ok()) {
    answer_->under_way = false;  // It is given again.
    return;
  }
  options_.state->Commit(std::move(answer_->position));
  answer_.reset();
  Save(/*at_once=*/false);
}

absl::Status FileTail::ReadLast(Readings& out) const {
  Named named;
  if (absl::Status status = OpenNamed(named); !status.ok()) return status;
  const int64_t begin = std::max<int64_t>(0, named.info.st_size - kLastBytes);
  std::string text;
  if (!ReadExactly(named.fd.get(), begin, named.info.st_size - begin, text)) {
    return absl::UnavailableError(options_.path + " changed while it was read");
  }
  // The first line may have begun before `begin`.
  std::string_view rest = text;
  if (begin > 0) rest.remove_prefix(std::min(rest.size(), rest.find('\n') + 1));
  std::vector<std::string> lines;
  int64_t replaced = 0;
  for (Line line = FirstLine(rest, TailedFile::kLongestLine); line.taken > 0;
       line = FirstLine(rest, TailedFile::kLongestLine)) {
    lines.push_back(WellFormed(line.text, replaced));
    rest.remove_prefix(line.taken);
  }
  if (lines.size() > kLastLines) {
    lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(kLastLines));
  }
  Fill(lines, replaced, out);
  return absl::OkStatus();
}

absl::Status FileTail::ReadNew(MonotonicTime now) {
  for (int look = 1; !begun_; ++look) {
    absl::Status status = Begin(now);
    // A file was moved after it was listed.
    if (absl::IsAborted(status) && look < kMaxLooks) continue;
    if (!status.ok()) return status;
    begun_ = true;
  }
  // A file of which nothing was read shows no sign when it is copied and emptied.
  if (!files_.empty() && files_.back().file->offset() == 0 && IsDirectoryChanged()) {
    look_again_ = true;
  }
  TailBudget budget;
  TailedLines read;
  Answer answer;
  absl::Status status;
  // Follow comes after the read: a file that is replaced by then may have grown, and is read again.
  for (int look = 0;; ++look) {
    status.Update(ReadFiles(now, budget, read));
    bool changed = false;
    if (look < kMaxLooks) status.Update(Follow(now, changed));
    if (!changed) break;
  }
  DropEnded(now);
  answer.gap_bytes = gap_;
  answer.position = Position();
  // A rotated file may still be unknown, and a restart would not look for it: keep the old
  // position.
  if (look_again_) answer.position = options_.state->position().value_or(answer.position);
  if (read.lines.empty() && answer.gap_bytes == 0 && read.nul_bytes == 0) {
    options_.state->Commit(std::move(answer.position));
    return status;
  }
  answer.nul_bytes = read.nul_bytes;
  answer.lines.reserve(read.lines.size());
  for (const std::string& line : read.lines) {
    answer.lines.push_back(WellFormed(line, answer.replaced_bytes));
  }
  for (const Tailed& tailed : files_) answer.backlog_bytes += tailed.file->backlog();
  gap_ = 0;
  answer_ = std::move(answer);
  return status;
}

absl::Status FileTail::OpenNamed(Named& named) const {
  // Resolves links, because a rotation makes its files beside the real one.
  const std::unique_ptr<char, void (*)(void*)> real(::realpath(options_.path.c_str(), nullptr),
                                                    &::free);
  const std::filesystem::path path = real == nullptr ? options_.path : real.get();
  named.directory = path.has_parent_path() ? path.parent_path().string() : ".";
  named.base = path.filename();
  absl::Status status = OpenRegularFile(options_.path, named.fd, named.info);
  if (status.ok()) named.id = IdOf(named.fd.get(), named.info);
  return status;
}

absl::Status FileTail::Begin(MonotonicTime now) {
  files_.clear();
  known_.clear();
  Named named;
  // The list comes before the open: a file that a rotation makes in between counts as new.
  static_cast<void>(OpenNamed(named));
  const Listing beside = List(named.directory, named.base, {});
  const absl::Status opened = OpenNamed(named);
  const bool is_there = opened.ok();
  directory_ = named.directory;
  base_ = named.base;
  const std::optional<TailPosition> position = options_.state->position();
  if (position) {
    const bool same_path = position->path == options_.path;
    const bool same_file =
        is_there &&
        std::any_of(position->files.begin(), position->files.end(), [&](const TailMark& mark) {
          return mark.id == named.id && HasMark(named.fd.get(), mark);
        });
    if (same_path || same_file) {
      return Resume(*position, is_there ? &named : nullptr, now);
    }
    Log(LogLevel::kWarning, absl::StrCat("the state ", options_.state->path(), " is that of ",
                                         position->path, "; the file begins as at a first start"));
  }
  // A missing file is new from its first byte on when it appears; one that cannot be read is not.
  if (!is_there && !absl::IsNotFound(opened)) return opened;
  if (is_there) {
    const std::string damage = options_.state->damage();
    if (!damage.empty()) {
      Log(LogLevel::kWarning, absl::StrCat("the state ", options_.state->path(), " is not usable: ",
                                           damage, "; all lines of the file are given again"));
    }
    const bool from_start = options_.from_start || !damage.empty();
    AddCurrent(named, from_start ? 0 : named.info.st_size, now);
  }
  Remember(beside);
  options_.state->Commit(Position());
  Save(/*at_once=*/true);
  return absl::OkStatus();
}

absl::Status FileTail::Resume(const TailPosition& position, Named* named, MonotonicTime now) {
  known_ = position.known;
  std::set<uint64_t> wanted;
  for (const TailMark& mark : position.files) wanted.insert(mark.id.inode);
  const Listing listing = List(directory_, base_, wanted);
  std::vector<RotatedFile> beside = listing.files;
  if (!position.directory.empty() && position.directory != directory_) {
    for (RotatedFile& file : FindRotatedFiles(position.directory, base_, wanted)) {
      beside.push_back(std::move(file));
    }
  }
  const auto find = [&](const FileId& id) {
    return std::find_if(beside.begin(), beside.end(),
                        [&](const RotatedFile& file) { return file.id == id; });
  };
  // The mark of the file at the path, if that file was read and still has the bytes that were read.
  const TailMark* current = nullptr;
  for (const TailMark& mark : position.files) {
    if (named == nullptr || !HasMark(named->fd.get(), mark)) continue;
    // A file system without times of birth may invent its inode numbers, too.
    const bool renumbered = &mark == &position.files.back() && mark.head_size > 0 &&
                            mark.id.birth == 0 && named->id.birth == 0 &&
                            find(mark.id) == beside.end();
    if (mark.id == named->id || renumbered) current = &mark;
  }
  int64_t gone = 0;
  for (const TailMark& mark : position.files) {
    if (&mark == current) continue;
    absl::Status status = absl::NotFoundError("");
    const auto found = find(mark.id);
    if (found != beside.end() && (named == nullptr || found->id != named->id)) {
      // Nothing was read of it: it may have been copied and emptied before it was replaced.
      const bool is_unread = mark.offset == 0 && found->by_name && &mark == &position.files.back();
      if (!is_unread) status = Add(*found, &mark, now, files_.size());
      if (absl::IsNotFound(status)) {
        // The file at this name has new content, newer than all copies of it.
        known_.erase(mark.id);
        std::rotate(found, found + 1, beside.end());
      }
      if (is_unread) continue;
    }
    // The file was emptied or removed: a copy of it may still have the lines.
    for (auto file = beside.begin(); absl::IsNotFound(status) && file != beside.end(); ++file) {
      if (mark.offset > 0 && current == nullptr && IsNew(*file, named)) {
        status = Add(*file, &mark, now, files_.size());
      }
    }
    if (status.ok()) continue;
    if (!absl::IsNotFound(status)) return status;  // It may be readable at the next tick.
    const int64_t bytes = std::max<int64_t>(0, mark.size - mark.offset);
    gone += bytes;
    if (bytes > 0 || &mark == &position.files.back()) {
      Log(LogLevel::kWarning,
          absl::StrCat("the file that was ", options_.path,
                       " was emptied, removed or compressed while it was not watched; what was "
                       "appended after byte ",
                       mark.offset, " is lost, ", bytes, " bytes for certain"));
    }
  }
  if (current == nullptr || current->offset == 0) {
    // Other files may have been at the path, or this one was copied and emptied before it was read.
    for (const RotatedFile& file : beside) {
      if (!IsNew(file, named)) continue;
      const absl::Status status = Add(file, nullptr, now, files_.size());
      if (!status.ok() && !absl::IsNotFound(status)) return status;
    }
  }
  for (Tailed& tailed : files_) tailed.replaced = named != nullptr || &tailed != &files_.back();
  if (named != nullptr && current != nullptr) {
    files_.push_back(
        {.file = std::make_unique<TailedFile>(named->fd, named->info, named->id, *current, now)});
  } else if (named != nullptr) {
    AddCurrent(*named, 0, now);
  }
  gap_ += gone;
  // Otherwise the copies stay unknown: one is needed if the file, which is still written, is
  // emptied next.
  if (current == nullptr || current->offset == 0) Remember(listing);
  return absl::OkStatus();
}

bool FileTail::IsTailed(const FileId& id) const {
  return std::any_of(files_.begin(), files_.end(),
                     [&](const Tailed& tailed) { return tailed.file->id() == id; });
}

bool FileTail::IsNew(const RotatedFile& file, const Named* named) const {
  return file.by_name && !known_.contains(file.id) && !IsTailed(file.id) &&
         (named == nullptr || file.id != named->id);
}

absl::Status FileTail::Add(const RotatedFile& file, const TailMark* mark, MonotonicTime now,
                           size_t index) {
  if (files_.size() >= kMaxFiles) return absl::ResourceExhaustedError("too many files at a time");
  Fd fd;
  struct stat info = {};
  absl::Status status = OpenRegularFile(file.path, fd, info);
  // The name may lead to another file already.
  if (absl::IsNotFound(status)) return absl::AbortedError(file.path + " is gone");
  if (!status.ok()) return status;
  const FileId id = IdOf(fd.get(), info);
  if (id != file.id) return absl::AbortedError(file.path + " is another file");
  auto tailed = mark == nullptr ? std::make_unique<TailedFile>(fd, info, id, 0, now)
                                : std::make_unique<TailedFile>(fd, info, id, *mark, now);
  if (!tailed->has_mark()) {
    return absl::NotFoundError(file.path + " does not have what was read");
  }
  files_.insert(files_.begin() + static_cast<std::ptrdiff_t>(index),
                {.file = std::move(tailed), .replaced = true});
  return absl::OkStatus();
}

void FileTail::AddCurrent(Named& named, int64_t offset, MonotonicTime now) {
  files_.push_back(
      {.file = std::make_unique<TailedFile>(named.fd, named.info, named.id, offset, now)});
}

bool FileTail::IsDirectoryChanged() const {
  struct stat info = {};
  if (::stat(directory_.c_str(), &info) != 0) return false;
  return !listed_settled_ || info.st_mtim.tv_sec != listed_.tv_sec ||
         info.st_mtim.tv_nsec != listed_.tv_nsec;
}

FileTail::Listing FileTail::List(const std::string& directory, const std::string& base,
                                 const std::set<uint64_t>& wanted) {
  Listing listing;
  struct stat info = {};
  timespec now = {};
  if (::clock_gettime(CLOCK_REALTIME, &now) == 0 && ::stat(directory.c_str(), &info) == 0) {
    listing.changed = info.st_mtim;
    listing.settled = now.tv_sec - info.st_mtim.tv_sec > kCoarsestTimes;
  }
  listing.files = FindRotatedFiles(directory, base, wanted);
  return listing;
}

void FileTail::Remember(const Listing& listing) {
  known_.clear();
  listed_ = listing.changed;
  listed_settled_ = listing.settled;
  // The file at the path becomes known when it is read: it may be renamed before that.
  for (const RotatedFile& file : listing.files) {
    if (file.by_name) known_.insert(file.id);
  }
}

bool FileTail::IsCopyOf(const RotatedFile& copy, const TailedFile& file) {
  if (file.offset() == 0) return false;
  Fd fd;
  struct stat info = {};
  return OpenRegularFile(copy.path, fd, info).ok() && IdOf(fd.get(), info) == copy.id &&
         HasMark(fd.get(), file.mark());
}

absl::Status FileTail::Follow(MonotonicTime now, bool& changed) {
  struct stat info = {};
  TailedFile* const current =
      files_.empty() || files_.back().replaced ? nullptr : files_.back().file.get();
  if (::stat(options_.path.c_str(), &info) != 0) {
    const absl::Status status = absl::ErrnoToStatus(errno, "open " + options_.path);
    if (!missing_since_) missing_since_ = now;
    // In the middle of a rotation the path is missing for a moment.
    const bool just_gone = !files_.empty() && now - *missing_since_ < kWatchReplaced;
    return absl::IsNotFound(status) && just_gone ? absl::OkStatus() : status;
  }
  missing_since_.reset();
  if (current != nullptr && !look_again_ && info.st_ino == current->info().st_ino &&
      info.st_dev == current->info().st_dev) {
    return absl::OkStatus();
  }
  Named named;
  if (absl::Status status = OpenNamed(named); !status.ok()) return status;
  const bool is_current = current != nullptr && named.info.st_ino == current->info().st_ino &&
                          named.info.st_dev == current->info().st_dev;
  if (current != nullptr && !is_current && IsSameContent(named.info, current->info()) &&
      HasMark(named.fd.get(), current->mark())) {
    current->Reopen(named.fd, named.info, named.id);
    return absl::OkStatus();
  }
  // Several files may have been at the path since the last look.
  Listing beside = List(named.directory, named.base, {});
  if (directory_ != named.directory) {
    for (RotatedFile& file : FindRotatedFiles(directory_, base_, {})) {
      beside.files.push_back(std::move(file));
    }
  }
  changed = true;
  look_again_ = false;
  size_t index = is_current ? files_.size() - 1 : files_.size();
  std::vector<FileId> left;
  for (const RotatedFile& file : beside.files) {
    if (!IsNew(file, &named)) continue;
    if (is_current && IsCopyOf(file, *current)) {
      // The copy is needed only if the file is emptied.
      left.push_back(file.id);
      continue;
    }
    const absl::Status status = Add(file, nullptr, now, index);
    if (status.ok()) {
      ++index;
    } else if (absl::IsResourceExhausted(status) || absl::IsAborted(status)) {
      left.push_back(file.id);
      look_again_ = true;
    } else {
      Log(LogLevel::kWarning,
          absl::StrCat(
              file.path,
              ", which a rotation has made, cannot be read, so that its lines are left out: ",
              status.message()));
    }
  }
  directory_ = named.directory;
  base_ = named.base;
  // Only listed files become known: a rotation may have made others since.
  Remember(beside);
  for (const FileId& id : left) known_.erase(id);
  if (is_current) return absl::OkStatus();
  for (Tailed& tailed : files_) tailed.replaced = true;
  const auto back = std::find_if(files_.begin(), files_.end(), [&](const Tailed& tailed) {
    return tailed.file->id() == named.id;
  });
  if (back != files_.end()) {
    // The file had another name in between.
    std::rotate(back, back + 1, files_.end());
    files_.back().replaced = false;
  } else if (files_.size() < kMaxFiles) {  // Otherwise the oldest are read first.
    AddCurrent(named, 0, now);
  }
  return absl::OkStatus();
}

absl::Status FileTail::ReadFiles(MonotonicTime now, TailBudget& budget, TailedLines& read) {
  int restarts = 0;
  absl::Status first;
  for (size_t i = 0; i < files_.size() && !budget.used_up(); ++i) {
    auto change = TailedFile::Change::kNone;
    const bool was_unread = files_[i].file->offset() == 0;
    absl::Status status = files_[i].file->Read(now, budget, read, change);
    // The file may have been copied and emptied before these first lines were written.
    if (was_unread && files_[i].file->offset() > 0 && IsDirectoryChanged()) look_again_ = true;
    if (!status.ok()) {
      first.Update(
          absl::Status(status.code(), absl::StrCat(options_.path, ": ", status.message())));
      continue;
    }
    if (change == TailedFile::Change::kRestart) {
      if (++restarts > kMaxRestarts) break;
      Restart(i, now, budget, read);
      --i;  // Reads the new beginning next, or the copy before it.
      continue;
    }
    if (budget.used_up()) break;
    TailedFile& file = *files_[i].file;
    const bool ends = files_[i].replaced && !std::exchange(files_[i].ended, true);
    if (file.has_remainder() && (ends || now - file.last_growth() >= kRemainderPatience)) {
      file.TakeRemainder(budget, read);
    }
  }
  return first;
}

void FileTail::Restart(size_t index, MonotonicTime now, TailBudget& budget, TailedLines& read) {
  const TailMark mark = files_[index].file->mark();
  size_t copies = 0;
  bool has_mark = false;
  Listing beside;
  std::set<FileId> moved;
  const auto add = [&](const TailMark* from) {
    for (const RotatedFile& copy : beside.files) {
      if (!IsNew(copy, nullptr)) continue;
      const absl::Status status = Add(copy, from, now, index + copies);
      if (absl::IsAborted(status) || absl::IsResourceExhausted(status)) moved.insert(copy.id);
      if (!status.ok()) continue;
      ++copies;
      if (from == nullptr) continue;
      has_mark = true;
      break;
    }
  };
  for (int look = 0; look < kMaxLooks && (look == 0 || !moved.empty()); ++look) {
    moved.clear();
    beside = List(directory_, base_, {});
    // One copy may have the bytes that were read; all others are new from their first byte on.
    if (mark.offset > 0 && !has_mark) add(&mark);
    add(nullptr);
  }
  const bool is_copied = has_mark || (mark.offset == 0 && copies > 0);
  TailedFile& file = *files_[index + copies].file;
  if (is_copied) {
    file.DropRemainder();
  } else {
    file.TakeRemainder(budget, read);
  }
  const int64_t offset = file.offset();
  const int64_t lost = file.Restart();
  Remember(beside);
  for (const FileId& id : moved) known_.erase(id);
  look_again_ = look_again_ || !moved.empty();
  if (is_copied) return;
  gap_ += lost;
  Log(LogLevel::kWarning,
      absl::StrCat(options_.path, " was emptied or overwritten; what was appended after byte ",
                   offset, " and not read by then is lost, ", lost,
                   " bytes for certain; it is read from its beginning"));
}

void FileTail::DropEnded(MonotonicTime now) {
  for (size_t i = 0; i < files_.size();) {
    const TailedFile& file = *files_[i].file;
    const bool idle =
        now - file.last_growth() >= kWatchReplaced && file.backlog() == 0 && !file.has_remainder();
    const bool is_last = i + 1 == files_.size();
    const bool is_recent = i + 1 + kWatchedFiles >= files_.size();
    const bool done = is_last ? file.removed() && missing_since_.has_value() &&
                                    now - *missing_since_ >= kWatchReplaced
                              : files_[i].ended && (!is_recent || file.removed());
    if (idle && done) {
      known_.insert(file.id());
      files_.erase(files_.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
}

TailPosition FileTail::Position() const {
  TailPosition position{.path = options_.path, .directory = directory_, .known = known_};
  for (const Tailed& tailed : files_) position.files.push_back(tailed.file->mark());
  return position;
}

void FileTail::Save(bool at_once) {
  const absl::Status status = options_.state->Save(options_.context.clock->MonotonicNow(), at_once);
  if (!status.ok() && !std::exchange(save_failed_, true)) {
    Log(LogLevel::kWarning,
        absl::StrCat("its position cannot be stored: ", status.message(),
                     "; it is tried again, and until then a restart gives lines again"));
  } else if (status.ok() && std::exchange(save_failed_, false)) {
    Log(LogLevel::kInfo, "its position is stored again");
  }
}

void FileTail::Log(LogLevel level, const std::string& text) const {
  options_.context.Log(level, "file-tail \"" + options_.component + "\": " + text);
}

datamanager::SourceFunction MakeFileTail(Attributes& attributes) {
  const SourceContext& context = attributes.context();
  FileTailOptions options{.component = attributes.component(),
                          .path = attributes.RequiredText("path"),
                          .context = context};
  const std::string from = attributes.Text("from", "end");
  if (from != "end" && from != "start") {
    attributes.Fault("from", "must be \"end\" or \"start\"");
  }
  options.from_start = from == "start";
  const std::string beside =
      context.config.empty()
          ? ""
          : absl::StrCat(context.config, ".state/", FileNameFor(attributes.component()), ".tail");
  const std::string state = attributes.Text("state", beside);
  if (!options.path.empty()) attributes.ClaimFile("path", options.path, /*never_swept=*/false);
  if (state.empty()) {
    attributes.Fault("state", "must name a file in which the position is kept over restarts");
  } else if (attributes.ClaimFile("state", state, /*never_swept=*/true)) {
    absl::StatusOr<std::shared_ptr<TailState>> opened =
        TailState::Open(state, context.flushed_after);
    if (opened.ok()) {
      options.state = *std::move(opened);
    } else {
      attributes.Fault("state", absl::StrCat("does not work: ", opened.status().message(),
                                             "; name a file in a directory that the robot may "
                                             "write to"));
    }
  }
  return datamanager::ReadingsSource(
      [tail = std::make_shared<FileTail>(std::move(options))](
          const CaptureRequest& request, Readings& out) { return tail->Read(request, out); });
}

}  // namespace robot
