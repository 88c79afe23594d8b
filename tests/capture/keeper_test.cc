#include "capture/keeper.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "capture_file/file_name.h"
#include "tests/capture/smallest_file.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/support/files.h"
#include "tests/support/gate.h"
#include "tests/support/log_capture.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::capture {
namespace {

using capture_file::Writer;
using std::chrono::milliseconds;
using testing::Exists;
using testing::FaultyFileOps;
using testing::FilesBelow;
using testing::Gate;
using testing::In;
using testing::LogCapture;
using testing::PatienceEnds;
using testing::ReadFile;
using testing::TempDir;
using testing::WaitUntil;
using testing::WriteFile;
using Call = FaultyFileOps::Call;

class KeeperTest : public ::testing::Test {
 protected:
  // What the keeper's thread uses, and so owns: it may outlive the test's keeper.
  struct World {
    FaultyFileOps ops;
    Gate hint_gate;  // Holds the keeper in its hint.
    std::mutex mutex;
    std::vector<std::string> hints;
    std::atomic<int> displaced{0};
    milliseconds patience = std::chrono::hours(1);
  };

  KeeperTest() : KeeperTest(std::chrono::hours(1)) {}
  explicit KeeperTest(milliseconds patience) {
    world_->patience = patience;
    logger_ = *Logger::Create(log_.sink());
    keeper_ = *Keeper::Start({.ops = &world_->ops,
                              .logger = logger_,
                              .on_published =
                                  [world = world_](const std::string& path) {
                                    world->hint_gate.Pass();
                                    const std::lock_guard lock(world->mutex);
                                    world->hints.push_back(path);
                                  },
                              .recovery_interval = milliseconds(10),
                              .given_up_delay = milliseconds(5),
                              .look_interval = milliseconds(1),
                              .flush_patience = world_->patience});
    WriteFile(Directory() + "/.keep", "");
  }
  ~KeeperTest() override {
    world_->ops.fdatasync_gate().Open();
    world_->hint_gate.Open();
    keeper_->Close(PatienceEnds());
  }

  std::string Directory(const std::string& method = "Readings") const {
    return temp_.path() + "/rdk_component_sensor/cpu/" + method;
  }
  // A file with so many records, being written.
  std::unique_ptr<Writer> Begin(int records = 1, const std::string& method = "Readings") {
    EXPECT_TRUE(MakeDirectories(FileOps::System(), Directory(method)).ok());
    std::unique_ptr<Writer> file =
        *Writer::Create(world_->ops, Directory(method), std::chrono::system_clock::now(), "");
    keeper_->Announce(*file, [world = world_] { ++world->displaced; });
    for (int i = 0; i < records; ++i) EXPECT_TRUE(file->Append(kRecord).ok());
    return file;
  }
  // A finished file, handed over. Returns its name once published.
  std::string Publish(const std::string& method = "Readings") {
    std::unique_ptr<Writer> file = Begin(1, method);
    const std::string path = capture_file::CompletePath(file->path());
    keeper_->Publish(std::move(file));
    return path;
  }
  // Waits for all files that were handed over after the first `known` ones.
  absl::Status WaitUntilPublished(uint64_t known = 0) {
    return keeper_->WaitUntilPublished(PatienceEnds(), {}, known);
  }
  bool AllPublished() { return WaitUntilPublished().ok(); }
  // A file that a dead process left, begun at that second.
  std::string LeaveBehind(int second, const std::string& content = kFile) const {
    const std::string path =
        Directory() + "/" +
        capture_file::InProgressName(WallTime(std::chrono::seconds(1767341045 + second)));
    WriteFile(path, content);
    // Long enough ago.
    std::filesystem::last_write_time(
        path, std::filesystem::file_time_type::clock::now() - std::chrono::minutes(1));
    return path;
  }
  std::vector<std::string> hints() {
    const std::lock_guard lock(world_->mutex);
    return world_->hints;
  }
  // The keeper's thread stands still in the flush of a file until the gate opens.
  void HangInFlush() {
    world_->ops.fdatasync_gate().Close();
    Publish();
    ASSERT_TRUE(WaitUntil([&] { return world_->ops.fdatasync_gate().waiting() == 1; }));
  }

