// Capture and sync on real file systems that lack features. The tests of weak file systems in
// base/, capture/ and sync/ simulate the same at the seam, which works everywhere.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "capture/capture.h"
#include "capture_file/reader.h"
#include "sync/failed_files.h"
#include "sync/roots.h"
#include "sync/sync_context.h"
#include "tests/support/fuse_mount.h"
#include "tests/sync/sync_fixture.h"

namespace datamanager::sync {
namespace {

using testing::FuseMount;
using testing::PatienceEnds;

enum class Kind : uint8_t { kExfat, kBindfs };

class FuseTest : public SyncFixture, public ::testing::WithParamInterface<Kind> {
 protected:
  ~FuseTest() override {
    if (capture_ != nullptr) CloseCapture();
    Close();
    sources_ = {};
    // Unmounted before its parent directory is removed.
    mount_.reset();
  }

  void SetUp() override {
    std::filesystem::create_directory(dir_.path() + "/source");
    mount_ = GetParam() == Kind::kExfat ? FuseMount::Exfat(dir_.path() + "/image", captured_)
                                        : FuseMount::Bindfs(dir_.path() + "/source", captured_);
    if (!mount_->reason().empty()) {
      GTEST_SKIP() << mount_->reason() << "; the seam's tests of weak file systems run";
    }
    config_.additional_paths.clear();
    config_.scheduled = false;
  }

  // FUSE keeps a removed file under a name of its own until its descriptor is closed, which may be
  // a moment after the upload is known to have ended.
  void ExpectNothingLeft() {
    EXPECT_TRUE(WaitUntil([&] { return OnDisk().empty(); })) << OnDisk();
  }

  config::ConfiguredCollector Collector(const std::string& name) {
    sources_.AddReadings("rdk:component:sensor", name,
                         [this](const CaptureRequest&, Readings& out) {
                           out.Set("seq", ++given_);
                           return absl::OkStatus();
                         });
    return {.settings = {.api = "rdk:component:sensor",
                         .name = name,
                         .method = "Readings",
                         .interval = std::chrono::milliseconds(2)}};
  }
  void StartCapture(std::vector<config::ConfiguredCollector> collectors) {
    capture_config_ = {.directory = captured_,
                       .max_file_bytes = 1000,
                       .durability = Durability::kPeriodic,
                       .durability_interval = std::chrono::milliseconds(20)};
    capture_config_.collectors = std::move(collectors);
    capture_ = *capture::Capture::Create({.logger = options_.logger, .clock = &clock_});
    const absl::Status checked = capture_->Check(capture_config_);
    ASSERT_TRUE(checked.ok()) << checked;
    ASSERT_TRUE(capture_->Reconfigure(capture_config_, sources_, PatienceEnds()));
  }
  bool WaitForCaptured(uint64_t count) {
    return WaitUntil([&] { return capture_->Stats().at(0).captured >= count; });
  }
  void CloseCapture() {
    EXPECT_TRUE(capture_->Close(PatienceEnds(), PatienceEnds()).ok());
    const CollectorStats stats = capture_->Stats().at(0);
    EXPECT_EQ(stats.dropped.total(), 0U) << stats.last_error;
    EXPECT_EQ(capture_->keeper().counters().lost.load(), 0U);
    EXPECT_EQ(capture_->keeper().counters().failed_flushes.load(), 0U);
    captured_count_ = stats.captured;
    capture_.reset();
  }
  // After capture was closed, returns how many readings lie there, each once, in files that are
  // whole.
  uint64_t Published() {
    FileOps& ops = FileOps::System();
    std::set<std::string> records;
    uint64_t count = 0;
    for (const std::string& name : FilesBelow(captured_)) {
      const std::string path = captured_ + "/" + name;
      EXPECT_TRUE(path.ends_with(".capture")) << path;
      const auto fd = OpenFile(ops, path, O_RDONLY);
      struct stat info {};
      EXPECT_TRUE(fd.ok() && ops.Fstat(fd->get(), &info) == 0) << path;
      if (!fd.ok()) continue;
      const auto size = static_cast<uint64_t>(info.st_size);
      auto reader = capture_file::Reader::Open(ops, fd->get(), size);
      EXPECT_TRUE(reader.ok()) << path << ": " << reader.status();
      if (!reader.ok()) continue;
      for (auto record = reader->Next(); record.ok() && record->has_value();
           record = reader->Next()) {
        std::string bytes((*record)->message.size, '\0');
        EXPECT_TRUE(ReadExactly(ops, fd->get(), static_cast<off_t>((*record)->message.offset),
                                bytes.size(), bytes.data())
                        .ok());
        records.insert(bytes);
        ++count;
      }
      EXPECT_TRUE(reader->torn().ok()) << path << ": " << reader->torn();
    }
    EXPECT_EQ(records.size(), count) << "twice";
    return count;
  }
  // Makes the kernel forget the inodes of files that no process has open.
  static void ForgetInodes() { std::ofstream("/proc/sys/vm/drop_caches") << "2"; }

