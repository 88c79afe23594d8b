// Whatever lies in the directories that are walked: nothing outside of them is read, uploaded,
// moved or removed, nothing blocks, and the files beside it are uploaded.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <ostream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/lowered_rights.h"
#include "tests/sync/sync_fixture.h"

namespace datamanager::sync {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kAnother = 65534;

class PathAttackTest : public SyncFixture {
 public:
  PathAttackTest() {
    WriteFile(outside_ + "/secret.txt", "secret");
    WriteFile(outside_ + "/secret.capture", Healthy("secret"));
    for (const auto& entry : fs::directory_iterator(outside_)) {
      SetAge(entry.path().string(), std::chrono::hours(1));
    }
  }

  static std::string Healthy(const std::string& component) {
    return CaptureFileBytes(TabularMetadata(component), {Reading(1)});
  }
  std::string Path(const std::string& name) const { return dir_.path() + "/" + name; }
  void Put(const std::string& name, const std::string& bytes) {
    WriteFile(Path(name), bytes);
    SetAge(Path(name), std::chrono::hours(1));
  }
  void Link(const std::string& target, const std::string& name) {
    fs::create_directories(fs::path(Path(name)).parent_path());
    fs::create_symlink(target, Path(name));
  }
  void Device(const std::string& name, mode_t type, dev_t device) {
    if (mknod(Path(name).c_str(), type | 0600, device) != 0) skip_ = "only root makes devices";
  }
  void GiveAway(const std::string& name) {
    if (lchown(Path(name).c_str(), kAnother, kAnother) != 0) skip_ = "only root gives files away";
  }
  void Allow(const std::string& name, mode_t mode) {
    ASSERT_EQ(chmod(Path(name).c_str(), mode), 0) << name;
  }
  void AddRoot(const std::string& name) { config_.additional_paths.push_back(Path(name)); }
  // A directory so deep that no path leads there.
  void PutDeep(const std::string& name, const std::string& segment, int depth) {
    int at = open(Path(name).c_str(), O_PATH | O_DIRECTORY);
    for (int i = 0; i < depth; ++i) {
      ASSERT_EQ(mkdirat(at, segment.c_str(), 0700), 0);
      const int next = openat(at, segment.c_str(), O_PATH | O_DIRECTORY);
      close(at);
      at = next;
    }
    const UniqueFd file(openat(at, "deep.capture", O_CREAT | O_WRONLY, 0600));
    ASSERT_EQ(write(file.get(), "deep", 4), 4);
    close(at);
  }

  // Everything outside: names, kinds, owners, times and contents.
  std::string Outside() const {
    std::string all;
    for (const auto& entry : fs::recursive_directory_iterator(outside_)) {
      struct stat info {};
      EXPECT_EQ(lstat(entry.path().c_str(), &info), 0);
      absl::StrAppend(&all, entry.path().string(), " ", info.st_ino, " ", info.st_mode, " ",
                      info.st_nlink, " ", info.st_mtim.tv_nsec, " ",
                      entry.is_regular_file() ? ReadFile(entry.path().string()) : "", "\n");
    }
    return all;
  }

