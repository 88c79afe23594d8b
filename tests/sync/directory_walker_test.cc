#include "sync/directory_walker.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "tests/support/lowered_rights.h"
#include "tests/support/temp_dir.h"
#include "tests/sync/test_files.h"

namespace datamanager::sync {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;

class WalkTest : public ::testing::Test {
 protected:
  WalkTest() { fs::create_directories(Path("capture")); }

  std::string Path(const std::string& path) const { return dir_.path() + "/" + path; }
  // A file that was left alone long ago.
  void Write(const std::string& path, const std::string& bytes = "bytes") {
    WriteFile(Path(path), bytes);
    SetAge(Path(path), hours(1));
  }

  std::vector<Root> Roots() {
    return RootsOf(ops_, {.capture_directory = Path("capture"), .additional_paths = additional_},
                   FormerRoots(), complain_);
  }

  // What a walk finds, relative to the directory and sorted.
  std::string Walked() {
    found_.clear();
    std::vector<std::string> names;
    const std::vector<Root> roots = Roots();
    DirectoryWalker walker(ops_, roots, complain_, {});
    while (const DirectoryWalker::Entry* entry = walker.Next()) {
      FoundFile file = Found(entry->root->path, entry->Path());
      EXPECT_EQ(file.id, entry->id) << file.path;
      file.kind = entry->kind;
      EXPECT_TRUE(file.path.starts_with(file.root + "/")) << file.path;
      names.push_back(file.path.substr(dir_.path().size() + 1));
      found_.push_back(std::move(file));
    }
    blocked_ = walker.blocked_files();
    std::sort(names.begin(), names.end());
    return Join(names);
  }