  std::unique_ptr<FuseMount> mount_;
  std::atomic<int> given_{0};
  Sources sources_;
  config::CaptureConfig capture_config_;
  std::unique_ptr<capture::Capture> capture_;
  uint64_t captured_count_ = 0;
};
INSTANTIATE_TEST_SUITE_P(FileSystems, FuseTest, ::testing::Values(Kind::kExfat, Kind::kBindfs),
                         [](const auto& kind) {
                           return kind.param == Kind::kExfat ? "Exfat" : "Bindfs";
                         });

TEST_P(FuseTest, WhatIsCapturedIsPublishedStoredAndRemoved) {
  StartCapture({Collector("it")});
  EXPECT_TRUE(WaitForCaptured(60));
  EXPECT_TRUE(capture_->Flush(PatienceEnds(), {}).ok());
  CloseCapture();
  EXPECT_EQ(Published(), captured_count_);
  EXPECT_TRUE(FilesBelow(captured_).size() >= 3);
  EXPECT_EQ(log_.Count("", LogLevel::kError), 0U) << log_.Text();
  EXPECT_EQ(log_.Count("without replacing"), 1U) << log_.Text();

  ForgetInodes();
  server_->FailNext(2, absl::StatusCode::kUnavailable);
  Start();
  clock_.Advance(std::chrono::hours(1));
  impatient_ = true;
  EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
  // What fails after the next call of Sync has ended the waits is tried again only in an hour: this
  // clock is ahead.
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().uploading == 0; }));
  ForgetInodes();
  EXPECT_TRUE(SyncNow(Wait::kUploaded).ok());
  RunUntilIdle();
  EXPECT_TRUE(FilesBelow(captured_).empty()) << Join(FilesBelow(captured_));
  uint64_t stored = 0;
  for (const UploadCall& call : server_->stored()) stored += call.records.size();
  EXPECT_EQ(stored, captured_count_);
}

TEST_P(FuseTest, WhatAKilledProcessLeftIsRecovered) {
  const std::string directory = DirectoryOf("it");
  std::filesystem::create_directories(directory);
  {
    auto writer = capture_file::Writer::Create(FileOps::System(), directory,
                                               WallTime(std::chrono::seconds(1)), "");
    ASSERT_TRUE(writer.ok()) << writer.status();
    ASSERT_TRUE((*writer)->Append(Framed(Reading(1))).ok());
    // Destroyed unpublished, as by a kill.
  }
  StartCapture({Collector("it")});
  EXPECT_TRUE(WaitUntil([&] { return capture_->keeper().counters().recovered.load() == 1; }))
      << log_.Text();
}

TEST_P(FuseTest, AnOpenFileThatIsRemovedLosesNoRecord) {
  StartCapture({Collector("it")});
  capture_config_.max_file_bytes = 1 << 20;
  ASSERT_TRUE(capture_->Reconfigure(capture_config_, sources_, PatienceEnds()));
  const uint64_t before = capture_->Stats().at(0).captured;
  EXPECT_TRUE(WaitForCaptured(before + 20));
  for (const std::string& path : FilesBelow(captured_)) {
    if (path.ends_with(".prog")) std::filesystem::remove(captured_ + "/" + path);
  }
  // The kernel caches the attributes of the file that FUSE has reported: wait until it asks again.
  EXPECT_TRUE(WaitUntil([&] { return log_.Has("they are copied to"); })) << log_.Text();
  CloseCapture();
  EXPECT_EQ(Published(), captured_count_);
}

TEST_P(FuseTest, ARemovedFileIsKnownAsSuchAndCopied) {
  auto writer = capture_file::Writer::Create(FileOps::System(), captured_, WallTime(), "");
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE((*writer)->Append(Framed(Reading(1))).ok());
  EXPECT_FALSE((*writer)->removed());
  std::filesystem::remove((*writer)->path());
  // It goes on under a hidden name.
  EXPECT_TRUE((*writer)->removed());
  auto copy = (*writer)->CopyRemoved();
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_FALSE((*copy)->removed());
}

TEST_P(FuseTest, ARefusedFileIsSetAsideAndPutBack) {
  Capture("arm", 3);
  server_->FailNext(1, absl::StatusCode::kInvalidArgument);
  Start();
  clock_.Advance(std::chrono::hours(1));
  SyncNow(Wait::kUploaded).IgnoreError();  // It returns that a file was refused.
  EXPECT_EQ(OnDisk(), "failed/arm");
  SyncContext context(options_);
  const auto root = FindRoot(FileOps::System(), captured_, DirectorySummary::Role::kCapture);
  ASSERT_TRUE(root.ok()) << root.status();
  // The worker that set it aside may not have released it yet.
  EXPECT_TRUE(WaitUntil([&] { return RetryFailedFiles(context, {*root}, {}).moved == 1; }));
  EXPECT_EQ(OnDisk(), "arm");
  EXPECT_TRUE(SyncNow(Wait::kUploaded).ok());
  ExpectNothingLeft();
  EXPECT_EQ(Uploaded(), "arm:1,2,3");
}