  const std::string outside_ = dir_.path() + "/outside";
  std::string skip_;
  UniqueFd held_;
  std::vector<std::string> opened_up_;  // To be made accessible again, so that it can be removed.
};

struct Attack {
  const char* name;
  std::function<void(PathAttackTest&)> prepare;
  std::string uploaded;      // Beside the healthy file.
  std::string warned = "";   // What the log says, once.
  uint64_t blocked = 0;      // Files left alone.
  std::string on_disk = "";  // A path that is there in the end.
  uint64_t waiting = 0;      // Files that go on to be tried.
};

void PrintTo(const Attack& attack, std::ostream* out) { *out << attack.name; }

std::vector<Attack> Attacks() {
  using T = PathAttackTest;
  const std::string long_name(NAME_MAX - 8, 'n');
  const std::string not_utf8 = "caf\xe9";
  return {
      {"LinkToAFile", [](T& t) { t.Link(t.outside_ + "/secret.txt", "files/a.txt"); }, ""},
      {"LinkToACaptureFile",
       [](T& t) { t.Link(t.outside_ + "/secret.capture", "captured/a.capture"); }, ""},
      {"LinkWithACaptureFilesName",
       [](T& t) {
         t.Link(t.outside_ + "/secret.capture", "captured/2026-01-02T03_04_05.000006Z.capture");
       },
       ""},
      {"LinkToADirectory", [](T& t) { t.Link(t.outside_, "captured/dir"); }, ""},
      {"LinkToADirectoryInAnAdditionalPath", [](T& t) { t.Link(t.outside_, "files/dir"); }, ""},
      {"RelativeLink", [](T& t) { t.Link("../outside", "files/dir"); }, ""},
      {"LinkUpwards", [](T& t) { t.Link("..", "files/up"); }, ""},
      {"LinkToTheTop", [](T& t) { t.Link("/", "files/top"); }, ""},
      {"LinkToItsOwnDirectory", [](T& t) { t.Link(".", "files/loop"); }, ""},
      {"LinkLoop",
       [](T& t) {
         t.Link("b.txt", "files/a.txt");
         t.Link("a.txt", "files/b.txt");
       },
       ""},
      {"DanglingLink", [](T& t) { t.Link("nowhere", "captured/a.capture"); }, ""},
      {"LinkToAnEndlessDevice", [](T& t) { t.Link("/dev/zero", "captured/a.capture"); }, ""},
      {"LinkNamedAsInProgress", [](T& t) { t.Link(t.outside_ + "/secret.txt", "files/a.prog"); },
       ""},
      {"Fifo", [](T& t) { ASSERT_EQ(mkfifo(t.Path("files/a.txt").c_str(), 0600), 0); }, ""},
      {"FifoNamedAsACaptureFile",
       [](T& t) {
         ASSERT_EQ(mkfifo(t.Path("captured/2026-01-02T03_04_05.000006Z.capture").c_str(), 0600), 0);
       },
       ""},
      {"Socket",
       [](T& t) {
         t.held_ = UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
         sockaddr_un address{};
         address.sun_family = AF_UNIX;
         const std::string path = t.Path("captured/a.capture");
         std::memcpy(address.sun_path, path.c_str(), path.size());
         ASSERT_EQ(
             bind(t.held_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
       },
       ""},
      {"CharacterDevice", [](T& t) { t.Device("captured/a.capture", S_IFCHR, makedev(1, 5)); }, ""},
      {"BlockDevice", [](T& t) { t.Device("files/a.img", S_IFBLK, makedev(7, 0)); }, ""},
      {"HardLinkToAnothersFile",
       [](T& t) {
         t.GiveAway("outside/secret.txt");
         fs::create_hard_link(t.outside_ + "/secret.txt", t.Path("files/a.txt"));
       },
       "", "files/a.txt is not uploaded: it is a hard link to another user's file", 1,
       "files/a.txt"},
      {"HardLinkToAnothersCaptureFile",
       [](T& t) {
         t.GiveAway("outside/secret.capture");
         fs::create_hard_link(t.outside_ + "/secret.capture", t.Path("captured/a.capture"));
       },
       "", "captured/a.capture is not uploaded: it is a hard link", 1, "captured/a.capture"},
      {"HardLinkToOnesOwnFile",
       [](T& t) {
         t.Put("kept/a.txt", "own");
         fs::create_hard_link(t.Path("kept/a.txt"), t.Path("files/a.txt"));
       },
       "a.txt", "", 0, "kept/a.txt"},
      {"UnreadableFile",
       [](T& t) {
         t.Put("files/a.txt", "mute");
         t.Allow("files/a.txt", 0);
       },
       "", "files/a.txt is not uploaded: it cannot be read", 1, "files/a.txt"},
      {"UnreadableCaptureFile",
       [](T& t) {
         t.Put("captured/2026-01-02T03_04_05.000006Z.capture", "mute");
         t.Allow("captured/2026-01-02T03_04_05.000006Z.capture", 0);
       },
       "", "000006Z.capture is not uploaded: it cannot be read", 1,
       "captured/2026-01-02T03_04_05.000006Z.capture"},
      {"UnreadableDirectory",
       [](T& t) {
         t.Put("files/dir/a.txt", "mute");
         t.Allow("files/dir", 0);
         t.opened_up_ = {"files/dir"};
       },
       "", "open directory ", 0, "files/dir"},
      {"DirectoryThatCannotBeEntered",
       [](T& t) {
         t.Put("files/dir/a.txt", "mute");
         t.Allow("files/dir", 0600);
         t.opened_up_ = {"files/dir"};
       },
       "", "files/dir are not uploaded, since they could not be removed afterwards", 1,
       "files/dir"},
      {"DirectoryThatCannotBeWrittenTo",
       [](T& t) {
         t.Put("files/dir/a.txt", "stays");
         t.Put("files/dir/b.txt", "stays");
         t.Allow("files/dir", 0500);
         t.opened_up_ = {"files/dir"};
       },
       "", "files/dir are not uploaded, since they could not be removed afterwards", 2,
       "files/dir/a.txt"},
      {"CaptureFilesWhereNothingCanBeRemoved",
       [](T& t) {
         t.Put("captured/dir/2026-01-02T03_04_05.000006Z.capture", T::Healthy("fixed"));
         t.Allow("captured/dir", 0500);
         t.opened_up_ = {"captured/dir"};
       },
       "", "captured/dir are not uploaded", 1, "captured/dir/2026-01-02T03_04_05.000006Z.capture"},
      {"AnothersFileInAnothersStickyDirectory",
       [](T& t) {
         t.Put("files/dir/a.txt", "theirs");
         t.GiveAway("files/dir/a.txt");
         t.GiveAway("files/dir");
         t.Allow("files/dir/a.txt", 0644);
         t.Allow("files/dir", 01777);
       },
       "", "files of others in ", 1, "files/dir/a.txt"},
      {"OnesOwnFileInAnothersStickyDirectory",
       [](T& t) {
         t.Put("files/dir/a.txt", "own");
         t.GiveAway("files/dir");
         t.Allow("files/dir", 01777);
       },
       "a.txt"},
      {"AnothersFileThatMayBeRead",
       [](T& t) {
         t.Put("files/a.txt", "theirs");
         t.GiveAway("files/a.txt");
         t.Allow("files/a.txt", 0644);
       },
       "a.txt"},
      {"NameThatIsNotUtf8", [=](T& t) { t.Put("files/" + not_utf8 + ".txt", "x"); }, "",
       "its path is not UTF-8", 0, "files/failed/" + not_utf8 + ".txt"},
      {"DirectoryThatIsNotUtf8", [=](T& t) { t.Put("files/" + not_utf8 + "/a.txt", "x"); }, "",
       "its path is not UTF-8", 0, "files/failed/" + not_utf8 + "/a.txt"},
      {"CaptureFileThatIsNotUtf8",
       [=](T& t) { t.Put("captured/" + not_utf8 + ".capture", T::Healthy("odd")); }, "odd:1"},
      {"NameWithALineBreak", [](T& t) { t.Put("files/a\nb.txt", "x"); }, "a\nb.txt"},
      {"NameWithAColonAndSpaces", [](T& t) { t.Put("files/a: b/c d:e.txt", "x"); }, "c d:e.txt"},
      {"NameThatLooksLikeAnOption", [](T& t) { t.Put("files/-rf", "x"); }, "-rf"},
      {"NameWithConversions", [](T& t) { t.Put("files/%s%n{}.txt", "x"); }, "%s%n{}.txt"},
      {"HiddenFile", [](T& t) { t.Put("files/.a", "x"); }, ".a"},
      {"ThreeDots", [](T& t) { t.Put("files/.../...", "x"); }, "..."},
      {"LongestName", [=](T& t) { t.Put("files/" + long_name + "12345678", "x"); },
       long_name + "12345678"},
      {"LongestNameTakenInFailed",
       [=](T& t) {
         t.Put("captured/" + long_name + ".capture", "garbage");
         t.Put("captured/failed/" + long_name + ".capture", "before");
       },
       "", "moving file that data manager failed to sync", 0,
       "captured/failed/" + long_name + ".captu.1"},
      {"PathTooLong", [=](T& t) { t.PutDeep("captured", long_name, 20); }, "", "path too long", 0},
      {"TreeTooDeep", [](T& t) { t.PutDeep("captured", "d", 100); }, "", "directory too deep"},
      {"DirectoryNamedAsACaptureFile",
       [](T& t) { t.Put("captured/a.capture/b.capture", T::Healthy("odd")); }, "odd:1"},
      {"DirectoryNamedAsInProgress",
       [](T& t) { t.Put("captured/a.prog/b.capture", T::Healthy("odd")); }, "odd:1"},
      {"FailedIsALink",
       [](T& t) {
         t.Link(t.outside_, "captured/failed");
         t.Put("captured/a.capture", "garbage");
       },
       "", "", 0, "captured/a.capture", 1},
      {"FailedIsAFile",
       [](T& t) {
         t.Put("captured/a.capture", "garbage");
         WriteFile(t.Path("captured/failed"), "");
       },
       "", "", 0, "captured/a.capture", 1},
      {"FailedIsAFifo",
       [](T& t) {
         t.Put("captured/a.capture", "garbage");
         ASSERT_EQ(mkfifo(t.Path("captured/failed").c_str(), 0600), 0);
       },
       "", "", 0, "captured/a.capture", 1},
      {"ADirectoryInFailedIsALink",
       [](T& t) {
         t.Link(t.outside_, "captured/failed/dir");
         t.Put("captured/dir/a.capture", "garbage");
       },
       "", "", 0, "captured/dir/a.capture", 1},
      {"TheNameInFailedIsALink",
       [](T& t) {
         t.Link(t.outside_ + "/secret.txt", "captured/failed/a.capture");
         t.Put("captured/a.capture", "garbage");
       },
       "", "moving file", 0, "captured/failed/a.capture.1"},
      {"TheNameInFailedIsTaken",
       [](T& t) {
         t.Put("captured/failed/a.capture", "before");
         t.Put("captured/a.capture", "garbage");
       },
       "", "moving file", 0, "captured/failed/a.capture.1"},
      {"FailedCannotBeMade",
       [](T& t) {
         t.Put("captured/dir/a.capture", "garbage");
         t.Allow("captured", 0500);
         t.opened_up_ = {"captured"};
       },
       "", "", 0, "captured/dir/a.capture", 1},
      {"RootIsALink",
       [](T& t) {
         t.Put("real/a.txt", "x");
         t.Link("real", "link");
         t.AddRoot("link");
       },
       "a.txt"},
      {"RootIsALinkLoop",
       [](T& t) {
         t.Link("link", "link");
         t.AddRoot("link");
       },
       "", "resolve "},
      {"RootIsAFile", [](T& t) { t.AddRoot("outside/secret.txt"); }, "", "walk "},
      {"RootIsAFifo",
       [](T& t) {
         ASSERT_EQ(mkfifo(t.Path("fifo").c_str(), 0600), 0);
         t.AddRoot("fifo");
       },
       "", "walk "},
      {"RootIsMissing", [](T& t) { t.AddRoot("nowhere"); }, ""},
      {"RootWithAColonAndSpaces",
       [](T& t) {
         t.Put("my files: new/a b.txt", "x");
         t.AddRoot("my files: new");
       },
       "a b.txt"},
      {"FileOfTheFuture",
       [](T& t) {
         t.Put("files/a.txt", "x");
         SetAge(t.Path("files/a.txt"), -std::chrono::hours(1000));
       },
       "", "", 0, "files/a.txt"},
      {"FileFromBeforeTheEpoch",
       [](T& t) {
         t.Put("files/a.txt", "x");
         SetAge(t.Path("files/a.txt"), std::chrono::hours(24 * 365 * 80));
       },
       "a.txt"},
      {"FileOpenForWriting",
       [](T& t) {
         t.Put("files/a.txt", "x");
         t.held_ = UniqueFd(open(t.Path("files/a.txt").c_str(), O_WRONLY | O_CLOEXEC));
       },
       "", "", 0, "files/a.txt", 1},
  };
}

class PathAttackTableTest : public PathAttackTest, public ::testing::WithParamInterface<Attack> {};

TEST_P(PathAttackTableTest, HarmsNothing) {
  const Attack& attack = GetParam();
  Capture("arm", 1);
  attack.prepare(*this);
  if (HasFatalFailure()) return;
  if (!skip_.empty()) GTEST_SKIP() << skip_;
  const std::string outside = Outside();
  {
    const testing::LoweredRights lowered;
    Start();
    const std::string uploaded = attack.uploaded.empty() ? "arm:1" : "arm:1 " + attack.uploaded;
    const auto words = [](const std::string& text) {
      return std::multiset<char>(text.begin(), text.end());
    };
    EXPECT_TRUE(WaitUntil([&] { return words(Uploaded()) == words(uploaded); })) << Uploaded();
    RunForSomePasses();
    EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().waiting_retries == attack.waiting; }));
    EXPECT_EQ(words(Uploaded()), words(uploaded)) << Uploaded();
    EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().blocked_files == attack.blocked; }))
        << sync_->Stats().blocked_files;
    if (!attack.warned.empty()) {
      EXPECT_TRUE(Logged(attack.warned)) << log_.Text();
      EXPECT_EQ(log_.Count(attack.warned, LogLevel::kWarning), 1U) << log_.Text();
    }
    Close();
  }
  for (const std::string& path : opened_up_) Allow(path, 0700);
  EXPECT_EQ(Outside(), outside);
  if (!attack.on_disk.empty()) {
    EXPECT_TRUE(fs::exists(fs::symlink_status(Path(attack.on_disk)))) << OnDisk();
  }
}