  // In memory, so that the only calls that hang are those that a test makes hang.
  const TempDir temp_{testing::MemoryDirectory()};
  const std::shared_ptr<World> world_ = std::make_shared<World>();
  LogCapture log_;
  std::shared_ptr<Logger> logger_;
  std::unique_ptr<Keeper> keeper_;
};

std::string Base(const std::string& path) { return std::string(BaseName(path)); }

std::vector<std::string> FlushesAndRenames(const FaultyFileOps& ops) {
  std::vector<std::string> entries;
  for (std::string& entry : ops.journal()) {
    if (!entry.starts_with("write")) entries.push_back(std::move(entry));
  }
  return entries;
}

// What flushing `directory` and all those above it notes, up to the mount point.
void AddPathTo(std::vector<std::string>& journal, const std::string& directory) {
  struct stat first {};
  ASSERT_EQ(::stat(directory.c_str(), &first), 0);
  for (std::string path = directory;; path = ParentPath(path)) {
    struct stat info {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    if (info.st_dev != first.st_dev) return;
    journal.push_back("flush directory " + Base(path));
    if (path == "/") return;
  }
}

TEST_F(KeeperTest, FlushesThenRenamesThenFlushesTheDirectory) {
  std::unique_ptr<Writer> file = Begin();
  const std::string name = Base(file->path());
  const std::string complete = capture_file::CompletePath(file->path());
  keeper_->Publish(std::move(file));
  ASSERT_TRUE(AllPublished());
  std::vector<std::string> expected{"flush " + name, "rename " + name};
  AddPathTo(expected, Directory());
  EXPECT_EQ(FlushesAndRenames(world_->ops), expected)
      << "and, the first time, those above it, which somebody may have made just before";
  keeper_->Publish(Begin());
  ASSERT_TRUE(AllPublished());
  EXPECT_EQ(FlushesAndRenames(world_->ops).size(), expected.size() + 3);
  EXPECT_EQ(FlushesAndRenames(world_->ops).back(), "flush directory Readings");
  EXPECT_EQ(ReadFile(complete), kFile);
  EXPECT_EQ(keeper_->counters().published.load(), 2U);
  EXPECT_EQ(keeper_->counters().unflushed.load(), 0U);
}

TEST_F(KeeperTest, FlushesAllDataThenRenamesAllThenFlushesEachDirectoryOnce) {
  world_->ops.SetCommitMethod(CommitMethod::kInTurn);  // So that the order is always the same.
  Publish("Other");
  ASSERT_TRUE(AllPublished());
  const size_t before = FlushesAndRenames(world_->ops).size();
  HangInFlush();
  for (int i = 0; i < 3; ++i) Publish();
  Publish("Other");
  world_->ops.fdatasync_gate().Open();
  ASSERT_TRUE(AllPublished());
  std::vector<std::string> steps;
  const std::vector<std::string> all = FlushesAndRenames(world_->ops);
  for (const std::string& entry : std::vector(all.begin() + before, all.end())) {
    const bool directory = entry.starts_with("flush directory ");
    steps.push_back(directory ? entry : entry.substr(0, entry.find(' ')));
  }
  EXPECT_EQ(steps, (std::vector<std::string>{"flush", "rename", "flush directory Readings",
                                             "flush directory cpu", "flush", "flush", "flush",
                                             "flush", "rename", "rename", "rename", "rename",
                                             "flush directory Other", "flush directory Readings"}))
      << "the first alone, then one group of four";
  EXPECT_EQ(keeper_->counters().published.load(), 6U);
  EXPECT_EQ(keeper_->counters().rounds.load(), 3U);
}

// Far more files than there are threads, or places in any queue.
TEST_F(KeeperTest, FlushesEveryFileOfABatchOfAnySizeBeforeItsName) {
  HangInFlush();
  constexpr int kFiles = 400;
  for (int i = 0; i < kFiles; ++i) Publish("Method" + std::to_string(i % 7));
  world_->ops.fdatasync_gate().Open();
  ASSERT_TRUE(AllPublished());
  EXPECT_EQ(keeper_->counters().published.load(), 1U + kFiles);
  EXPECT_EQ(keeper_->counters().unflushed.load(), 0U);
  EXPECT_EQ(keeper_->counters().rounds.load(), 2U);
  EXPECT_EQ(keeper_->counters().last_files.load(), static_cast<uint64_t>(kFiles));
  std::set<std::string> flushed;
  for (const std::string& entry : FlushesAndRenames(world_->ops)) {
    if (entry.starts_with("rename ")) {
      EXPECT_TRUE(flushed.contains(entry.substr(7))) << entry;
    } else if (!entry.starts_with("flush directory ")) {
      flushed.insert(entry.substr(6));
    }
  }
}

TEST_F(KeeperTest, CopiesAFileWhoseFlushFailedAndPublishesTheCopy) {
  std::unique_ptr<Writer> file = Begin(3);
  const std::string original = file->path();
  const std::string content = ReadFile(original);
  world_->ops.Fail(Call::kFdatasync, EIO, 1);
  keeper_->Publish(std::move(file));
  ASSERT_TRUE(AllPublished());
  const std::vector<std::string> published = FilesBelow(temp_.path(), ".capture");
  ASSERT_EQ(published.size(), 1U);
  EXPECT_EQ(ReadFile(published[0]), content);
  EXPECT_FALSE(Exists(original)) << "it would be recovered, too";
  EXPECT_EQ(keeper_->counters().unflushed.load(), 0U) << "the copy was flushed";
  const std::vector<std::string> journal = world_->ops.journal();
  EXPECT_EQ(std::count(journal.begin(), journal.end(), "flush " + Base(original)), 1)
      << "a second flush of it would say OK, and mean nothing";
  logger_->Close();
  EXPECT_EQ(log_.Count("its records are copied to", LogLevel::kWarning), 1U) << log_.Text();
}

TEST_F(KeeperTest, PublishesWhatItCannotFlush) {
  world_->ops.Fail(Call::kFdatasync, EIO);
  for (int i = 0; i < 5; ++i) Publish();
  ASSERT_TRUE(AllPublished());
  const std::vector<std::string> published = FilesBelow(temp_.path(), ".capture");
  EXPECT_EQ(published.size(), 5U);
  for (const std::string& path : published) EXPECT_EQ(ReadFile(path), kFile);
  EXPECT_TRUE(FilesBelow(temp_.path(), ".prog").empty());
  EXPECT_EQ(keeper_->counters().published.load(), 5U);
  EXPECT_EQ(keeper_->counters().unflushed.load(), 5U);
  EXPECT_EQ(keeper_->counters().outstanding.load(), 0U) << "no later flush brings back what failed";
  logger_->Close();
  EXPECT_EQ(log_.Count("Input/output error", LogLevel::kError), 1U)
      << "each file has a name of its own, and yet it is one error:\n"
      << log_.Text();
}

TEST_F(KeeperTest, CallsNoFileGoodWhoseFlushFailedAndThatCannotBeCopied) {
  std::unique_ptr<Writer> file = Begin(2);
  world_->ops.Fail(Call::kFdatasync, EIO, 1);
  world_->ops.Fail(Call::kPread, EMFILE);
  keeper_->Publish(std::move(file));
  ASSERT_TRUE(AllPublished());
  EXPECT_EQ(keeper_->counters().unflushed.load(), 1U);
  EXPECT_EQ(keeper_->counters().outstanding.load(), 0U) << "a later flush would mean nothing";
}

TEST_F(KeeperTest, SaysWhenADirectoryCannotBeFlushed) {
  world_->ops.Fail(Call::kFsync, EIO);
  const std::string path = Publish();
  ASSERT_TRUE(AllPublished());
  EXPECT_TRUE(Exists(path));
  logger_->Close();
  EXPECT_EQ(log_.Count("flush directory " + Directory(), LogLevel::kError), 1U) << log_.Text();
}

TEST_F(KeeperTest, CloseLeavesWhatAHangingDiskDoesNotFlushToTheNextRun) {
  HangInFlush();
  std::vector<std::string> waiting;
  for (int i = 0; i < 200; ++i) waiting.push_back(Publish());
  keeper_->Close(In(milliseconds(5)));
  EXPECT_EQ(keeper_->counters().unflushed.load(), 0U);
  EXPECT_TRUE(WaitUntil([&] { return keeper_->counters().left_in_progress == 201; }));
  EXPECT_TRUE(FilesBelow(temp_.path(), ".capture").empty());
  EXPECT_TRUE(absl::IsDeadlineExceeded(keeper_->WaitUntilPublished(In(milliseconds(1)), {})));
  world_->ops.fdatasync_gate().Open();

  const std::shared_ptr<Keeper> next = *Keeper::Start(
      {.logger = logger_, .recovery_interval = milliseconds(5), .given_up_delay = milliseconds(5)});
  next->Recover(temp_.path());
  EXPECT_TRUE(WaitUntil([&] { return next->counters().recovered == 201; }));
  for (const std::string& path : waiting) EXPECT_EQ(ReadFile(path), kFile);
  next->Close(PatienceEnds());
}

TEST_F(KeeperTest, CloseFlushesWhatTheDiskTakesInTime) {
  for (int i = 0; i < 20; ++i) Publish();
  keeper_->Close(PatienceEnds());
  EXPECT_EQ(keeper_->counters().published.load(), 20U);
  EXPECT_EQ(keeper_->counters().unflushed.load(), 0U);
  EXPECT_EQ(hints().size(), 20U);
  keeper_->Close(PatienceEnds());
}

TEST_F(KeeperTest, LeavesInProgressWhatComesAfterClose) {
  keeper_->Close(PatienceEnds());
  EXPECT_FALSE(Exists(Publish()));
  EXPECT_EQ(FilesBelow(temp_.path(), ".prog").size(), 1U);
  EXPECT_EQ(keeper_->counters().left_in_progress.load(), 1U);
  EXPECT_TRUE(hints().empty());
}

TEST_F(KeeperTest, CopiesARemovedFileThatComesAfterClose) {
  std::unique_ptr<Writer> file = Begin();
  const std::string path = file->path();
  keeper_->Close(PatienceEnds());
  std::filesystem::remove_all(temp_.path());
  keeper_->Publish(std::move(file));
  EXPECT_EQ(ReadFile(path), kFile);
  EXPECT_EQ(keeper_->counters().lost.load(), 0U);
}

TEST_F(KeeperTest, HintsAtAFileThatIsClosed) {
  world_->hint_gate.Close();
  const std::string path = Publish();
  ASSERT_TRUE(WaitUntil([&] { return world_->hint_gate.waiting() == 1; }));
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(fd.valid());
  EXPECT_EQ(FileOps::System().TryLock(fd.get()), 0) << "whoever uploads it can claim it";
  world_->hint_gate.Open();
  EXPECT_TRUE(WaitUntil([&] { return hints() == std::vector{path}; }));
}

TEST_F(KeeperTest, LeavesToRecoveryWhatItCannotRename) {
  keeper_->Recover(temp_.path());
  world_->ops.Fail(Call::kRename, EIO, 1);
  const std::string path = Publish();
  const absl::Status waited = WaitUntilPublished();
  EXPECT_FALSE(waited.ok()) << "those who wait are told why it is not there";
  EXPECT_NE(waited.message().find("Input/output error"), absl::string_view::npos) << waited;
  EXPECT_TRUE(WaitUntil([&] { return keeper_->counters().recovered.load() == 1; }));
  EXPECT_EQ(ReadFile(path), kFile);
  EXPECT_EQ(keeper_->counters().published.load(), 0U);
  logger_->Close();
  EXPECT_EQ(log_.Count("publish", LogLevel::kError), 1U) << log_.Text();
}

TEST_F(KeeperTest, WaitingEndsAtTheDeadlineAndWithTheStop) {
  EXPECT_TRUE(keeper_->WaitUntilPublished(MonotonicTime::min(), {}).ok()) << "there is nothing";
  HangInFlush();
  EXPECT_TRUE(absl::IsDeadlineExceeded(keeper_->WaitUntilPublished(In(milliseconds(5)), {})));
  std::stop_source stop;
  std::thread other([&stop] { stop.request_stop(); });
  EXPECT_TRUE(absl::IsCancelled(keeper_->WaitUntilPublished(PatienceEnds(), stop.get_token())));
  other.join();
  world_->ops.fdatasync_gate().Open();
  EXPECT_TRUE(AllPublished());
}

TEST_F(KeeperTest, AFailureIsToldToThoseWhoWaitForThatFileOnly) {
  world_->ops.Fail(Call::kRename, EACCES, 1);
  Publish();
  EXPECT_FALSE(WaitUntilPublished().ok());
  const uint64_t known = keeper_->handed_over();
  Publish();
  EXPECT_TRUE(WaitUntilPublished(known).ok()) << WaitUntilPublished(known);
}

// A disk that hangs for a while, which the keeper does not wait for.
class KeeperOfAHangingDiskTest : public KeeperTest {
 protected:
  KeeperOfAHangingDiskTest() : KeeperTest(milliseconds(20)) {}
};

TEST_F(KeeperOfAHangingDiskTest, PublishesUnflushedAndMakesItGoodLater) {
  HangInFlush();
  std::vector<std::string> paths;
  for (int i = 0; i < 3; ++i) paths.push_back(Publish());
  ASSERT_TRUE(AllPublished());
  for (const std::string& path : paths) EXPECT_EQ(ReadFile(path), kFile);
  EXPECT_EQ(keeper_->counters().unflushed.load(), 4U);
  EXPECT_EQ(keeper_->counters().outstanding.load(), 4U);
  EXPECT_TRUE(WaitUntil([&] { return hints().size() == 4; }));

  // One file is uploaded in the meantime, and needs no flush.
  std::filesystem::remove(paths[0]);
  world_->ops.fdatasync_gate().Open();
  EXPECT_TRUE(WaitUntil([&] { return keeper_->counters().outstanding == 0; }));
  const std::vector<std::string> journal = world_->ops.journal();
  EXPECT_EQ(std::count(journal.begin(), journal.end(), "flush " + Base(paths[0])), 0);
  for (const std::string& path : {paths[1], paths[2]}) {
    EXPECT_EQ(std::count(journal.begin(), journal.end(), "flush " + Base(path)), 1) << path;
  }
  EXPECT_GT(std::find(journal.begin(), journal.end(), "flush directory Readings"),
            std::find(journal.begin(), journal.end(), "flush " + Base(paths[2])))
      << "and their names";
  logger_->Close();
  EXPECT_TRUE(log_.Has("is published without a flush: its flush has hung for 20 ms"))
      << log_.Text();
}

TEST_F(KeeperOfAHangingDiskTest, TakesNoMoreThreadsThanOneRoundDoes) {
  HangInFlush();
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 40; ++i) Publish();
    ASSERT_TRUE(AllPublished());
  }
  EXPECT_EQ(world_->ops.fdatasync_gate().waiting(), 1)
      << "while a device hangs, nothing more is asked of it";
}

