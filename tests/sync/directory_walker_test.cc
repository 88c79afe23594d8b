#include "sync/directory_walker.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "tests/support/temp_dir.h"
#include "tests/sync/test_files.h"

namespace datamanager::sync {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using std::chrono::seconds;

constexpr uid_t kNobody = 65534;

class WalkTest : public ::testing::Test {
 protected:
  WalkTest() { fs::create_directories(Path("capture")); }

  std::string Path(const std::string& path) const { return dir_.path() + "/" + path; }
  // A file that was left alone long ago.
  void Write(const std::string& path, const std::string& bytes = "bytes") {
    WriteFile(Path(path), bytes);
    SetAge(Path(path), hours(1));
  }

  WalkOptions Options() {
    return {.capture_directory = Path("capture"),
            .additional_paths = additional_,
            .min_file_age = seconds(10),
            .wanted = [this](const FoundFile& file) { return !skip_.contains(file.path); },
            .visit =
                [this](const FoundFile& file, const struct stat& info) {
                  EXPECT_EQ(file.id, FileId::Of(info)) << file.path;
                  EXPECT_TRUE(file.path.starts_with(file.root + "/")) << file.path;
                  found_.push_back(file);
                  return true;
                },
            .complain = [this](const absl::Status& status) { complaints_.push_back(status); },
            .stop = stop_.get_token()};
  }
  // What a walk finds, relative to the directory and sorted.
  std::string Walked() {
    found_.clear();
    EXPECT_TRUE(Walk(Options(), std::chrono::system_clock::now()));
    std::vector<std::string> names;
    for (const FoundFile& file : found_) names.push_back(file.path.substr(dir_.path().size() + 1));
    std::sort(names.begin(), names.end());
    return Join(names);
  }