INSTANTIATE_TEST_SUITE_P(All, PathAttackTableTest, ::testing::ValuesIn(Attacks()),
                         [](const auto& attack) { return std::string(attack.param.name); });

TEST_F(PathAttackTest, FailedThatIsALinkIsNamedAndUploadsGoOnWhenItIsGone) {
  impatient_ = true;
  Link(outside_, "captured/failed");
  Put("captured/a.capture", "garbage");
  const std::string outside = Outside();
  Start();
  EXPECT_TRUE(Logged("captured/failed is a link, or no directory: remove it"));
  EXPECT_EQ(Outside(), outside);
  fs::remove(Path("captured/failed"));
  RunUntilIdle();
  EXPECT_TRUE(fs::exists(Path("captured/failed/a.capture")));
}

TEST_F(PathAttackTest, UploadsResumeWhenThePermissionComesBack) {
  Put("files/dir/a.txt", "x");
  Put("files/mute.txt", "y");
  Allow("files/dir", 0500);
  Allow("files/mute.txt", 0);
  const testing::LoweredRights lowered;
  Start();
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().blocked_files == 2; }));
  EXPECT_EQ(sync_->Stats().blocked_directories, 1U);
  RunForSomePasses();
  // Who waits for all that is ready does not wait for them.
  EXPECT_TRUE(SyncNow(Wait::kUploaded).ok());
  EXPECT_TRUE(Logged("files/dir are not uploaded"));
  EXPECT_EQ(log_.Count("files/dir are not uploaded", LogLevel::kWarning), 1U);
  EXPECT_EQ(server_->call_count(), 0U);
  Allow("files/dir", 0700);
  Allow("files/mute.txt", 0600);
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "a.txt mute.txt");
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().blocked_files == 0; }));
  EXPECT_EQ(sync_->Stats().blocked_directories, 0U);
  // Lost again, it is said again.
  Put("files/dir/b.txt", "x");
  Allow("files/dir", 0500);
  EXPECT_TRUE(
      WaitUntil([&] { return log_.Count("files/dir are not uploaded", LogLevel::kWarning) == 2; }));
  Close();
  Allow("files/dir", 0700);
}