// Patient enough for the calls that come before those that hang.
class KeeperOfADiskThatHangsLaterTest : public KeeperTest {
 protected:
  KeeperOfADiskThatHangsLaterTest() : KeeperTest(std::chrono::seconds(1)) {}
};

TEST_F(KeeperOfADiskThatHangsLaterTest, HangsWithAtMost32Threads) {
  world_->hint_gate.Close();
  Publish();
  ASSERT_TRUE(WaitUntil([&] { return world_->hint_gate.waiting() == 1; }));
  for (int i = 0; i < 100; ++i) Publish();
  world_->ops.fdatasync_gate().Close();
  world_->hint_gate.Open();
  ASSERT_TRUE(AllPublished());
  // The thread of the write-back before may still count.
  EXPECT_TRUE(WaitUntil([&] { return world_->ops.fdatasync_gate().waiting() >= 31; }));
  EXPECT_LE(world_->ops.fdatasync_gate().waiting(), 32);
  EXPECT_EQ(keeper_->counters().unflushed.load(), 100U);
}

TEST_F(KeeperTest, RecoversWhatDeadProcessesLeft) {
  const std::string whole = LeaveBehind(1);
  const std::string torn = LeaveBehind(2, kFile + "\x30torn");
  const std::string empty = LeaveBehind(3, "");
  const std::string foreign = Directory() + "/notes.prog";
  WriteFile(foreign, "notes");
  const std::string too_high = temp_.path() + "/" + Base(whole);
  WriteFile(too_high, kFile);

  keeper_->Recover(temp_.path());
  EXPECT_TRUE(
      WaitUntil([&] { return keeper_->counters().recovered.load() == 2 && !Exists(empty); }));
  EXPECT_EQ(ReadFile(capture_file::CompletePath(whole)), kFile);
  EXPECT_EQ(ReadFile(capture_file::CompletePath(torn)), kFile);
  EXPECT_EQ(ReadFile(foreign), "notes");
  EXPECT_EQ(ReadFile(too_high), kFile) << "no collector's file lies there";
  EXPECT_TRUE(WaitUntil([&] { return hints().size() == 2; }));
  EXPECT_EQ(keeper_->counters().published.load(), 0U);
  keeper_->Close(PatienceEnds());
  logger_->Close();
  EXPECT_EQ(log_.Count("its last 5 bytes were no whole record", LogLevel::kInfo), 1U)
      << log_.Text();
  EXPECT_TRUE(log_.Has("removed " + empty)) << log_.Text();
}

