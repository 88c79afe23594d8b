#include "capture_file/recovery.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <ostream>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "capture_file/file_name.h"
#include "capture_file/format.h"
#include "capture_file/reader.h"
#include "capture_file/writer.h"
#include "tests/capture_file/test_records.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

namespace datamanager::capture_file {

void PrintTo(RecoveryOutcome outcome, std::ostream* out) {
  constexpr std::array kNames = {"published", "removed", "in use", "just written", "not ours"};
  *out << kNames.at(static_cast<size_t>(outcome));
}

namespace {

using testing::Exists;
using testing::FakeClock;
using testing::FaultyFileOps;
using testing::FilesBelow;
using testing::Frame;
using testing::ReadFile;
using testing::TabularFile;
using testing::TabularRecord;
using testing::TempDir;
using testing::TestMetadata;
using testing::WriteFile;
using Call = FaultyFileOps::Call;

// A process that has a file open, until it is destroyed.
class Owner {
 public:
  enum class Lock { kYes, kNo };

  Owner(const std::string& path, Lock lock) {
    std::array<int, 2> ready{};
    std::array<int, 2> end{};
    EXPECT_EQ(::pipe(ready.data()), 0);
    EXPECT_EQ(::pipe(end.data()), 0);
    child_ = ::fork();
    if (child_ == 0) {
      ::close(end[1]);
      const int fd = ::open(path.c_str(), O_RDWR | O_APPEND);
      bool ok = fd >= 0;
      if (lock == Lock::kYes) ok = ok && ::flock(fd, LOCK_EX | LOCK_NB) == 0;
      char byte = ok ? 'y' : 'n';
      if (::write(ready[1], &byte, 1) != 1) ::_exit(1);
      // Returns when the parent closes its end.
      ::_exit(::read(end[0], &byte, 1) == 0 ? 0 : 1);
    }
    ::close(ready[1]);
    ::close(end[0]);
    char byte = 'n';
    EXPECT_EQ(::read(ready[0], &byte, 1), 1);
    EXPECT_EQ(byte, 'y');
    ::close(ready[0]);
    end_ = end[1];
  }
  ~Owner() {
    ::close(end_);
    ::waitpid(child_, nullptr, 0);
  }
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;

 private:
  pid_t child_ = -1;
  int end_ = -1;
};

// A process that ends after a number of calls that change the disk: later calls have no effect.
class EndingFileOps final : public FileOps {
 public:
  explicit EndingFileOps(int calls) : left_(calls) {}

  int OpenAt(int dir, const char* path, int flags, mode_t mode) override {
    if ((flags & O_CREAT) != 0 && Ends()) return -1;
    return FileOps::OpenAt(dir, path, flags, mode);
  }
  ssize_t Write(int fd, const void* data, size_t size) override {
    return Ends() ? -1 : FileOps::Write(fd, data, size);
  }
  int Ftruncate(int fd, off_t size) override { return Ends() ? -1 : FileOps::Ftruncate(fd, size); }
  int Fdatasync(int) override { return Ends() ? -1 : 0; }
  int Fsync(int) override { return Ends() ? -1 : 0; }
  int RenameNoReplaceAt(int from_dir, const char* from, int to_dir, const char* to) override {
    return Ends() ? -1 : FileOps::RenameNoReplaceAt(from_dir, from, to_dir, to);
  }
  int UnlinkAt(int dir, const char* path) override {
    return Ends() ? -1 : FileOps::UnlinkAt(dir, path);
  }
  int MkdirAt(int dir, const char* path, mode_t mode) override {
    return Ends() ? -1 : FileOps::MkdirAt(dir, path, mode);
  }

 private:
  bool Ends() {
    if (left_-- > 0) return false;
    errno = EIO;
    return true;
  }

