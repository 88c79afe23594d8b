#include "robot/sources/tail_state.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <system_error>
#include <utility>

namespace robot {
namespace {

using datamanager::MonotonicTime;

// A state is a few hundred bytes, and 40 more for each file that was rotated.
constexpr uintmax_t kMaxBytes = 64 << 20;

// The id of this boot of the machine. Empty if the kernel gives none: no two are equal then.
std::string BootId() {
  std::string id;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), id);
  return id;
}

std::string ParentOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent;
}

absl::Status Failed(const char* step, const std::string& path) {
  return absl::ErrnoToStatus(errno, std::string(step) + " " + path);
}

// The states in use, by path.
struct Registry {
  std::mutex mutex;
  std::map<std::string, std::weak_ptr<TailState>> states;
};
Registry& TheRegistry() {
  static auto* const registry = new Registry;  // Outlives every source.
  return *registry;
}

}  // namespace

absl::StatusOr<std::shared_ptr<TailState>> TailState::Open(const std::string& path,
                                                           std::chrono::nanoseconds flushed_after) {
  std::error_code error;
  std::filesystem::create_directories(ParentOf(path), error);
  if (error) {
    return absl::ErrnoToStatus(error.value(), "create directory " + ParentOf(path));
  }
  const std::string name = std::filesystem::weakly_canonical(path, error);
  Registry& registry = TheRegistry();
  const std::lock_guard lock(registry.mutex);
  std::weak_ptr<TailState>& known = registry.states[error ? path : name];
  if (std::shared_ptr<TailState> state = known.lock()) return state;
  std::shared_ptr<TailState> state(new TailState(path, flushed_after));
  if (absl::Status status = state->Load(); !status.ok()) return status;
  known = state;
  return state;
}

absl::Status TailState::Load() {
  const std::string lock_path = path_ + ".lock";
  lock_.Reset(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!lock_.valid()) return Failed("open", lock_path);
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return absl::AlreadyExistsError(path_ + " is in use by another process");
  }
  Fd fd;
  fd.Reset(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return errno == ENOENT ? absl::OkStatus() : Failed("open", path_);
  struct stat info = {};
  if (::fstat(fd.get(), &info) != 0) return Failed("look at", path_);
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError(path_ + " is no regular file");
  std::string text;
  if (static_cast<uintmax_t>(info.st_size) > kMaxBytes) {
    damage_ = "it is larger than 64 MiB";
    return absl::OkStatus();
  }
  if (!ReadExactly(fd.get(), 0, info.st_size, text)) return Failed("read", path_);
  std::optional<StoredPositions> stored = ParsePositions(text, damage_);
  if (!stored) return absl::OkStatus();
  safe_ = stored->safe;
  const std::string boot = BootId();
  latest_ =
      !boot.empty() && boot == stored->boot ? std::move(stored->latest) : std::move(stored->safe);
  return absl::OkStatus();
}

TailState::~TailState() {
  // An error that lasts was logged before; the next start gives the lines since then again.
  static_cast<void>(Save(MonotonicTime::max(), true));
}

std::optional<TailPosition> TailState::position() const {
  const std::lock_guard lock(mutex_);
  return latest_;
}

std::string TailState::damage() const {
  const std::lock_guard lock(mutex_);
  return latest_ ? "" : damage_;
}

bool TailState::Own(const void* source) {
  const std::lock_guard lock(mutex_);
  return std::exchange(owner_, source) == source;
}

void TailState::Commit(TailPosition position) {
  const std::lock_guard lock(mutex_);
  if (latest_ == position) return;
  // Before the first position there are no records.
  if (!latest_) safe_ = position;
  latest_ = std::move(position);
  changed_ = true;
}

absl::Status TailState::Save(MonotonicTime now, bool now_at_once) {
  const std::lock_guard lock(mutex_);
  if (!latest_) return absl::OkStatus();
  if (!now_at_once && last_save_ != MonotonicTime::min() && now - last_save_ < kSaveInterval) {
    return last_error_;
  }
  while (!saved_.empty() && now != MonotonicTime::max() &&
         now - saved_.front().first >= flushed_after_) {
    safe_ = std::move(saved_.front().second);
    saved_.pop_front();
    changed_ = true;
  }
  if (!changed_) return absl::OkStatus();
  last_save_ = now;
  last_error_ = Write();
  if (!last_error_.ok()) return last_error_;
  changed_ = false;
  if (safe_ != *latest_ && (saved_.empty() || saved_.back().second != *latest_)) {
    saved_.emplace_back(now, *latest_);
  }
  return absl::OkStatus();
}

void TailState::SetFlushed() {
  const std::lock_guard lock(mutex_);
  if (!latest_) return;
  changed_ = changed_ || safe_ != *latest_;
  safe_ = *latest_;
  saved_.clear();
}

void TailState::SetAllFlushed() {
  Registry& registry = TheRegistry();
  const std::lock_guard lock(registry.mutex);
  for (const auto& [path, known] : registry.states) {
    if (const std::shared_ptr<TailState> state = known.lock()) state->SetFlushed();
  }
}

absl::Status TailState::Write() const {
  const std::string text = FormatPositions({.boot = BootId(), .latest = *latest_, .safe = safe_});
  const std::string temporary = path_ + ".new";
  Fd fd;
  fd.Reset(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd.valid()) return Failed("open", temporary);
  for (size_t done = 0; done < text.size();) {
    const ssize_t n = ::write(fd.get(), text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed("write", temporary);
    done += static_cast<size_t>(n);
  }
  if (::fsync(fd.get()) != 0) return Failed("flush", temporary);
  if (::rename(temporary.c_str(), path_.c_str()) != 0) return Failed("rename", temporary);
  fd.Reset(::open(ParentOf(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Some file systems cannot flush a directory; these keep the order of changes themselves.
  if (fd.valid() && ::fsync(fd.get()) != 0 && errno != EINVAL) return Failed("flush", path_);
  return absl::OkStatus();
}

}  // namespace robot
