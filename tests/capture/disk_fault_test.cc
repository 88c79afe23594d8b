// Capture while the disk fails, fills up, or is taken away: it goes on with the first tick after
// the fault's end, keeps every record that was written, and counts the others by what was in the
// way.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <ostream>
#include <string>

#include "base/strings.h"
#include "capture/drop_cause.h"
#include "tests/capture/one_sensor.h"
#include "tests/support/sanitizers.h"
#include "tests/support/temp_dir.h"

namespace datamanager::capture {
namespace {

using testing::Exists;
using testing::FaultyFileOps;
using testing::FilesBelow;
using testing::OneSensor;
using testing::TempDir;
using testing::WaitUntil;
using testing::WriteFile;
using Call = FaultyFileOps::Call;

TEST(DropCauseTest, HasACauseForEachErrno) {
  const auto cause = [](int error) { return CauseOf(DiskError(error, "write", "file")); };
  for (const int error : {ENOSPC, EDQUOT}) EXPECT_EQ(cause(error), DropCause::kDiskFull);
  for (const int error : {EMFILE, ENFILE}) EXPECT_EQ(cause(error), DropCause::kNoDescriptors);
  for (const int error : {EACCES, EPERM}) EXPECT_EQ(cause(error), DropCause::kPermission);
  for (const int error : {ENOENT, ENOTDIR, ELOOP, ESTALE}) {
    EXPECT_EQ(cause(error), DropCause::kNoDirectory);
  }
  EXPECT_EQ(cause(EIO), DropCause::kIoError);
  EXPECT_EQ(cause(EROFS), DropCause::kReadOnly);
  EXPECT_EQ(cause(EFBIG), DropCause::kOther);
  EXPECT_EQ(CauseOf(absl::ResourceExhaustedError("no errno")), DropCause::kOther);
}

struct Fault {
  const char* name;
  Call call;
  int error;
  uint64_t DroppedRecords::*cause;
};
void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

class DiskFaultTest : public ::testing::TestWithParam<Fault> {
 protected:
  DiskFaultTest() { it_.Use(ops_); }

  const TempDir temp_;
  FaultyFileOps ops_;
  OneSensor it_{temp_.path() + "/capture"};
};

TEST_P(DiskFaultTest, IsOutlived) {
  const Fault& fault = GetParam();
  it_.Start();
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(it_.WaitForCaptured());
    it_.sensor().gate().Close();
    ASSERT_TRUE(WaitUntil([&] { return it_.sensor().gate().waiting() == 1; }));
    ops_.Fail(fault.call, fault.error, FaultyFileOps::kAlways,
              fault.call == Call::kOpen ? ".prog" : "");
    // What needs a new file does so from here on.
    if (fault.call != Call::kWrite) it_.Flush();
    if (fault.call == Call::kMkdir) {
      std::filesystem::rename(temp_.path() + "/capture",
                              temp_.path() + "/was" + std::to_string(round));
    }
    it_.sensor().gate().Open();
    ASSERT_TRUE(it_.WaitForDropped());
    it_.sensor().gate().Close();
    ASSERT_TRUE(WaitUntil([&] { return it_.sensor().gate().waiting() == 1; }));
    ops_.Heal();
    const CollectorStats stats = it_.Stats();
    it_.sensor().gate().Open();
    ASSERT_TRUE(it_.WaitForCaptured());
    EXPECT_EQ(it_.Stats().dropped.total(), stats.dropped.total()) << "the next record is kept";
    EXPECT_EQ(it_.Stats().dropped.*fault.cause, it_.Stats().dropped.total());
  }
  it_.Close();
  it_.ExpectAllKept(temp_.path());
}

INSTANTIATE_TEST_SUITE_P(
    Each, DiskFaultTest,
    ::testing::Values(Fault{"NoSpace", Call::kWrite, ENOSPC, &DroppedRecords::disk_full},
                      Fault{"Quota", Call::kWrite, EDQUOT, &DroppedRecords::disk_full},
                      Fault{"IoError", Call::kWrite, EIO, &DroppedRecords::io_error},
                      Fault{"TooLarge", Call::kWrite, EFBIG, &DroppedRecords::other},
                      Fault{"ReadOnly", Call::kWrite, EROFS, &DroppedRecords::read_only},
                      Fault{"NoSpaceForAFile", Call::kOpen, ENOSPC, &DroppedRecords::disk_full},
                      Fault{"NoDescriptor", Call::kOpen, EMFILE, &DroppedRecords::no_descriptors},
                      Fault{"NoFileAtAll", Call::kOpen, ENFILE, &DroppedRecords::no_descriptors},
                      Fault{"NoPermission", Call::kOpen, EACCES, &DroppedRecords::permission},
                      Fault{"ReadOnlyDirectory", Call::kOpen, EROFS, &DroppedRecords::read_only},
                      Fault{"NoLock", Call::kLock, ENOLCK, &DroppedRecords::other},
                      Fault{"NoDirectory", Call::kMkdir, EACCES, &DroppedRecords::permission}),
    [](const auto& test) { return test.param.name; });

// For real.

class RealDiskFaultTest : public ::testing::Test {
 protected:
  // Somebody removes the open file and its directory.
  void Remove() const {
    const std::string path = it_.OpenFile();
    ASSERT_NE(path, "");
    ASSERT_EQ(::unlink(path.c_str()), 0);
    ::rmdir(it_.directory().c_str());
  }