TEST_P(FuseTest, AnUploadToDatasetsIsStoredAndRemoved) {
  Start();
  const absl::Status status = sync_->UploadToDatasets("bytes", {.tags = {"a"}}, "image/png", {});
  EXPECT_TRUE(status.ok()) << status;
  ExpectNothingLeft();
  EXPECT_EQ(server_->stored().size(), 1U);
}

TEST_P(FuseTest, OneNameThatTheFileSystemRefusesIsOneCollectorsFault) {
  StartCapture({Collector("fine"), Collector("what?")});
  EXPECT_TRUE(WaitForCaptured(3));
  const CollectorStats odd = capture_->Stats().at(1);
  if (GetParam() == Kind::kExfat) {
    EXPECT_EQ(odd.state, CollectorState::kRefused);
    EXPECT_NE(odd.reason.find("what?"), std::string::npos) << odd.reason;
  } else {
    EXPECT_EQ(odd.state, CollectorState::kRunning) << odd.reason;
  }
}

TEST_P(FuseTest, AReadOnlyDiskIsRefusedWithTheReason) {
  ASSERT_EQ(::mount(captured_.c_str(), captured_.c_str(), nullptr, MS_BIND, nullptr), 0);
  ASSERT_EQ(::mount("none", captured_.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr),
            0)
      << std::strerror(errno);
  const auto capture = *capture::Capture::Create({.logger = options_.logger});
  config::CaptureConfig config{.directory = captured_};
  config.collectors = {Collector("it")};
  const absl::Status status = capture->Check(config);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(status.message().find("Read-only file system"), std::string::npos) << status;
  ::umount2(captured_.c_str(), MNT_DETACH);
}

// A network file system whose server is gone, with one worker.
class HangingFuseTest : public SyncFixture {
 protected:
  ~HangingFuseTest() override {
    mount_->Continue();
    Close();
    mount_.reset();
  }
  void SetUp() override {
    std::filesystem::create_directory(dir_.path() + "/source");
    const std::string share = dir_.path() + "/share";
    std::filesystem::create_directory(share);
    mount_ = FuseMount::Bindfs(dir_.path() + "/source", share);
    if (!mount_->reason().empty()) {
      GTEST_SKIP() << mount_->reason() << "; StuckDiskTest simulates it";
    }
    config_.additional_paths = {share};
    config_.workers = 1;
    config_.uploads_per_worker = 2;
  }
  void DropOnShare(const std::string& name) {
    WriteFile(dir_.path() + "/source/" + name, "hello");
    SetAge(dir_.path() + "/source/" + name, std::chrono::hours(1));
  }
  bool ArmGoesOn() {
    Capture("arm", 1);
    return WaitUntil([&] { return FilesBelow(captured_).empty(); });
  }

  std::unique_ptr<FuseMount> mount_;
};

TEST_F(HangingFuseTest, TheWalkHangs_CapturedFilesGoOn) {
  for (int i = 0; i < 3; ++i) DropOnShare("notes" + std::to_string(i));
  mount_->Stop();
  Start();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(ArmGoesOn()) << log_.Text();
  EXPECT_TRUE(WaitUntil([&] { return log_.Has("the disk hangs"); })) << log_.Text();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(ArmGoesOn()) << log_.Text();
  mount_->Continue();
  EXPECT_TRUE(WaitAwake([&] {
    return Uploaded() == "arm:1,2,3,4,5,6,7,8,9,10 notes0 notes1 notes2";
  })) << Uploaded();
  EXPECT_EQ(server_->repeats(), 0U);
}

TEST_F(HangingFuseTest, TheRemovalHangs_CapturedFilesGoOn) {
  DropOnShare("notes");
  server_->Block();
  Start();
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 1; }));
  mount_->Stop();
  server_->Release();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(ArmGoesOn()) << log_.Text();
  mount_->Continue();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1,2,3,4,5 notes");
  EXPECT_EQ(server_->repeats(), 0U);
}

TEST_F(HangingFuseTest, ACallOfSyncNamesTheDirectoryAndUploadsTheRest) {
  config_.scheduled = false;
  DropOnShare("notes");
  Capture("arm", 3);
  mount_->Stop();
  Start();
  const absl::Status status = SyncNow(Wait::kHandedOver);
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_NE(status.message().find("the disk hangs below " + dir_.path() + "/share"),
            std::string::npos)
      << status;
  EXPECT_TRUE(WaitUntil([&] { return Uploaded() == "arm:1,2,3"; }));
  mount_->Continue();
  EXPECT_TRUE(WaitUntil([&] { return SyncNow().ok(); }));
  EXPECT_EQ(Uploaded(), "arm:1,2,3 notes");
}

}  // namespace
}  // namespace datamanager::sync
