// P8, and the time of a pass over a backlog that grows: what it costs to look through it.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/logger.h"
#include "base/unique_fd.h"
#include "capture_file/file_name.h"
#include "sync/dispatcher.h"
#include "tests/bench/benches.h"
#include "tests/bench/curves.h"
#include "tests/bench/stopwatch.h"
#include "tests/support/fake_uploader.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

namespace datamanager::bench {
namespace {

// Collectors that took turns, as they do.
class Backlog {
 public:
  Backlog(const Settings& settings, size_t directories, size_t files)
      : root_(settings.directory), files_(directories * files) {
    const WallTime begin = Clock::System().WallNow() - std::chrono::hours(1);
    for (size_t d = 0; d < directories; ++d) {
      const std::string directory = capture_file::CollectorDirectory(
          root_.path(), "rdk:component:sensor", absl::StrCat("sensor-", d), "Readings");
      std::filesystem::create_directories(directory);
      for (size_t i = 0; i < files; ++i) {
        const std::string path = absl::StrCat(
            directory, "/",
            capture_file::CompleteName(begin + std::chrono::microseconds(i * directories + d)));
        const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        Require(::write(fd.get(), "x", 1) == 1, "cannot write a file of the backlog");
      }
    }
  }

  const std::string& root() const { return root_.path(); }
  size_t files() const { return files_; }

 private:
  const testing::TempDir root_{testing::DiskDirectory()};
  const size_t files_;
};

struct Found {
  uint64_t files = 0;
  uint64_t inodes = 0;  // Their sum.
};

// The system calls and nothing else.
class BareWalk {
 public:
  explicit BareWalk(bool stat) : stat_(stat), buffer_(32 << 10) {}

  Found Walk(const std::string& root) {
    found_ = {};
    Enter(AT_FDCWD, root.c_str());
    return found_;
  }

 private:
  struct Entry {  // As linux_dirent64.
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[1];
  };

