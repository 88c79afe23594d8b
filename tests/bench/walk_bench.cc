// P8: what it costs to look through a large backlog.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/logger.h"
#include "base/unique_fd.h"
#include "capture_file/file_name.h"
#include "sync/directory_walker.h"
#include "sync/pass.h"
#include "tests/bench/benches.h"
#include "tests/bench/stopwatch.h"
#include "tests/support/fake_uploader.h"
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
  const testing::TempDir root_;
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

// Everything of sync that a pass needs.
class PassWorld {
 public:
  PassWorld(const Settings& settings, const std::string& root)
      : context_({.uploader = std::make_shared<testing::FakeUploader>(),
                  .logger = *Logger::Create([](const LogEntry&) {}),
                  .ops = settings.ops}) {
    config_.capture_directory = root;
  }

  sync::SyncContext& context() { return context_; }

  Found Walk() {
    const sync::Complain complain = [](const absl::Status& status) {
      throw Broken(status.ToString());
    };
    const std::vector<sync::Root> roots =
        sync::RootsOf(*context_.options.ops, config_, context_.former_roots, complain);
    sync::DirectoryWalker walker(*context_.options.ops, roots, complain, {});
    Found found;
    while (const auto* entry = walker.Next()) {
      ++found.files;
      found.inodes += entry->id.inode;
      visit_(*entry);
    }
    return found;
  }
  void OnVisit(std::function<void(const sync::DirectoryWalker::Entry&)> visit) {
    visit_ = std::move(visit);
  }

  // What the pass sees and would offer.
  Found Pass() {
    Found found;
    const sync::PassEnd end = passes_.Run(
        {},
        [&](const sync::FoundFile& file, const struct stat&) {
          ++found.files;
          found.inodes += file.id.inode;
          return false;
        },
        [] {});
    Require(end == sync::PassEnd::kComplete, "the pass came to no end");
    return found;
  }

 private:
  sync::SyncContext context_;
  config::SyncConfig config_;
  sync::Channel<sync::Job> channel_;
  sync::Passes passes_{context_, config_, channel_};
  std::function<void(const sync::DirectoryWalker::Entry&)> visit_;
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
  const auto bare = [&](BareWalk& walk) {
    return timed([&] { Require(walk.Walk(backlog.root()).files == all.files, "bare walk"); });
  };

  std::vector<Row> rows;
  const auto compare = [&](const std::string& what, const Run& subject, const Run& baseline) {
    for (Row& row :
         Compare("P8", settings.Rounds(7), {{.what = what, .bound = 1.3}}, subject, baseline)) {
      rows.push_back(std::move(row));
    }
  };
  PassWorld world(settings, backlog.root());
  std::vector<sync::FileTracker::Claim> claims;
  world.OnVisit([&](const sync::DirectoryWalker::Entry& entry) {
    auto claim = world.context().tracker.TryClaim(entry.id);
    Require(claim.has_value(), "a file is met twice");
    claims.push_back(*std::move(claim));
  });
  Require(world.Walk().files == all.files, "the walk skips a file");
  world.OnVisit([&](const sync::DirectoryWalker::Entry&) {});
  compare("walker only", timed([&] {
            const Found found = world.Walk();
            Require(found.files == all.files && found.inodes == all.inodes,
                    "the walk skips a file");
          }),
          bare(names));
  world.OnVisit([&](const sync::DirectoryWalker::Entry& entry) {
    Require(world.context().tracker.IsClaimed(entry.id), "not claimed");
  });
  compare("walker+tracker", timed([&] {
            const Found found = world.Walk();
            Require(found.files == all.files && found.inodes == all.inodes,
                    "the walk skips a file");
          }),
          bare(names));
  compare("pass, all tracked",
          timed([&] { Require(world.Pass().files == 0, "the pass offers what somebody has"); }),
          bare(names));
  claims.clear();
  compare("pass, all offered", timed([&] {
            const Found found = world.Pass();
            Require(found.files == all.files && found.inodes == all.inodes,
                    "the pass skips a file");
          }),
          bare(looks));
  return rows;
}

}  // namespace datamanager::bench