  testing::TempDir dir_;
  std::vector<std::string> additional_;
  FileOps& ops_ = FileOps::System();
  std::vector<FoundFile> found_;
  uint64_t blocked_ = 0;
  std::vector<absl::Status> complaints_;
  const Complain complain_ = [this](const absl::Status& status) { complaints_.push_back(status); };
};

TEST_F(WalkTest, FindsWhatMayBeUploaded) {
  Write("capture/a/b/c/1.capture");
  Write("capture/a/b/c/2.prog");
  Write("capture/a/b/c/empty.capture", "");
  Write("capture/notes.txt");
  Write("capture/empty.txt", "");
  Write("files/x/data.bin");
  Write("files/3.capture");
  Write("files/4.prog");
  Write("files/capture");
  additional_ = {Path("files")};
  EXPECT_EQ(
      Walked(),
      "capture/a/b/c/1.capture capture/a/b/c/empty.capture capture/empty.txt capture/notes.txt "
      "files/3.capture files/capture files/x/data.bin");
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

TEST_F(WalkTest, UploadsToDatasetsAreFoundDirectlyWhereTheyAreKept) {
  const std::string name = std::string(32, 'a') + ".png.upload";
  for (const std::string root : {"capture", "files"}) {
    for (const std::string place : {"/datasetUpload/", "/datasetUpload/deeper/", "/user/"}) {
      Write(root + place + name);
    }
  }
  additional_ = {Path("files")};
  EXPECT_EQ(Walked(), "capture/datasetUpload/" + name + " capture/user/" + name +
                          " files/datasetUpload/" + name + " files/user/" + name);
  for (const FoundFile& file : found_) {
    EXPECT_EQ(file.kind == FileKind::kDatasetUpload,
              file.path.find("datasetUpload") != std::string::npos)
        << file.path;
  }
}

TEST_F(WalkTest, OfSequencesThoseThatHaveEndedAreTold) {
  const std::string id = "0123abcd-0123-4abc-8def-0123456789ab";
  const std::vector<std::string> names = {
      id + ".seq",         id + ".progseq", id + ".seq.tmp",
      id + ".progseq.tmp", "mine.seq",      "0123ABCD-0123-4abc-8def-0123456789ab.seq",
      "x/" + id + ".seq"};
  for (const std::string& name : names) {
    Write("capture/sequences/" + name);
  }
  Write("capture/user/sequences/" + id + ".seq");
  EXPECT_EQ(Walked(), "capture/sequences/" + id + ".seq capture/user/sequences/" + id + ".seq");
  ASSERT_EQ(found_.size(), 2U);
  for (const FoundFile& file : found_) {
    EXPECT_EQ(file.kind, file.path == Path("capture/sequences/" + id + ".seq")
                             ? FileKind::kSequence
                             : FileKind::kArbitrary);
  }
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

TEST_F(WalkTest, AnUnreadableDirectoryIsComplainedAboutAndTheRestWalked) {
  Write("capture/a/1.capture");
  Write("capture/locked/2.capture");
  Write("capture/z/3.capture");
  fs::permissions(Path("capture/locked"), fs::perms::none);
  const testing::LoweredRights lowered;
  EXPECT_EQ(Walked(), "capture/a/1.capture capture/z/3.capture");
  fs::permissions(Path("capture/locked"), fs::perms::owner_all);
  ASSERT_EQ(complaints_.size(), 1U);
  EXPECT_NE(complaints_[0].ToString().find(Path("capture/locked")), std::string::npos);
}

TEST_F(WalkTest, ADirectoryThatNothingCanBeRemovedFromIsPassedOver) {
  Write("capture/a/1.capture");
  Write("capture/fixed/2.capture");
  Write("capture/fixed/3.capture");
  Write("capture/fixed/4.prog");
  Write("capture/fixed/free/5.capture");
  fs::permissions(Path("capture/fixed"), fs::perms::owner_read | fs::perms::owner_exec);
  const testing::LoweredRights lowered;
  EXPECT_EQ(Walked(), "capture/a/1.capture capture/fixed/free/5.capture");
  EXPECT_EQ(blocked_, 2U);
  ASSERT_EQ(complaints_.size(), 1U);
  EXPECT_NE(complaints_[0].ToString().find(Path("capture/fixed") + " are not uploaded"),
            std::string::npos)
      << complaints_[0];
  fs::permissions(Path("capture/fixed"), fs::perms::owner_all);
  EXPECT_EQ(Walked(),
            "capture/a/1.capture capture/fixed/2.capture capture/fixed/3.capture "
            "capture/fixed/free/5.capture");
}

TEST_F(WalkTest, AReadOnlyFileSystemIsPassedOver) {
  class ReadOnly : public FileOps {
    int AccessAt(int, const char*, int) override {
      errno = EROFS;
      return -1;
    }
  } read_only;
  Write("capture/1.capture");
  const std::vector<Root> roots = Roots();
  DirectoryWalker walker(read_only, roots, complain_, {});
  EXPECT_EQ(walker.Next(), nullptr);
  EXPECT_EQ(walker.blocked_files(), 1U);
  EXPECT_EQ(walker.blocked_directories(), 1U);
  ASSERT_EQ(complaints_.size(), 1U);
  EXPECT_NE(complaints_[0].ToString().find("mounted read-only"), std::string::npos);
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
  const std::vector<Root> roots = Roots();
  std::stop_source stop;
  DirectoryWalker walker(ops_, roots, complain_, stop.get_token());
  EXPECT_NE(walker.Next(), nullptr);
  stop.request_stop();
  EXPECT_EQ(walker.Next(), nullptr);
}

TEST_F(WalkTest, ARootThatWasReplacedIsNotEntered) {
  Write("capture/1.capture");
  Write("elsewhere/secret.capture");
  const std::vector<Root> roots = Roots();
  fs::rename(Path("capture"), Path("aside"));
  fs::create_directory_symlink(Path("elsewhere"), Path("capture"));
  EXPECT_EQ(DirectoryWalker(ops_, roots, complain_, {}).Next(), nullptr);
  fs::remove(Path("capture"));
  fs::rename(Path("elsewhere"), Path("capture"));
  EXPECT_EQ(DirectoryWalker(ops_, roots, complain_, {}).Next(), nullptr);
}

}  // namespace
}  // namespace datamanager::sync