  const TempDir temp_;
  const std::string capture_dir_ = temp_.path() + "/capture";
  OneSensor it_{capture_dir_};
};

TEST_F(RealDiskFaultTest, ADirectoryRemovedUnderAnOpenFileCostsNothing) {
  it_.Start();
  ASSERT_TRUE(it_.WaitForCaptured(10));
  Remove();
  // Nobody flushes: the keeper sees it.
  ASSERT_TRUE(WaitUntil([&] { return it_.OpenFile() != ""; }));
  EXPECT_EQ(it_.Stats().failed, 0U);
  it_.Close();
  it_.ExpectAllKept(capture_dir_);
  EXPECT_GE(it_.log().Count("it was removed while records were in it", LogLevel::kWarning), 1U)
      << it_.log().Text();
}

TEST_F(RealDiskFaultTest, AFileRemovedUnderASleepingCollectorIsSaved) {
  it_.Start();
  ASSERT_TRUE(it_.WaitForCaptured(10));
  it_.sensor().gate().Close();
  ASSERT_TRUE(WaitUntil([&] { return it_.sensor().gate().waiting() == 1; }));
  Remove();
  ASSERT_TRUE(WaitUntil([&] { return !FilesBelow(capture_dir_, ".capture").empty(); }));
  it_.sensor().gate().Open();
  it_.Close();
  it_.ExpectAllKept(capture_dir_);
}

TEST_F(RealDiskFaultTest, ADirectoryMovedAwayTakesItsRecordsAlongAndNoMore) {
  it_.Start();
  ASSERT_TRUE(it_.WaitForCaptured(10));
  std::filesystem::rename(capture_dir_, temp_.path() + "/moved");
  ASSERT_TRUE(WaitUntil([&] { return it_.OpenFile() != ""; }));
  ASSERT_TRUE(it_.WaitForCaptured(10));
  it_.Close();
  EXPECT_EQ(FilesBelow(temp_.path() + "/moved", ".capture").size(), 1U);
  EXPECT_GE(FilesBelow(capture_dir_, ".capture").size(), 1U);
  it_.ExpectAllKept(temp_.path());
}

TEST_F(RealDiskFaultTest, AFileInPlaceOfTheDirectoryIsWaitedOut) {
  it_.Start();
  ASSERT_TRUE(it_.WaitForCaptured());
  std::filesystem::rename(capture_dir_, temp_.path() + "/moved");
  WriteFile(capture_dir_, "in the way");
  ASSERT_TRUE(it_.WaitForDropped());
  EXPECT_EQ(it_.Stats().dropped.no_directory, it_.Stats().dropped.total());
  std::filesystem::remove(capture_dir_);
  ASSERT_TRUE(it_.WaitForCaptured());
  it_.Close();
  it_.ExpectAllKept(temp_.path());
}

TEST_F(RealDiskFaultTest, AProcessWithoutDescriptorsGoesOnInItsOpenFile) {
  if (testing::kNeedsMemoryAndDescriptors) GTEST_SKIP() << "the sanitizer needs them";
  it_.config().max_file_bytes = 300;
  it_.Start();
  ASSERT_TRUE(it_.WaitForCaptured());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 1, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const bool captured = it_.WaitForCaptured(20);
  const uint64_t failed = it_.Stats().failed;
  it_.capture().Flush(testing::PatienceEnds(), {}).IgnoreError();
  const bool dropped = it_.WaitForDropped();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(captured);
  EXPECT_LE(failed, 1U) << "at most one, if it was between two files";
  EXPECT_TRUE(dropped) << "once the open file is finished, there is no other";
  ASSERT_TRUE(it_.WaitForCaptured());
  EXPECT_EQ(it_.Stats().dropped.no_descriptors, it_.Stats().dropped.total());
  it_.Close();
  it_.ExpectAllKept(capture_dir_);
}

TEST_F(RealDiskFaultTest, PermissionLostIsWaitedOut) {
  constexpr uid_t kNobody = 65534;
  const uid_t user = ::geteuid();
  // Root may write anywhere.
  if (user == 0) {
    ASSERT_EQ(::chown(temp_.path().c_str(), kNobody, static_cast<gid_t>(-1)), 0);
    ASSERT_EQ(::seteuid(kNobody), 0);
  }
  it_.Start();
  ASSERT_TRUE(it_.WaitForCaptured());
  ASSERT_EQ(::chmod(it_.directory().c_str(), 0), 0);
  const absl::Status flushed = it_.capture().Flush(testing::PatienceEnds(), {});
  EXPECT_NE(flushed.ToString().find("Permission denied"), std::string::npos) << flushed;
  EXPECT_TRUE(it_.WaitForDropped());
  EXPECT_EQ(it_.Stats().dropped.permission, it_.Stats().dropped.total());
  ASSERT_EQ(::chmod(it_.directory().c_str(), 0700), 0);
  EXPECT_TRUE(it_.WaitForCaptured());
  // What could not be renamed meanwhile is published too, within a minute.
  EXPECT_TRUE(WaitUntil([&] { return it_.capture().keeper().counters().recovered.load() == 1; },
                        std::chrono::minutes(1) + testing::kPatience));
  it_.Close();
  it_.ExpectAllKept(capture_dir_);
  EXPECT_EQ(::seteuid(user), 0);
}

// A file system of a few pages, in a mount namespace of this thread and those it starts.
class SmallDisk {
 public:
  SmallDisk() {
    if (::unshare(CLONE_NEWNS) != 0) {
      why_not_ = std::string("no mount namespace: ") + std::strerror(errno);
    } else if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
               ::mount("tmpfs", path().c_str(), "tmpfs", 0, "size=128k,mode=0755") != 0) {
      why_not_ = std::string("no tmpfs: ") + std::strerror(errno);
    }
  }
  ~SmallDisk() {
    if (why_not_.empty()) ::umount2(path().c_str(), MNT_DETACH);
  }
  const std::string& path() const { return temp_.path(); }
  // Empty: it is there.
  const std::string& why_not() const { return why_not_; }
  // Leaves no byte.
  void Fill() const {
    const UniqueFd fd(::open((path() + "/filler").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    const std::string page(4096, 'f');
    while (::write(fd.get(), page.data(), page.size()) > 0) {
    }
  }
  void Free() const { ::unlink((path() + "/filler").c_str()); }

 private:
  const TempDir temp_;
  std::string why_not_;
};

class FullDiskTest : public ::testing::Test {
 protected:
  const SmallDisk disk_;  // First: threads that exist before it do not see it.
  OneSensor it_{disk_.path() + "/capture"};
};

TEST_F(FullDiskTest, CostsOnlyWhatItHasNoRoomFor) {
  if (!disk_.why_not().empty()) GTEST_SKIP() << disk_.why_not();
  it_.config().max_file_bytes = 2000;
  // Records of odd sizes, so that one meets the end of the last page.
  it_.sensor().Do([](const CaptureRequest&, Readings& out) {
    out.Set("text", std::string(777, 't'));
    return absl::OkStatus();
  });
  it_.Start();
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(it_.WaitForCaptured());
    disk_.Fill();
    ASSERT_TRUE(it_.WaitForDropped(10));
    disk_.Free();
    ASSERT_TRUE(it_.WaitForCaptured());
  }
  it_.Close();
  EXPECT_EQ(it_.Stats().dropped.disk_full, it_.Stats().dropped.total());
  it_.ExpectAllKept(disk_.path());
}

}  // namespace
}  // namespace datamanager::capture