  testing::TempDir dir_;
  std::vector<std::string> additional_;
  std::set<std::string> skip_;
  std::stop_source stop_;
  std::vector<FoundFile> found_;
  std::vector<absl::Status> complaints_;
};

TEST(IsReadyTest, Table) {
  const WallTime now = std::chrono::system_clock::now();
  const auto in = [now](seconds age) { return std::chrono::system_clock::to_time_t(now - age); };
  const struct {
    const char* what;
    FileKind kind;
    off_t size;
    seconds age;
    bool ready;
  } kCases[] = {
      {"a capture file at once", FileKind::kCapture, 10, seconds(0), true},
      {"a capture file whatever its size", FileKind::kCapture, 0, seconds(0), true},
      {"a capture file of the future", FileKind::kCapture, 10, seconds(-100), true},
      {"another when it was left alone", FileKind::kArbitrary, 10, seconds(11), true},
      {"another not before", FileKind::kArbitrary, 10, seconds(8), false},
      {"another that is empty never", FileKind::kArbitrary, 0, seconds(1000), false},
      {"another of the future not", FileKind::kArbitrary, 10, seconds(-100), false},
  };
  for (const auto& test : kCases) {
    struct stat info {};
    info.st_size = test.size;
    info.st_mtim.tv_sec = in(test.age);
    EXPECT_EQ(IsReady(test.kind, info, seconds(10), now), test.ready) << test.what;
  }
  struct stat future {};
  future.st_size = 10;
  future.st_mtim.tv_sec = in(seconds(-100));
  EXPECT_TRUE(IsReady(FileKind::kArbitrary, future, seconds(0), now));
}

TEST_F(WalkTest, OffersWhatIsReady) {
  Write("capture/a/b/c/1.capture");
  Write("capture/a/b/c/2.prog");
  Write("capture/a/b/c/empty.capture", "");
  Write("capture/notes.txt");
  Write("capture/empty.txt", "");
  Write("files/x/data.bin");
  Write("files/3.capture");
  Write("files/4.prog");
  Write("files/capture");
  WriteFile(Path("files/fresh.txt"), "bytes");
  WriteFile(Path("files/fresh.capture"), "bytes");
  WriteFile(Path("files/future.txt"), "bytes");
  SetAge(Path("files/future.txt"), -hours(1));
  additional_ = {Path("files")};
  EXPECT_EQ(Walked(),
            "capture/a/b/c/1.capture capture/a/b/c/empty.capture capture/notes.txt "
            "files/3.capture files/capture files/fresh.capture files/x/data.bin");
  EXPECT_TRUE(complaints_.empty());
  for (const FoundFile& file : found_) {
    EXPECT_EQ(file.kind == FileKind::kCapture, file.path.ends_with(".capture")) << file.path;
    EXPECT_EQ(file.root,
              file.path.find("/files/") == std::string::npos ? Path("capture") : Path("files"));
  }
}

TEST_F(WalkTest, TheCaptureDirectoryComesFirst) {
  Write("files/a.txt");
  Write("capture/b.capture");
  Write("more/c.txt");
  additional_ = {Path("files"), Path("more")};
  Walked();
  ASSERT_EQ(found_.size(), 3U);
  EXPECT_EQ(found_[0].path, Path("capture/b.capture"));
  EXPECT_EQ(found_[1].path, Path("files/a.txt"));
  EXPECT_EQ(found_[2].path, Path("more/c.txt"));
}

TEST_F(WalkTest, WhatIsNotWantedIsPassedOver) {
  Write("capture/1.capture");
  Write("capture/2.capture");
  skip_ = {Path("capture/1.capture")};
  EXPECT_EQ(Walked(), "capture/2.capture");
}

TEST_F(WalkTest, DirectoriesOfOthersAreOffLimitsBelowEachRootOnly) {
  for (const std::string root : {"capture", "files"}) {
    for (const std::string name : {"failed", "sequences", "datasetUpload"}) {
      Write(root + "/" + name + "/x/a.txt");
      Write(root + "/" + name + "/a.capture");
      Write(root + "/user/" + name + "/deeper.txt");
    }
  }
  additional_ = {Path("files")};
  EXPECT_EQ(Walked(),
            "capture/user/datasetUpload/deeper.txt capture/user/failed/deeper.txt "
            "capture/user/sequences/deeper.txt files/user/datasetUpload/deeper.txt "
            "files/user/failed/deeper.txt files/user/sequences/deeper.txt");
}

TEST_F(WalkTest, AFileWithSuchANameIsAFile) {
  Write("capture/failed");
  EXPECT_EQ(Walked(), "capture/failed");
}

TEST_F(WalkTest, OverlappingRootsAreWalkedOnce) {
  Write("capture/1.capture");
  Write("files/2.txt");
  Write("files/inner/3.txt");
  additional_ = {Path("files"),   Path("files/inner"), Path("files"),
                 Path("capture"), Path("files/."),     Path("files/inner/../inner")};
  EXPECT_EQ(Walked(), "capture/1.capture files/2.txt files/inner/3.txt");
}

TEST_F(WalkTest, OverlappingRootsAreWalkedOnceWhateverTheOrder) {
  Write("files/2.txt");
  Write("files/inner/3.txt");
  Write("files/inner/failed/4.txt");
  additional_ = {Path("files/inner"), Path("files")};
  EXPECT_EQ(Walked(), "files/2.txt files/inner/3.txt");
}

TEST_F(WalkTest, ARootInsideTheCaptureDirectoryIsWalkedOnce) {
  Write("capture/inner/1.capture");
  additional_ = {Path("capture/inner")};
  EXPECT_EQ(Walked(), "capture/inner/1.capture");
  EXPECT_EQ(found_[0].root, Path("capture/inner"));
}

TEST_F(WalkTest, ARootThatIsALinkIsResolved) {
  Write("real/1.txt");
  fs::create_directory_symlink(Path("real"), Path("link"));
  additional_ = {Path("link"), Path("real")};
  EXPECT_EQ(Walked(), "real/1.txt");
  EXPECT_EQ(found_[0].root, Path("real"));
}

TEST_F(WalkTest, LinksBelowARootAreNotFollowed) {
  Write("elsewhere/secret.txt");
  fs::create_directory_symlink(Path("elsewhere"), Path("capture/dir"));
  fs::create_symlink(Path("elsewhere/secret.txt"), Path("capture/file.txt"));
  fs::create_symlink(Path("elsewhere/secret.txt"), Path("capture/file.capture"));
  fs::create_symlink(Path("nowhere"), Path("capture/dangling.capture"));
  EXPECT_EQ(Walked(), "");
  EXPECT_TRUE(complaints_.empty());
}

TEST_F(WalkTest, OnlyRegularFilesCount) {
  Write("capture/1.capture");
  ASSERT_EQ(mkfifo(Path("capture/fifo.capture").c_str(), 0600), 0);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string socket_path = Path("capture/socket.capture");
  std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size());
  ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  // Only root may; the others stand for it elsewhere.
  if (mknod(Path("capture/null.capture").c_str(), S_IFCHR | 0600, makedev(1, 3)) != 0) {
    EXPECT_NE(geteuid(), 0U);
  }
  EXPECT_EQ(Walked(), "capture/1.capture");
  close(fd);
}