TEST_F(KeeperTest, ComesBackForWhatIsInUse) {
  const std::string path = LeaveBehind(1);
  UniqueFd owner(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(FileOps::System().TryLock(owner.get()), 0);
  keeper_->Recover(temp_.path());
  // It has been there, and again.
  ASSERT_TRUE(WaitUntil([&] { return world_->ops.Count(Call::kLock) >= 2; }));
  EXPECT_TRUE(Exists(path));
  owner.Reset();
  EXPECT_TRUE(WaitUntil([&] { return keeper_->counters().recovered.load() == 1; }));
  EXPECT_EQ(ReadFile(capture_file::CompletePath(path)), kFile);
}

TEST_F(KeeperTest, GoesToAnotherDirectoryWhenTold) {
  const TempDir nothing_here;
  keeper_->Recover(nothing_here.path());
  keeper_->Recover(nothing_here.path() + "/not/there");
  LeaveBehind(1);
  keeper_->Recover(temp_.path());
  EXPECT_TRUE(WaitUntil([&] { return keeper_->counters().recovered.load() == 1; }));
}

TEST_F(KeeperTest, LooksAfterAFormerDirectoryUntilNothingIsInProgressThere) {
  const std::string path = LeaveBehind(1);
  UniqueFd owner(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(FileOps::System().TryLock(owner.get()), 0);
  keeper_->Recover(temp_.path());
  ASSERT_TRUE(WaitUntil([&] { return world_->ops.Count(Call::kLock) >= 1; }));
  const TempDir another;
  keeper_->Recover(another.path());
  const int looks = world_->ops.Count(Call::kLock);
  ASSERT_TRUE(WaitUntil([&] { return world_->ops.Count(Call::kLock) >= looks + 2; }));
  owner.Reset();
  EXPECT_TRUE(WaitUntil([&] { return keeper_->counters().recovered.load() == 1; }));
  EXPECT_EQ(ReadFile(capture_file::CompletePath(path)), kFile);
}

TEST_F(KeeperTest, LeavesLiveFilesAlone) {
  const std::unique_ptr<Writer> live = Begin();
  const int locks = world_->ops.Count(Call::kLock);
  for (int pass = 1; pass <= 2; ++pass) {
    LeaveBehind(pass);
    keeper_->Recover(temp_.path());
    ASSERT_TRUE(WaitUntil(
        [&] { return keeper_->counters().recovered.load() == static_cast<uint64_t>(pass); }));
  }
  EXPECT_TRUE(Exists(live->path()));
  EXPECT_EQ(world_->ops.Count(Call::kLock), locks + 2) << "it was not even looked at";
}

TEST_F(KeeperTest, RecoversABrokenFileWhileItSleeps) {
  LeaveBehind(1);
  keeper_->Recover(temp_.path());
  ASSERT_TRUE(WaitUntil([&] { return keeper_->counters().recovered.load() == 1; }));
  // Nothing is due any more: only the broken file itself can wake the keeper.
  std::unique_ptr<Writer> file = Begin(2);
  world_->ops.FillUp(2);
  world_->ops.Fail(Call::kFtruncate, EIO, 1);
  ASSERT_FALSE(file->Append(kRecord).ok());
  ASSERT_TRUE(file->broken());
  const std::string path = file->path();
  keeper_->Abandon(std::move(file));
  EXPECT_TRUE(WaitUntil([&] { return keeper_->counters().recovered.load() == 2; }));
  EXPECT_EQ(ReadFile(capture_file::CompletePath(path)), kFile + std::string(kRecord));
}

TEST_F(KeeperTest, RemovesAFileThatIsGivenUpEmpty) {
  std::unique_ptr<Writer> file = Begin(0);
  const std::string path = file->path();
  keeper_->Abandon(std::move(file));
  EXPECT_FALSE(Exists(path));
}

TEST_F(KeeperTest, FollowsNoLinks) {
  const TempDir elsewhere;
  const std::string theirs = elsewhere.path() + "/cpu/Readings/" + Base(LeaveBehind(1));
  WriteFile(theirs, kFile);
  std::filesystem::create_directory_symlink(elsewhere.path(), temp_.path() + "/api");
  std::filesystem::create_directory_symlink(elsewhere.path() + "/cpu/Readings",
                                            Directory() + "/../Linked");
  for (uint64_t pass = 1; pass <= 2; ++pass) {
    LeaveBehind(static_cast<int>(pass));
    keeper_->Recover(temp_.path());
    ASSERT_TRUE(WaitUntil([&] { return keeper_->counters().recovered.load() >= pass; }));
  }
  EXPECT_EQ(ReadFile(theirs), kFile);
  EXPECT_EQ(keeper_->counters().recovered.load(), 2U);
}

TEST_F(KeeperTest, RecoversThroughALinkToTheCaptureDirectory) {
  const TempDir links;
  std::filesystem::create_directory_symlink(temp_.path(), links.path() + "/capture");
  LeaveBehind(1);
  keeper_->Recover(links.path() + "/capture");
  EXPECT_TRUE(WaitUntil([&] { return keeper_->counters().recovered.load() == 1; }));
}

TEST_F(KeeperTest, SaysWhatItCannotRecoverAndTriesAgain) {
  world_->ops.Fail(Call::kRename, EIO, 3);
  const std::string path = LeaveBehind(1);
  keeper_->Recover(temp_.path());
  EXPECT_TRUE(WaitUntil([&] { return keeper_->counters().recovered.load() == 1; }));
  logger_->Close();
  EXPECT_EQ(log_.Count("publish " + path, LogLevel::kError), 1U) << log_.Text();
}

// At the boot after a power cut there may be thousands.
TEST_F(KeeperTest, FlushesFilesInProgressBetweenTheStepsOfARecovery) {
  for (int i = 1; i <= 400; ++i) LeaveBehind(i);
  keeper_->SetFlushPolicy({.durability = Durability::kPeriodic, .interval = milliseconds(1)});
  const std::unique_ptr<Writer> live = Begin();
  const std::string flush = "flush " + Base(live->path());
  keeper_->Recover(temp_.path());
  ASSERT_TRUE(WaitUntil([&] { return keeper_->counters().recovered.load() == 400; }));
  const std::vector<std::string> journal = world_->ops.journal();
  const auto flushed = std::find(journal.begin(), journal.end(), flush);
  ASSERT_NE(flushed, journal.end());
  EXPECT_GT(std::count_if(flushed, journal.end(),
                          [](const std::string& entry) { return entry.starts_with("rename "); }),
            300)
      << "before most of them were recovered";
}

TEST_F(KeeperTest, PublishesWhileItRecovers) {
  for (int i = 1; i <= 50; ++i) LeaveBehind(i);
  keeper_->Recover(temp_.path());
  for (int i = 0; i < 50; ++i) Publish();
  EXPECT_TRUE(AllPublished());
  EXPECT_TRUE(WaitUntil([&] { return keeper_->counters().recovered.load() == 50; }));
  EXPECT_EQ(FilesBelow(temp_.path(), ".capture").size(), 100U);
}

// Files in progress.
class KeeperOfLiveFilesTest : public KeeperTest {
 protected:
  void FlushEvery(milliseconds interval) {
    keeper_->SetFlushPolicy({.durability = Durability::kPeriodic, .interval = interval});
  }
  int Flushes(const std::string& path) const {
    const std::vector<std::string> journal = world_->ops.journal();
    return static_cast<int>(std::count(journal.begin(), journal.end(), "flush " + Base(path)));
  }
  // Waits for a round of flushes that begins after the call: it flushes another file.
  bool AnotherRound() {
    std::unique_ptr<Writer> other = Begin(1, "Other");
    const std::string path = other->path();
    const bool flushed = WaitUntil([&] { return Flushes(path) > 0; });
    keeper_->Publish(std::move(other));
    return AllPublished() && flushed;
  }
  // The same for a look at the names.
  bool AnotherLook() {
    std::unique_ptr<Writer> other = Begin(1, "Other");
    std::filesystem::remove(other->path());
    const bool seen = WaitUntil([&] { return world_->displaced > 0; });
    keeper_->Publish(std::move(other));
    const bool published = AllPublished();
    world_->displaced = 0;
    return seen && published;
  }
};

TEST_F(KeeperOfLiveFilesTest, AreFlushedDataThenNameThenDirectories) {
  FlushEvery(milliseconds(1));
  const std::unique_ptr<Writer> file = Begin();
  std::vector<std::string> expected{"flush " + Base(file->path())};
  AddPathTo(expected, Directory());
  ASSERT_TRUE(WaitUntil([&] { return FlushesAndRenames(world_->ops).size() == expected.size(); }));
  EXPECT_EQ(FlushesAndRenames(world_->ops), expected);
  EXPECT_EQ(Flushes(file->path()), 1);
  EXPECT_TRUE(Exists(file->path()));
}

TEST_F(KeeperOfLiveFilesTest, FailedFlushOfOneFile_IsNoticed_WhereTheCommitOfAllFails) {
  world_->ops.SetCommitMethod(CommitMethod::kAnchor);
  const std::unique_ptr<Writer> good = Begin(1);
  const std::unique_ptr<Writer> bad = Begin(1, "Bad");
  world_->ops.Fail(Call::kFtruncate, EIO, 1);
  // The kernel reports it once: a later commit of all files would succeed and mean nothing.
  world_->ops.Fail(Call::kFdatasync, EIO, 1, Base(bad->path()));
  FlushEvery(milliseconds(1));
  EXPECT_TRUE(WaitUntil([&] { return world_->displaced == 1; })) << "it is to be finished";
  EXPECT_TRUE(WaitUntil([&] { return Flushes(good->path()) == 1; }));
}

TEST_F(KeeperOfLiveFilesTest, FinishedFile_IsFlushedByItself_WhereTheCommitOfAllFails) {
  world_->ops.SetCommitMethod(CommitMethod::kAnchor);
  world_->ops.Fail(Call::kFtruncate, EIO);
  const std::string path = Publish();
  ASSERT_TRUE(AllPublished());
  EXPECT_EQ(keeper_->counters().outstanding.load(), 0U);
  const std::vector<std::string> journal = world_->ops.journal();
  const auto data = std::find(journal.begin(), journal.end(), "flush " + Base(path));
  EXPECT_LT(data, std::find(journal.begin(), journal.end(), "flush directory Readings"));
}

TEST_F(KeeperOfLiveFilesTest, ARoundThatTakesLongerThanTheIntervalIsCountedAndReported) {
  Gate& flush = world_->ops.fdatasync_gate();
  flush.Close();
  FlushEvery(milliseconds(5));
  const std::unique_ptr<Writer> file = Begin();
  ASSERT_TRUE(WaitUntil([&] { return flush.waiting() == 1; }));
  const auto begin = Clock::System().MonotonicNow();
  ASSERT_TRUE(WaitUntil([&] { return Clock::System().MonotonicNow() - begin > milliseconds(6); }));
  EXPECT_EQ(keeper_->counters().late_rounds.load(), 0U);
  flush.Open();
  ASSERT_TRUE(WaitUntil([&] { return keeper_->counters().late_rounds >= 1; }));
  const FlushStats stats = keeper_->counters().Flush();
  EXPECT_GE(stats.rounds, stats.late_rounds);
  EXPECT_GE(stats.files, 1U);
  EXPECT_GE(stats.bytes, kFile.size());
  // The warning follows the count.
  EXPECT_TRUE(WaitUntil([&] { return log_.Has("longer than durability_interval_millis (5)"); }));
  EXPECT_TRUE(log_.Has("raise the interval, capture less, or use a faster medium")) << log_.Text();
}

TEST_F(KeeperOfLiveFilesTest, AreFlushedOnlyWhenTheyHaveGrown) {
  FlushEvery(milliseconds(1));
  const std::unique_ptr<Writer> file = Begin();
  for (int flushes = 1; flushes <= 3; ++flushes) {
    ASSERT_TRUE(WaitUntil([&] { return Flushes(file->path()) == flushes; }));
    ASSERT_TRUE(AnotherRound());
    ASSERT_TRUE(AnotherRound());
    EXPECT_EQ(Flushes(file->path()), flushes);
    ASSERT_TRUE(file->Append(kRecord).ok());
  }
  const std::vector<std::string> journal = world_->ops.journal();
  EXPECT_EQ(std::count(journal.begin(), journal.end(), "flush directory Readings"), 1)
      << "a name is made durable once";
}

TEST_F(KeeperOfLiveFilesTest, AreNotFlushedBeforeTheirFirstRecord) {
  FlushEvery(milliseconds(1));
  const std::unique_ptr<Writer> file = Begin(0);
  ASSERT_TRUE(AnotherRound());
  EXPECT_EQ(Flushes(file->path()), 0);
}

TEST_F(KeeperOfLiveFilesTest, AreFlushedFromTheNextPeriodOnWhenThePolicyChanges) {
  const std::unique_ptr<Writer> file = Begin();
  FlushEvery(std::chrono::hours(1));
  Publish("Other");
  ASSERT_TRUE(AllPublished());
  EXPECT_EQ(Flushes(file->path()), 0);
  FlushEvery(milliseconds(1));
  EXPECT_TRUE(WaitUntil([&] { return Flushes(file->path()) == 1; }));
  keeper_->SetFlushPolicy({.durability = Durability::kPublished});
  ASSERT_TRUE(file->Append(kRecord).ok());
  Publish("Other");
  ASSERT_TRUE(AllPublished());
  EXPECT_EQ(Flushes(file->path()), 1);
}

TEST_F(KeeperOfLiveFilesTest, AreNotOpenedForTheirFlush) {
  FlushEvery(milliseconds(1));
  const std::unique_ptr<Writer> file = Begin();
  world_->ops.Fail(Call::kOpen, EMFILE, FaultyFileOps::kAlways, Base(file->path()));
  EXPECT_TRUE(WaitUntil([&] { return Flushes(file->path()) == 1; }));
}

TEST_F(KeeperOfLiveFilesTest, AreClosedWhenTheyArePublished) {
  FlushEvery(milliseconds(1));
  std::unique_ptr<Writer> file = Begin();
  const std::string complete = capture_file::CompletePath(file->path());
  ASSERT_TRUE(WaitUntil([&] { return Flushes(file->path()) == 1; }));
  keeper_->Publish(std::move(file));
  ASSERT_TRUE(AllPublished());
  const UniqueFd upload(::open(complete.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(FileOps::System().TryLock(upload.get()), 0);
  if (FileOps::System().TryLease(upload.get(), F_RDLCK) != 0) {
    EXPECT_NE(errno, EAGAIN) << "its upload would wait";
  }
}

TEST_F(KeeperOfLiveFilesTest, AFlushThatHangsDelaysNoAppendAndNoClose) {
  FlushEvery(milliseconds(1));
  world_->ops.fdatasync_gate().Close();
  std::unique_ptr<Writer> live = Begin();
  ASSERT_TRUE(WaitUntil([&] { return world_->ops.fdatasync_gate().waiting() == 1; }));
  for (int i = 0; i < 128; ++i) Publish();
  EXPECT_TRUE(live->Append(kRecord).ok());
  keeper_->Publish(std::move(live));
  keeper_->Close(In(milliseconds(5)));
  EXPECT_EQ(keeper_->counters().published.load(), 0U);
  EXPECT_EQ(keeper_->counters().unflushed.load(), 0U);
  EXPECT_EQ(FilesBelow(temp_.path(), ".prog").size(), 129U);
}

TEST_F(KeeperOfLiveFilesTest, AreFlushedTogetherAndWithTheFinishedOnes) {
  FlushEvery(std::chrono::hours(1));
  std::vector<std::unique_ptr<Writer>> live;
  for (int i = 0; i < 3; ++i) live.push_back(Begin(1, "Other"));
  HangInFlush();
  Publish();
  FlushEvery(milliseconds(1));
  const uint64_t before = keeper_->counters().rounds;
  world_->ops.fdatasync_gate().Open();
  ASSERT_TRUE(AllPublished());
  ASSERT_TRUE(WaitUntil([&] {
    return std::all_of(live.begin(), live.end(),
                       [&](const auto& file) { return Flushes(file->path()) == 1; });
  }));
  EXPECT_TRUE(WaitUntil([&] { return keeper_->counters().rounds >= before + 2; }));
}

TEST_F(KeeperOfLiveFilesTest, ANewFileIsNotFlushedBeforeItsFirstBytesAreAnIntervalOld) {
  FlushEvery(std::chrono::seconds(1));
  std::unique_ptr<Writer> first = Begin();
  ASSERT_TRUE(WaitUntil([&] { return Flushes(first->path()) == 1; }));
  // Another file takes its place just before the next round: the promise for its bytes begins with
  // it.
  const auto round = std::chrono::steady_clock::now();
  ASSERT_TRUE(
      WaitUntil([&] { return std::chrono::steady_clock::now() - round > milliseconds(500); }));
  keeper_->Publish(std::move(first));
  ASSERT_TRUE(AllPublished());
  const auto begun = std::chrono::steady_clock::now();
  const std::unique_ptr<Writer> second = Begin();
  ASSERT_TRUE(WaitUntil([&] { return Flushes(second->path()) == 1; }));
  EXPECT_GE(std::chrono::steady_clock::now() - begun, milliseconds(900));
}

TEST_F(KeeperOfLiveFilesTest, OneWhoseFlushFailedIsFinishedAndCopied) {
  world_->ops.Fail(Call::kFdatasync, EIO, 1);
  FlushEvery(milliseconds(1));
  std::unique_ptr<Writer> file = Begin(2);
  const std::string content = ReadFile(file->path());
  const std::string path = file->path();
  ASSERT_TRUE(WaitUntil([&] { return world_->displaced > 0; })) << "its collector is told";
  EXPECT_EQ(keeper_->counters().failed_flushes.load(), 1U);
  keeper_->Publish(std::move(file));
  ASSERT_TRUE(AllPublished());
  EXPECT_EQ(Flushes(path), 1) << "a second flush of it would say OK, and mean nothing";
  const std::vector<std::string> published = FilesBelow(temp_.path(), ".capture");
  ASSERT_EQ(published.size(), 1U);
  EXPECT_EQ(ReadFile(published[0]), content);
  EXPECT_FALSE(Exists(path));
  EXPECT_EQ(keeper_->counters().unflushed.load(), 0U);
}

TEST_F(KeeperOfLiveFilesTest, NothingIsFlushedWhereOnlyTheProcessMayDie) {
  keeper_->SetFlushPolicy({.durability = Durability::kProcess});
  const std::unique_ptr<Writer> file = Begin();
  const std::string path = Publish();
  ASSERT_TRUE(AllPublished());
  EXPECT_TRUE(Exists(path));
  EXPECT_EQ(FlushesAndRenames(world_->ops).size(), 1U) << "the rename";
  keeper_->Close(PatienceEnds());
  EXPECT_EQ(keeper_->counters().unflushed.load(), 0U) << "none was asked for";
}

TEST_F(KeeperOfLiveFilesTest, AreReportedWhenTheyLoseTheirName) {
  const std::unique_ptr<Writer> file = Begin();
  ASSERT_TRUE(AnotherLook());
  EXPECT_EQ(world_->displaced, 0);
  std::filesystem::remove(file->path());
  EXPECT_TRUE(WaitUntil([&] { return world_->displaced > 0; }));
  // Another file of that name is another file.
  WriteFile(file->path(), "");
  const int before = world_->displaced;
  EXPECT_TRUE(WaitUntil([&] { return world_->displaced > before; }));
}

TEST_F(KeeperOfLiveFilesTest, ARemovedOneIsCopied) {
  std::unique_ptr<Writer> file = Begin(1000);
  const std::string content = ReadFile(file->path());
  const std::string complete = capture_file::CompletePath(file->path());
  std::filesystem::remove_all(temp_.path());
  keeper_->Publish(std::move(file));
  ASSERT_TRUE(AllPublished());
  EXPECT_EQ(ReadFile(complete), content);
  EXPECT_EQ(keeper_->counters().published.load(), 1U);
  EXPECT_EQ(keeper_->counters().lost.load(), 0U);
  EXPECT_EQ(FilesBelow(temp_.path()).size(), 1U);
  // In this order: the copy's data, its name, its directories.
  std::vector<std::string> journal = FlushesAndRenames(world_->ops);
  const std::string name = Base(complete).substr(0, Base(complete).find(".capture")) + ".prog";
  std::vector<std::string> expected{"flush " + name, "rename " + name};
  AddPathTo(expected, Directory());
  ASSERT_GE(journal.size(), expected.size());
  journal.erase(journal.begin(), journal.end() - static_cast<std::ptrdiff_t>(expected.size()));
  EXPECT_EQ(journal, expected);
  logger_->Close();
  EXPECT_EQ(log_.Count("it was removed while records were in it", LogLevel::kWarning), 1U)
      << log_.Text();
}

TEST_F(KeeperOfLiveFilesTest, ARemovedOneIsKeptUntilItCanBeCopied) {
  for (const auto& [call, error] : {std::pair(Call::kOpen, EMFILE), std::pair(Call::kMkdir, EACCES),
                                    std::pair(Call::kWrite, ENOSPC)}) {
    const uint64_t published = keeper_->counters().published.load();
    std::unique_ptr<Writer> file = Begin(3);
    const std::string content = ReadFile(file->path());
    const std::string complete = capture_file::CompletePath(file->path());
    std::filesystem::remove_all(temp_.path());
    const int before = world_->ops.Count(call);
    world_->ops.Fail(call, error);
    keeper_->Publish(std::move(file));
    ASSERT_TRUE(
        WaitUntil([&, failing = call] { return world_->ops.Count(failing) >= before + 3; }));
    EXPECT_EQ(keeper_->counters().published.load(), published);
    EXPECT_TRUE(FilesBelow(temp_.path(), ".capture").empty());
    world_->ops.Heal();
    ASSERT_TRUE(WaitUntil([&] { return keeper_->counters().published.load() == published + 1; }));
    EXPECT_EQ(ReadFile(complete), content);
    EXPECT_TRUE(FilesBelow(temp_.path(), ".prog").empty()) << "nothing is left of failed copies";
  }
  EXPECT_EQ(keeper_->counters().lost.load(), 0U);
}

TEST_F(KeeperOfLiveFilesTest, ARemovedOneThatCannotBeCopiedIsLostAtTheEndAndCounted) {
  std::unique_ptr<Writer> file = Begin();
  const std::string path = file->path();
  std::filesystem::remove_all(temp_.path());
  world_->ops.Fail(Call::kMkdir, EROFS);
  keeper_->Publish(std::move(file));
  EXPECT_FALSE(AllPublished());
  EXPECT_EQ(keeper_->counters().lost.load(), 0U);
  keeper_->Close(PatienceEnds());
  EXPECT_EQ(keeper_->counters().lost.load(), 1U);
  logger_->Close();
  EXPECT_EQ(log_.Count("the records in " + path + " are lost", LogLevel::kError), 1U)
      << log_.Text();
}

TEST_F(KeeperOfLiveFilesTest, AMovedOneIsPublishedWhereItIs) {
  std::unique_ptr<Writer> file = Begin(2);
  const std::string content = ReadFile(file->path());
  const std::string complete = capture_file::CompletePath(file->path());
  std::filesystem::rename(Directory(), temp_.path() + "/moved");
  // Another file has its old path.
  WriteFile(file->path(), "somebody's");
  const std::string theirs = file->path();
  keeper_->Publish(std::move(file));
  ASSERT_TRUE(AllPublished());
  EXPECT_EQ(ReadFile(temp_.path() + "/moved/" + Base(complete)), content);
  EXPECT_EQ(ReadFile(theirs), "somebody's");
  EXPECT_TRUE(hints().empty()) << "it may lie where sync has no business";
}

TEST_F(KeeperTest, ComesBackForADirectoryThatItMayNotRead) {
  world_->ops.Fail(Call::kReadDirectory, EACCES, 2);
  const std::string path = LeaveBehind(1);
  keeper_->Recover(temp_.path());
  EXPECT_TRUE(WaitUntil([&] { return keeper_->counters().recovered.load() == 1; }));
  world_->ops.Fail(Call::kOpen, EACCES, 2, "Readings");
  LeaveBehind(2);
  keeper_->Recover(temp_.path());
  EXPECT_TRUE(WaitUntil([&] { return keeper_->counters().recovered.load() == 2; }));
}

}  // namespace
}  // namespace datamanager::capture