  int left_;
};

class RecoveryTest : public ::testing::Test {
 protected:
  std::string Leave(std::string_view content) const {
    WriteFile(in_progress_, content);
    return in_progress_;
  }
  // What the tests write is an hour old.
  RecoveryTest() { clock_.StepWall(std::chrono::hours(1)); }
  // The result of a recovery, and the path at which the keeper publishes the file.
  struct Recovered : Recovery {
    std::string path;
  };
  Recovered Recover(const std::string& path) {
    absl::StatusOr<Recovery> recovery = recoverer_.Recover(temp_.path(), path);
    EXPECT_TRUE(recovery.ok()) << recovery.status();
    if (recovery.ok() && recovery->outcome == RecoveryOutcome::kInUse) {
      // If the file system has no leases, the age decides.
      clock_.Advance(std::chrono::minutes(5));
      recovery = recoverer_.Recover(temp_.path(), path);
    }
    if (!recovery.ok()) return {};
    Recovered recovered{*std::move(recovery), ""};
    if (recovered.file == nullptr) return recovered;
    EXPECT_TRUE(recovered.file->Flush().ok());
    absl::StatusOr<std::string> published = recovered.file->Publish();
    EXPECT_TRUE(published.ok()) << published.status();
    if (published.ok()) recovered.path = *published;
    recovered.file = nullptr;
    return recovered;
  }
  bool HasLeases() const {
    WriteFile(temp_.path() + "/lease", "");
    const UniqueFd fd(::open((temp_.path() + "/lease").c_str(), O_RDWR | O_CLOEXEC));
    const bool has = fcntl(fd.get(), F_SETLEASE, F_WRLCK) == 0;
    ::unlink((temp_.path() + "/lease").c_str());
    return has;
  }

  std::string RemainderAt(uint64_t offset) const {
    return CutPath(temp_.path() + "/failed/" + InProgressName(kStart), offset);
  }
  std::string AfterMicros(int micros) const {
    return temp_.path() + "/" + CompleteName(kStart + std::chrono::microseconds(micros));
  }
  // The numbers of the records that TabularRecord made.
  static std::vector<int> RecordsIn(const std::string& path) {
    std::vector<int> numbers;
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    const std::string bytes = ReadFile(path);
    auto reader = Reader::Open(FileOps::System(), fd.get(), bytes.size());
    EXPECT_TRUE(reader.ok()) << path;
    while (reader.ok()) {
      const auto record = reader->Next();
      if (!record.ok() || !record->has_value()) break;
      testing::wire::SensorData data;
      EXPECT_TRUE(
          data.ParseFromString(bytes.substr((*record)->message.offset, (*record)->message.size)));
      numbers.push_back(static_cast<int>(data.struct_().fields().at("n").number_value()));
    }
    EXPECT_TRUE(!reader.ok() || reader->torn().ok()) << path;
    return numbers;
  }

  static constexpr WallTime kStart{std::chrono::seconds(1700000000)};