TEST_F(WalkTest, AHardLinkToAnothersFileIsPassedOver) {
  Write("elsewhere/theirs.txt");
  Write("elsewhere/ours.txt");
  if (chown(Path("elsewhere/theirs.txt").c_str(), kNobody, kNobody) != 0) {
    GTEST_SKIP() << "only root can give files away";
  }
  fs::create_hard_link(Path("elsewhere/theirs.txt"), Path("capture/theirs.txt"));
  fs::create_hard_link(Path("elsewhere/ours.txt"), Path("capture/ours.txt"));
  EXPECT_EQ(Walked(), "capture/ours.txt");
}

TEST_F(WalkTest, AMissingRootIsNoError) {
  fs::remove(Path("capture"));
  Write("files/1.txt");
  additional_ = {Path("nowhere"), Path("files")};
  EXPECT_EQ(Walked(), "files/1.txt");
  EXPECT_TRUE(complaints_.empty());
}

TEST_F(WalkTest, ARootThatIsAFileIsComplainedAbout) {
  Write("capture/1.capture");
  Write("file.txt");
  additional_ = {Path("file.txt")};
  EXPECT_EQ(Walked(), "capture/1.capture");
  ASSERT_EQ(complaints_.size(), 1U);
  EXPECT_NE(complaints_[0].ToString().find(Path("file.txt")), std::string::npos);
}

// Root may read everything, so this thread walks as somebody else for a while.
TEST_F(WalkTest, AnUnreadableDirectoryIsComplainedAboutAndTheRestWalked) {
  Write("capture/a/1.capture");
  Write("capture/locked/2.capture");
  Write("capture/z/3.capture");
  const fs::perms readable = fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec |
                             fs::perms::others_read | fs::perms::others_exec;
  for (const char* path : {"", "capture", "capture/a", "capture/z"}) {
    fs::permissions(Path(path), readable);
  }
  fs::permissions(Path("capture/locked"), fs::perms::none);
  const bool root = geteuid() == 0;
  // The system call changes this thread only.
  if (root) {
    ASSERT_EQ(syscall(SYS_setresuid, -1, kNobody, -1), 0);
  }
  const std::string walked = Walked();
  if (root) {
    ASSERT_EQ(syscall(SYS_setresuid, -1, 0, -1), 0);
  }
  fs::permissions(Path("capture/locked"), fs::perms::owner_all);
  EXPECT_EQ(walked, "capture/a/1.capture capture/z/3.capture");
  ASSERT_EQ(complaints_.size(), 1U);
  EXPECT_NE(complaints_[0].ToString().find(Path("capture/locked")), std::string::npos);
}

TEST_F(WalkTest, ATreeThatIsTooDeepIsComplainedAbout) {
  std::string deep = "capture";
  for (int i = 0; i < 70; ++i) deep += "/d";
  Write(deep + "/1.capture");
  Write("capture/2.capture");
  EXPECT_EQ(Walked(), "capture/2.capture");
  EXPECT_EQ(complaints_.size(), 1U);
}

TEST_F(WalkTest, AStopEndsIt) {
  for (int i = 0; i < 10; ++i) Write("capture/" + std::to_string(i) + ".capture");
  WalkOptions options = Options();
  int visits = 0;
  options.visit = [&](const FoundFile&, const struct stat&) {
    ++visits;
    stop_.request_stop();
    return true;
  };
  EXPECT_FALSE(Walk(options, std::chrono::system_clock::now()));
  EXPECT_EQ(visits, 1);
}

TEST_F(WalkTest, TheVisitorEndsIt) {
  for (int i = 0; i < 10; ++i) Write("capture/" + std::to_string(i) + ".capture");
  WalkOptions options = Options();
  int visits = 0;
  options.visit = [&](const FoundFile&, const struct stat&) { return ++visits < 3; };
  EXPECT_FALSE(Walk(options, std::chrono::system_clock::now()));
  EXPECT_EQ(visits, 3);
}

}  // namespace
}  // namespace datamanager::sync