  void Enter(int parent, const char* name) {
    const UniqueFd fd(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    std::vector<std::string> directories;
    while (true) {
      const auto size = ::syscall(SYS_getdents64, fd.get(), buffer_.data(), buffer_.size());
      if (size <= 0) break;
      for (auto at = decltype(size){0}; at < size;) {
        const auto* entry = reinterpret_cast<const Entry*>(buffer_.data() + at);
        at += entry->length;
        if (entry->type == DT_REG) {
          Meet(fd.get(), *entry);
        } else if (entry->type == DT_DIR && std::string_view(entry->name) != "." &&
                   std::string_view(entry->name) != "..") {
          directories.emplace_back(entry->name);
        }
      }
    }
    for (const std::string& directory : directories) Enter(fd.get(), directory.c_str());
  }

  void Meet(int fd, const Entry& entry) {
    ++found_.files;
    found_.inodes += entry.inode;
    if (!stat_) return;
    struct stat info {};
    Require(::fstatat(fd, entry.name, &info, AT_SYMLINK_NOFOLLOW) == 0, "fstatat fails");
  }

  const bool stat_;
  std::vector<char> buffer_;
  Found found_;
};

// The looks in the order in which the files were made, at names that are known, in directories that
// are open.
class BareLooksByAge {
 public:
  explicit BareLooksByAge(const std::string& root) {
    for (const std::string& path : testing::FilesBelow(root)) {
      const std::string directory = ParentPath(path);
      if (directory != directory_) {
        directory_ = directory;
        fds_.emplace_back(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
      }
      files_.push_back({.fd = fds_.back().get(), .name = std::string(BaseName(path))});
    }
    std::sort(files_.begin(), files_.end(),
              [](const File& a, const File& b) { return a.name < b.name; });
  }

  Found Look() const {
    Found found;
    for (const File& file : files_) {
      struct stat info {};
      Require(::fstatat(file.fd, file.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0,
              "fstatat fails");
      ++found.files;
      found.inodes += info.st_ino;
    }
    return found;
  }

 private:
  struct File {
    int fd;
    std::string name;
  };
  std::string directory_;
  std::vector<UniqueFd> fds_;
  std::vector<File> files_;
};

// Everything of sync that a pass needs.
class PassWorld {
 public:
  PassWorld(const Settings& settings, const std::string& root)
      : context_({.uploader = std::make_shared<testing::FakeUploader>(),
                  .logger = *Logger::Create([](const LogEntry&) {}),
                  .ops = settings.ops}) {
    config_.capture_directory = root;
  }

  // Takes every file, as an upload would.
  std::vector<sync::FileTracker::Claim> ClaimAll() {
    std::vector<sync::FileTracker::Claim> claims;
    const auto claim = [&](const sync::FoundFile& file, const struct stat&) {
      claims.push_back(*context_.tracker.TryClaim(file.id));
      return false;
    };
    dispatcher_.AnyReady(claim, {});
    return claims;
  }
  // In the order of the directories.
  Found LookAtAll() {
    Found found;
    dispatcher_.AnyReady(Counting(found), {});
    return found;
  }
  // What a pass would give, in its order.
  Found Pass() {
    Found found;
    const auto pass = dispatcher_.BeginPass(Counting(found));
    while (pass->state() == sync::Pass::State::kUnderWay) {
      std::optional<sync::Job> job;
      Require(dispatcher_.Next(0, job) != sync::Dispatcher::Drawn::kFile,
              "it takes what it shall not");
    }
    Require(dispatcher_.EndOf(pass) == sync::PassEnd::kComplete, "the pass came to no end");
    return found;
  }

 private:
  // Passes over each file once it has been looked at.
  static sync::FileFilter Counting(Found& found) {
    return [&found](const sync::FoundFile& file, const struct stat&) {
      ++found.files;
      found.inodes += file.id.inode;
      return false;
    };
  }

  sync::SyncContext context_;
  config::SyncConfig config_;
  sync::Dispatcher dispatcher_{context_, config_};
};

}  // namespace

std::vector<Row> Walk(const Settings& settings) {
  const Backlog backlog(settings, settings.Size(1000, 10), settings.Size(100, 10));
  BareWalk names(/*stat=*/false);
  BareWalk looks(/*stat=*/true);
  const Found all = names.Walk(backlog.root());
  Require(all.files == backlog.files(), "the tree is not as it was made");
  const auto timed = [](const std::function<void()>& walk) -> Run {
    return [walk]() -> std::vector<double> {
      const Stopwatch watch;
      walk();
      return {watch.CpuSeconds()};
    };
  };
  const auto check = [&](const Found& found) {
    Require(found.files == all.files && found.inodes == all.inodes, "a file is skipped");
  };
  const auto bare = [&](BareWalk& walk) {
    return timed([&] { check(walk.Walk(backlog.root())); });
  };

  std::vector<Row> rows;
  const auto compare = [&](const std::string& what, const Run& subject, const Run& baseline) {
    for (Row& row :
         Compare("P8", settings.Rounds(7), {{.what = what, .bound = 1.3}}, subject, baseline)) {
      rows.push_back(std::move(row));
    }
  };
  PassWorld world(settings, backlog.root());
  compare("look through 100,000 files in 1,000 directories, each with its look at size",
          timed([&] { check(world.LookAtAll()); }), bare(looks));
  const BareLooksByAge by_age(backlog.root());
  compare(
      "a pass that offers them all, the oldest first; against getdents and fstatat in that order",
      timed([&] { check(world.Pass()); }), timed([&] {
        check(names.Walk(backlog.root()));
        check(by_age.Look());
      }));
  const std::vector<sync::FileTracker::Claim> claims = world.ClaimAll();
  Require(claims.size() == all.files, "the walk skips a file");
  compare("a pass over them when all are tracked",
          timed([&] { Require(world.Pass().files == 0, "a pass offers what somebody has"); }),
          bare(names));
  return rows;
}

std::vector<Curve> BacklogTime(const Settings& settings) {
  // A backlog of ten collectors, to be passed over both ways.
  struct Size {
    Size(const Settings& settings, double files)
        : backlog(settings, 10, static_cast<size_t>(files) / 10),
          world(settings, backlog.root()),
          by_age(backlog.root()) {
      all = names.Walk(backlog.root());
      Require(all.files == backlog.files(), "the tree is not as it was made");
    }
    // Microseconds for each file.
    std::vector<double> Timed(const std::function<Found()>& pass) const {
      const Stopwatch watch;
      const Found found = pass();
      const double seconds = watch.CpuSeconds();
      Require(found.files == all.files && found.inodes == all.inodes, "a file is skipped");
      return {seconds * 1e6 / static_cast<double>(all.files)};
    }

    const Backlog backlog;
    PassWorld world;
    const BareLooksByAge by_age;
    BareWalk names{/*stat=*/false};
    Found all;
  };
  std::vector<Curve> curves = {{.id = "backlog_time",
                                .title = "A pass over the backlog, oldest first",
                                .x_axis = {.what = "files waiting", .unit = ""},
                                .y_axis = {.what = "CPU time per file", .unit = "µs"},
                                .x = settings.brief
                                         ? std::vector<double>{10, 100}
                                         : std::vector<double>{100, 1e3, 1e4, 3e4, 1e5, 3e5, 1e6},
                                .series = {}}};
  std::vector<std::unique_ptr<Size>> sizes;
  for (const double files : curves[0].x) sizes.push_back(std::make_unique<Size>(settings, files));
  Measure(curves, settings.Rounds(7),
          {{.kind = Series::Kind::kSubject,
            .name = "a pass that offers all",
            .run =
                [&](size_t index) {
                  Size& size = *sizes[index];
                  return size.Timed([&] { return size.world.Pass(); });
                }},
           {.kind = Series::Kind::kBaseline,
            .name = "getdents, then fstatat by age",
            .run = [&](size_t index) {
              Size& size = *sizes[index];
              return size.Timed([&] {
                size.names.Walk(size.backlog.root());
                return size.by_age.Look();
              });
            }}});
  return curves;
}

}  // namespace datamanager::bench
