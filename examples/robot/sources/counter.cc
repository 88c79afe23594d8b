#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "robot/sources/fd.h"
#include "robot/sources/models.h"

namespace robot {
namespace {

std::string RandomRun() {
  uint64_t number = 0;
  // A request this small is never cut short.
  static_cast<void>(::getrandom(&number, sizeof number, 0));
  std::array<char, 17> text;
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(number));
  return text.data();
}

// Appends whole lines to a file that others may append to as well.
class Journal {
 public:
  absl::Status Open(const std::string& path) {
    path_ = path;
    fd_.Reset(::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                     0644));
    if (!fd_.valid()) return absl::ErrnoToStatus(errno, "open " + path);
    struct stat info = {};
    if (::fstat(fd_.get(), &info) != 0) return absl::ErrnoToStatus(errno, "look at " + path);
    // A FIFO would hold up capture whenever its reader is slow.
    if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError(path + " is no regular file");
    char last = '\n';
    if (info.st_size > 0 && ::pread(fd_.get(), &last, 1, info.st_size - 1) == 1) {
      torn_ = last != '\n';
    }
    return absl::OkStatus();
  }

  // Appends `line` with one write, so that a kill cannot tear it.
  absl::Status Append(const std::string& line) {
    // What a full disk tore is left as a line of its own: cutting it off could take the line of
    // another writer with it. It does no harm, being a beginning of the line that follows it.
    const std::string& text = torn_ ? buffer_.assign("\n").append(line) : line;
    ssize_t written;
    do {
      written = ::write(fd_.get(), text.data(), text.size());
    } while (written < 0 && errno == EINTR);
    if (written == static_cast<ssize_t>(text.size())) {
      torn_ = false;
      return absl::OkStatus();
    }
    if (written < 0) return absl::ErrnoToStatus(errno, "append to " + path_);
    if (written > 0) torn_ = text[static_cast<size_t>(written) - 1] != '\n';
    return absl::ResourceExhaustedError("append to " + path_ + ": only a part was written");
  }

 private:
  std::string path_;
  Fd fd_;
  bool torn_ = false;  // The last line has no end.
  std::string buffer_;
};

class Counter {
 public:
  absl::Status OpenJournal(const std::string& path) { return journal_.Open(path); }

  absl::Status Read(datamanager::Readings& out) {
    std::array<char, 21> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), seq_);
    line_.assign(run_).append(" ").append(digits.data(), end.ptr).append("\n");
    absl::Status journalled = journal_.Append(line_);
    if (!journalled.ok()) return journalled;
    out.Set("run", run_);
    out.Set("seq", seq_);
    ++seq_;
    return absl::OkStatus();
  }

 private:
  const std::string run_ = RandomRun();
  uint64_t seq_ = 1;
  Journal journal_;
  std::string line_;
};

}  // namespace

datamanager::SourceFunction MakeCounter(Attributes& attributes) {
  auto counter = std::make_shared<Counter>();
  const std::string path = attributes.RequiredText("journal");
  if (!path.empty()) {
    const absl::Status opened = counter->OpenJournal(path);
    if (!opened.ok())
      attributes.Fault("journal", "does not work: " + std::string(opened.message()));
  }
  return ReadingsFrom(std::move(counter));
}

}  // namespace robot