TEST_F(PathAttackTest, CaptureDirectoryWithAColonAndSpaces) {
  config_.capture_directory = Path("my robot: data");
  const std::string directory = capture_file::CollectorDirectory(
      config_.capture_directory, "rdk:component:sensor", "arm", "Readings");
  const std::string path =
      directory + "/" + capture_file::CompleteName(std::chrono::system_clock::now());
  WriteFile(path, Healthy("arm"));
  WriteFile(directory + "/bad.capture", "garbage");
  Start();
  EXPECT_TRUE(WaitUntil([&] { return Uploaded() == "arm:1"; }));
  EXPECT_TRUE(WaitUntil([&] {
    return Join(FilesBelow(config_.capture_directory)) ==
           "failed/rdk_component_sensor/arm/Readings/bad.capture";
  }));
}

// Directories are swapped for links at any moment: of files to be uploaded, of ones to be set
// aside, and the one that they are set aside to. Outside, files of the same names wait to be taken
// for them.
TEST_F(PathAttackTest, SwapRace) {
  impatient_ = true;
  constexpr int kFiles = 120;
  const WallTime begin = std::chrono::system_clock::now();
  for (int i = 0; i < kFiles; ++i) {
    const std::string name = capture_file::CompleteName(begin + std::chrono::seconds(i));
    const std::string other = std::to_string(i) + ".txt";
    Put("captured/dir/" + name, CaptureFileBytes(TabularMetadata("arm"), {Reading(i + 1)}));
    Put("captured/dir/bad/" + name, "garbage");
    Put("captured/dir/" + other, "own");
    for (const std::string place : {"outside/", "outside/bad/", "outside/dir/bad/"}) {
      Put(place + name, Healthy("secret"));
      Put(place + other, "secret");
    }
  }
  const std::string outside = Outside();
  std::atomic<bool> over{false};
  std::atomic<int> swaps{0};
  std::thread attacker([&] {
    // In one step, so that nobody meets neither.
    const auto swap = [&](const std::string& name) {
      const auto exchange = [&] {
        return renameat2(AT_FDCWD, Path("link").c_str(), AT_FDCWD, Path("captured/" + name).c_str(),
                         RENAME_EXCHANGE) == 0;
      };
      if (!exchange()) return;  // Nothing there to swap yet.
      std::this_thread::yield();
      ASSERT_TRUE(exchange()) << std::strerror(errno);
      ++swaps;
    };
    fs::create_directory_symlink(outside_, Path("link"));
    while (!over) {
      for (const char* name : {"dir", "failed", "dir/bad", "failed/dir"}) swap(name);
    }
  });
  Start();
  EXPECT_TRUE(WaitUntil([&] { return swaps >= 1000 && server_->stored_count() >= kFiles / 2; }))
      << swaps << " swaps, " << server_->stored_count() << " stored";
  over = true;
  attacker.join();
  RunUntilIdle();
  EXPECT_EQ(Outside(), outside);
  for (const UploadCall& call : server_->calls()) {
    EXPECT_NE(call.metadata.component_name(), "secret");
    EXPECT_EQ(call.contents.find("secret"), std::string::npos);
  }
  EXPECT_EQ(server_->stored_count(), 2U * kFiles);
  size_t aside = 0;
  for (const std::string& path : FilesBelow(captured_)) {
    EXPECT_EQ(ReadFile(captured_ + "/" + path), "garbage") << path;
    ++aside;
  }
  EXPECT_EQ(aside, static_cast<size_t>(kFiles));
}

}  // namespace
}  // namespace datamanager::sync