  const TempDir temp_;
  const std::string in_progress_ = temp_.path() + "/" + InProgressName(kStart);
  const std::string complete_ = temp_.path() + "/" + CompleteName(kStart);
  FaultyFileOps ops_;
  FakeClock clock_;
  Recoverer recoverer_{ops_, clock_};
};

TEST_F(RecoveryTest, PublishesWhatAProcessLeftBehind) {
  const Recovered recovery = Recover(Leave(TabularFile(3)));
  EXPECT_EQ(recovery.outcome, RecoveryOutcome::kRecovered);
  EXPECT_EQ(recovery.path, complete_);
  EXPECT_EQ(recovery.cut_bytes, 0U);
  EXPECT_EQ(FilesBelow(temp_.path()), std::vector{complete_});
  EXPECT_EQ(ReadFile(complete_), TabularFile(3));
}

TEST_F(RecoveryTest, CutsATornTailOff) {
  for (const std::string& tail : {Frame(TabularRecord(9)).substr(0, 10), std::string(5000, '\0'),
                                  std::string("\xff\xff\xff")}) {
    const Recovered recovery = Recover(Leave(TabularFile(2) + tail));
    EXPECT_EQ(recovery.outcome, RecoveryOutcome::kRecovered);
    EXPECT_EQ(recovery.cut_bytes, tail.size());
    EXPECT_EQ(ReadFile(complete_), TabularFile(2));
    ::unlink(complete_.c_str());
  }
}

// As after a power cut that kept the length of a file, but not all of its data.
TEST_F(RecoveryTest, CutsBeforeARecordWithZerosInside_AndKeepsWhatFollows) {
  const std::string record = Frame(TabularRecord(9));
  for (const size_t begin : {size_t{3}, record.size() / 2, record.size() - 12}) {
    const std::string zeroed = record.substr(0, begin) + std::string(record.size() - begin, '\0');
    const Recovered recovery = Recover(Leave(TabularFile(2) + zeroed + Frame(TabularRecord(2))));
    EXPECT_EQ(recovery.outcome, RecoveryOutcome::kRecovered) << begin;
    EXPECT_EQ(ReadFile(complete_), TabularFile(2)) << begin;
    EXPECT_EQ(ReadFile(recovery.further), Frame(TestMetadata()) + Frame(TabularRecord(2))) << begin;
    EXPECT_NE(recovery.remainder, "") << begin;
    for (const std::string& path : FilesBelow(temp_.path())) ::unlink(path.c_str());
  }
}

TEST_F(RecoveryTest, RemovesWhatHoldsNoRecord) {
  for (const std::string& content :
       {std::string(), Frame(TestMetadata()), Frame(TestMetadata()) + std::string(100, '\0'),
        Frame(TestMetadata()) + Frame(TabularRecord(0)).substr(0, 12), std::string(4096, '\0')}) {
    const Recovered recovery = Recover(Leave(content));
    EXPECT_EQ(recovery.outcome, RecoveryOutcome::kRemovedEmpty);
    EXPECT_EQ(recovery.cut_bytes, content.size());
    EXPECT_TRUE(FilesBelow(temp_.path()).empty());
  }
}

TEST_F(RecoveryTest, SetsGarbageAsideAsItIs) {
  std::string noise(3000, '\0');
  std::mt19937 random(4);
  for (char& c : noise) c = static_cast<char>(random() | 0x81);
  std::string zeroed = TabularFile(297);
  std::fill_n(zeroed.begin(), 4096, '\0');
  for (const std::string& garbage :
       {noise, std::string("\nsomebody's notes, under a name of ours\n"),
        Frame(TestMetadata()).substr(0, 20), zeroed,
        Frame(std::string(kMaxMetadataBytes + 1, 'm')) + Frame(TabularRecord(0))}) {
    const Recovered recovery = Recover(Leave(garbage));
    EXPECT_EQ(recovery.outcome, RecoveryOutcome::kRemovedEmpty);
    EXPECT_EQ(recovery.remainder, RemainderAt(0));
    EXPECT_EQ(FilesBelow(temp_.path()), std::vector{RemainderAt(0)});
    EXPECT_TRUE(ReadFile(RemainderAt(0)) == garbage);
    ::unlink(RemainderAt(0).c_str());
  }
}

// The figures of a robot: 297 records, of which the 54th has one bit flipped.
TEST_F(RecoveryTest, OneFlippedBit_CostsItsRecord) {
  const std::string whole = TabularFile(297);
  const uint64_t damage = TabularFile(53).size();
  std::string flipped = whole;
  flipped[damage + 1] ^= 1;
  const Recovered recovery = Recover(Leave(flipped));
  EXPECT_EQ(recovery.outcome, RecoveryOutcome::kRecovered);
  EXPECT_EQ(recovery.salvaged, 243U);
  EXPECT_EQ(ReadFile(complete_), TabularFile(53));
  EXPECT_EQ(recovery.further, AfterMicros(1));
  EXPECT_TRUE(ReadFile(recovery.further) ==
              Frame(TestMetadata()) + whole.substr(TabularFile(54).size()));
  EXPECT_EQ(recovery.remainder, RemainderAt(damage));
  EXPECT_EQ(ReadFile(recovery.remainder), flipped.substr(damage, TabularFile(54).size() - damage));
  EXPECT_EQ(FilesBelow(temp_.path()).size(), 3U);
  EXPECT_EQ(recoverer_.remainders().kept_files(), 1U);
}

TEST_F(RecoveryTest, DamagedFirstRecord_LeavesTheOthersUnderTheFilesName) {
  std::string content = TabularFile(5);
  content[Frame(TestMetadata()).size() + 1] ^= 1;
  const Recovered recovery = Recover(Leave(content));
  EXPECT_EQ(recovery.outcome, RecoveryOutcome::kRemovedEmpty);
  EXPECT_EQ(recovery.further, complete_);
  EXPECT_EQ(ReadFile(complete_),
            Frame(TestMetadata()) + TabularFile(5).substr(TabularFile(1).size()));
  EXPECT_FALSE(Exists(in_progress_));
}

// Each call to the disk is once the last one before the process ends. The next test checks, by the
// journal, the order that matters for a power cut.
TEST_F(RecoveryTest, EndOfTheProcessAnywhere_LosesNothingAndRepeatsNothing) {
  const std::string whole = TabularFile(9);
  for (const int damaged : {0, 4}) {
    std::string content = whole;
    content[TabularFile(damaged).size() + 1] ^= 1;
    bool ended = true;
    for (int calls = 0; ended; ++calls) {
      Leave(content);
      {
        EndingFileOps ending(calls);
        Recoverer first(ending, clock_);
        ended = !first.Recover(temp_.path(), in_progress_).ok();
      }
      // Sync uploads what is published, perhaps before the next run.
      std::multiset<int> records;
      const auto take = [&] {
        for (const std::string& path : FilesBelow(temp_.path(), ".capture")) {
          for (const int n : RecordsIn(path)) records.insert(n);
          ::unlink(path.c_str());
        }
      };
      take();
      for (const std::string& path : FilesBelow(temp_.path(), ".prog")) {
        if (!path.starts_with(temp_.path() + "/failed/")) Recover(path);
      }
      take();
      std::multiset<int> expected;
      for (int n = 0; n < 9; ++n) {
        if (n != damaged) expected.insert(n);
      }
      ASSERT_EQ(records, expected) << "ended after " << calls << " calls";
      const std::vector<std::string> left = FilesBelow(temp_.path());
      ASSERT_EQ(left, std::vector{RemainderAt(TabularFile(damaged).size())}) << calls;
      ASSERT_TRUE(Frame(TabularRecord(damaged)).size() - ReadFile(left[0]).size() < 10) << calls;
      ::unlink(left[0].c_str());
    }
  }
}

TEST_F(RecoveryTest, KeepsAllDurablyBeforeItCuts) {
  std::string content = TabularFile(3);
  content[TabularFile(1).size() + 1] ^= 1;
  Recover(Leave(content));
  const std::string name(BaseName(in_progress_));
  const std::string part = name + ".cut-at-83.part.prog";
  const std::string further = name + ".further-at-83.prog";
  const std::string directory = "flush directory " + std::string(BaseName(temp_.path()));
  std::vector<std::string> journal = ops_.journal();
  std::erase_if(journal, [](const std::string& text) { return text.starts_with("write"); });
  EXPECT_EQ(journal, (std::vector<std::string>{
                         directory, "flush " + part, "rename " + part, "flush directory failed",
                         "flush " + further, directory, "truncate 83", "flush " + name,
                         "rename " + further, directory, "flush " + name, "rename " + name}));
}

TEST_F(RecoveryTest, AStopLeavesTheFileAsItIs) {
  std::string content = TabularFile(2000);
  content[TabularFile(1000).size() + 1] ^= 1;
  for (int most = 0; most < 5; ++most) {
    Leave(content);
    int questions = 0;
    const auto recovery =
        recoverer_.Recover(temp_.path(), in_progress_, [&] { return questions++ < most; });
    if (recovery.ok()) break;
    EXPECT_TRUE(absl::IsCancelled(recovery.status())) << recovery.status();
    EXPECT_TRUE(ReadFile(in_progress_) == content);
    EXPECT_TRUE(FilesBelow(temp_.path(), ".capture").empty());
  }
  const Recovered recovery = Recover(Leave(content));
  EXPECT_EQ(recovery.salvaged, 999U);
}

TEST_F(RecoveryTest, AKilledWritersLastRecord_IsCounted) {
  EXPECT_TRUE(Recover(Leave(TabularFile(2) + Frame(TabularRecord(2)).substr(0, 20))).unfinished);
  ::unlink(complete_.c_str());
  EXPECT_FALSE(Recover(Leave(TabularFile(2) + std::string(20, '\0'))).unfinished);
}

TEST_F(RecoveryTest, MovesOnFromATakenName) {
  WriteFile(complete_, "somebody's");
  const Recovered recovery = Recover(Leave(TabularFile(1)));
  EXPECT_EQ(recovery.outcome, RecoveryOutcome::kRecovered);
  EXPECT_EQ(recovery.path,
            temp_.path() + "/" + CompleteName(kStart + std::chrono::microseconds(1)));
  EXPECT_EQ(ReadFile(recovery.path), TabularFile(1));
  EXPECT_EQ(ReadFile(complete_), "somebody's");
}

TEST_F(RecoveryTest, LeavesALockedFileToItsOwner) {
  Leave(TabularFile(3));
  {
    const Owner owner(in_progress_, Owner::Lock::kYes);
    EXPECT_EQ(Recover(in_progress_).outcome, RecoveryOutcome::kInUse);
    EXPECT_EQ(ReadFile(in_progress_), TabularFile(3));
  }
  EXPECT_EQ(Recover(in_progress_).outcome, RecoveryOutcome::kRecovered);
}

TEST_F(RecoveryTest, LeavesAnOpenFileToAnOwnerThatTakesNoLock) {
  if (!HasLeases()) GTEST_SKIP() << "the file system of " << temp_.path() << " has no leases";
  Leave(TabularFile(3));
  {
    const Owner owner(in_progress_, Owner::Lock::kNo);
    EXPECT_EQ(Recover(in_progress_).outcome, RecoveryOutcome::kInUse);
    EXPECT_EQ(ReadFile(in_progress_), TabularFile(3));
  }
  EXPECT_EQ(Recover(in_progress_).outcome, RecoveryOutcome::kRecovered);
}

TEST_F(RecoveryTest, LeavesAFileThatIsWrittenInThisProcess) {
  auto writer = Writer::Create(ops_, temp_.path(), kStart, TestMetadata());
  ASSERT_TRUE(writer.ok());
  EXPECT_EQ(Recover(in_progress_).outcome, RecoveryOutcome::kInUse);
  ASSERT_TRUE((*writer)->Append(Frame(TabularRecord(0))).ok());
  EXPECT_EQ(Recover(in_progress_).outcome, RecoveryOutcome::kInUse);
  writer->reset();
  EXPECT_EQ(Recover(in_progress_).outcome, RecoveryOutcome::kRecovered);
  EXPECT_EQ(ReadFile(complete_), TabularFile(1));
}

TEST_F(RecoveryTest, LeavesAFileThatMayHaveBeenClosedToBeRenamed) {
  // By the wall clock if it says so; if it has jumped, by what is seen.
  for (const auto step : {std::chrono::hours(-1), std::chrono::hours(-10000)}) {
    clock_.StepWall(step);
    Leave(TabularFile(1));
    EXPECT_EQ(Recover(in_progress_).outcome, RecoveryOutcome::kJustWritten);
    EXPECT_EQ(ReadFile(in_progress_), TabularFile(1));
    clock_.Advance(std::chrono::milliseconds(200));
    EXPECT_EQ(Recover(in_progress_).outcome, RecoveryOutcome::kRecovered);
    ::unlink(complete_.c_str());
  }
}

// Where a file system has no leases, or the file is another user's.
class RecoveryWithoutLeasesTest : public RecoveryTest {
 protected:
  RecoveryWithoutLeasesTest() { ops_.Fail(Call::kLease, EINVAL); }
  RecoveryOutcome Look() {
    const absl::StatusOr<Recovery> recovery = recoverer_.Recover(temp_.path(), in_progress_);
    EXPECT_TRUE(recovery.ok()) << recovery.status();
    return recovery.ok() ? recovery->outcome : RecoveryOutcome::kNotOurs;
  }
  void SetModificationTime(WallTime time) const {
    std::filesystem::last_write_time(in_progress_, std::chrono::file_clock::from_sys(time));
  }
};

TEST_F(RecoveryWithoutLeasesTest, WaitsFiveMinutesFromWhenItSawAFileFirst) {
  Leave(TabularFile(1));
  EXPECT_EQ(Look(), RecoveryOutcome::kInUse);
  clock_.Advance(std::chrono::minutes(4));
  EXPECT_EQ(Look(), RecoveryOutcome::kInUse);
  clock_.Advance(std::chrono::minutes(1));
  EXPECT_EQ(Look(), RecoveryOutcome::kRecovered);
}

TEST_F(RecoveryWithoutLeasesTest, DoesNotBelieveTheWallClock) {
  for (const auto age : {std::chrono::hours(24 * 365), std::chrono::hours(-24 * 365)}) {
    Leave(TabularFile(1));
    SetModificationTime(std::chrono::system_clock::now() - age);
    clock_.StepWall(age);
    EXPECT_EQ(Look(), RecoveryOutcome::kInUse) << "old by a clock that may have jumped";
    clock_.StepWall(-10 * age);
    clock_.Advance(std::chrono::minutes(5));
    EXPECT_EQ(Look(), RecoveryOutcome::kRecovered) << "from the future, perhaps";
    ::unlink(complete_.c_str());
  }
}

TEST_F(RecoveryWithoutLeasesTest, TheLockAloneTellsOfItsOwner) {
  Leave(TabularFile(1));
  {
    const Owner owner(in_progress_, Owner::Lock::kYes);
    EXPECT_EQ(Look(), RecoveryOutcome::kInUse);
    clock_.Advance(std::chrono::hours(1));
    EXPECT_EQ(Look(), RecoveryOutcome::kInUse);
  }
  EXPECT_EQ(Look(), RecoveryOutcome::kInUse) << "the first look at a file that may be anybody's";
  clock_.Advance(std::chrono::minutes(5));
  EXPECT_EQ(Look(), RecoveryOutcome::kRecovered);
}

TEST_F(RecoveryWithoutLeasesTest, AFileThatChangesIsInUse) {
  std::string content = TabularFile(1);
  Leave(content);
  EXPECT_EQ(Look(), RecoveryOutcome::kInUse);
  for (int minute = 0; minute < 10; ++minute) {
    clock_.Advance(std::chrono::minutes(1));
    Leave(content += Frame(TabularRecord(minute)));
    EXPECT_EQ(Look(), RecoveryOutcome::kInUse);
  }
  clock_.Advance(std::chrono::minutes(5));
  EXPECT_EQ(Look(), RecoveryOutcome::kRecovered);
}

TEST_F(RecoveryWithoutLeasesTest, ForgetsWhatItDoesNotMeet) {
  Leave(TabularFile(1));
  EXPECT_EQ(Look(), RecoveryOutcome::kInUse);
  recoverer_.EndPass();
  clock_.Advance(std::chrono::minutes(5));
  recoverer_.EndPass();
  EXPECT_EQ(Look(), RecoveryOutcome::kInUse) << "seen for the first time, again";
}

// A repair was killed while it wrote this remainder; the damaged file is unchanged.
TEST_F(RecoveryTest, RemovesAnUnfinishedRemainder_UnlessSomebodyWritesIt) {
  const std::string part = UnfinishedRemainderName(CutPath(CompletePath(in_progress_), 131));
  ASSERT_TRUE(IsUnfinishedRemainder(BaseName(part)));
  ASSERT_EQ(Recover(Leave(TabularFile(1))).outcome, RecoveryOutcome::kRecovered);
  ::rename(complete_.c_str(), part.c_str());
  {
    const Owner owner(part, Owner::Lock::kYes);
    EXPECT_EQ(Recover(part).outcome, RecoveryOutcome::kInUse);
    EXPECT_TRUE(Exists(part));
  }
  EXPECT_EQ(Recover(part).outcome, RecoveryOutcome::kRemovedEmpty);
  EXPECT_FALSE(Exists(part));
  // A complete remainder stays.
  const std::string remainder = CutPath(CompletePath(in_progress_), 131);
  WriteFile(remainder, "rest");
  EXPECT_EQ(Recover(remainder).outcome, RecoveryOutcome::kNotOurs);
  EXPECT_TRUE(Exists(remainder));
}

TEST_F(RecoveryTest, TouchesNothingThatIsNotOurs) {
  const std::string target = temp_.path() + "/target";
  WriteFile(target, TabularFile(1));

  ASSERT_EQ(::symlink(target.c_str(), in_progress_.c_str()), 0);
  EXPECT_EQ(Recover(in_progress_).outcome, RecoveryOutcome::kNotOurs);
  EXPECT_TRUE(std::filesystem::is_symlink(in_progress_));
  ::unlink(in_progress_.c_str());

  ASSERT_EQ(::mkfifo(in_progress_.c_str(), 0600), 0);
  EXPECT_EQ(Recover(in_progress_).outcome, RecoveryOutcome::kNotOurs);
  EXPECT_TRUE(std::filesystem::is_fifo(in_progress_));
  ::unlink(in_progress_.c_str());

  ASSERT_EQ(::mkdir(in_progress_.c_str(), 0700), 0);
  EXPECT_EQ(Recover(in_progress_).outcome, RecoveryOutcome::kNotOurs);
  EXPECT_TRUE(std::filesystem::is_directory(in_progress_));
  ::rmdir(in_progress_.c_str());

  for (const char* name : {"notes.prog", "2026-13-02T03_04_05.000006Z.prog", "notes.txt"}) {
    const std::string path = temp_.path() + "/" + name;
    WriteFile(path, TabularFile(1));
    EXPECT_EQ(Recover(path).outcome, RecoveryOutcome::kNotOurs) << name;
    EXPECT_EQ(ReadFile(path), TabularFile(1)) << name;
  }
  WriteFile(complete_, TabularFile(1));
  EXPECT_EQ(Recover(complete_).outcome, RecoveryOutcome::kNotOurs);
  EXPECT_EQ(ReadFile(target), TabularFile(1));
}

TEST_F(RecoveryTest, AFileThatIsGoneIsNobodysFault) {
  EXPECT_EQ(Recover(in_progress_).outcome, RecoveryOutcome::kNotOurs);
}

TEST_F(RecoveryTest, LeavesTheFileWhereTheDiskFails) {
  const std::string torn = Frame(TabularRecord(2)).substr(0, 9);
  for (const Call call : {Call::kOpen, Call::kPread, Call::kLock, Call::kFtruncate}) {
    const std::string content = TabularFile(2) + torn;
    Leave(content);
    ops_.Fail(call, EIO);
    const auto recovery = recoverer_.Recover(temp_.path(), in_progress_);
    EXPECT_FALSE(recovery.ok());
    EXPECT_NE(recovery.status().message().find(in_progress_), std::string::npos)
        << recovery.status();
    EXPECT_EQ(ReadFile(in_progress_).substr(0, TabularFile(2).size()), TabularFile(2));
    ops_.Heal();
    EXPECT_EQ(Recover(in_progress_).outcome, RecoveryOutcome::kRecovered);
    EXPECT_EQ(ReadFile(complete_), TabularFile(2));
    ::unlink(complete_.c_str());
  }
}

}  // namespace
}  // namespace datamanager::capture_file
