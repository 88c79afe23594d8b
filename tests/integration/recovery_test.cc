// What a killed process leaves in progress, and what a living one has open.
#include "absl/strings/str_cat.h"
#include "capture_file/format.h"
#include "tests/integration/robot_world.h"

namespace datamanager::testing {
namespace {

class LeftBehindTest : public RobotWorld {
 protected:
  LeftBehindTest() { AddSensor("own", 100); }

  // A robot that captures to the same directory, without a cloud.
  void StartRobot(const std::string& name) {
    RunWith(Machine("", {Counter(name, 200)}, Service()));
    ASSERT_TRUE(WaitForJournal(name, 20));
  }
  std::string OpenFileOf(const std::string& name) const {
    const std::vector<std::string> files = FilesBelow(DirectoryOf(name), ".prog");
    EXPECT_EQ(files.size(), 1U);
    return files.empty() ? "" : files[0];
  }
  // All that was journalled arrives, but perhaps the one in flight at the kill.
  void ExpectJournalArrives(const std::string& name) {
    std::vector<std::string> journalled = Journalled(name);
    const std::vector<std::string> arrived = ArrivedAsJournalled(name);
    if (arrived.size() + 1 == journalled.size()) journalled.pop_back();
    EXPECT_EQ(arrived, journalled);
  }
};

TEST_F(LeftBehindTest, WhatAKilledProcessLeftIsUploadedByTheNext) {
  StartRobot("dead");
  robot_->Kill();
  ASSERT_NE(OpenFileOf("dead"), "");
  Start();
  ASSERT_TRUE(WaitUntil([&] { return manager_->Stats().recovered_files == 1; }));
  EXPECT_TRUE(WaitForCaptured("own", 3));
  Drain();
  ExpectJournalArrives("dead");
  ExpectArrivedOnce("own");
  EXPECT_EQ(OnDisk(), std::vector<std::string>{});
  EXPECT_TRUE(WaitForLog("left in progress by a process that ended"));
}

TEST_F(LeftBehindTest, ATornTailIsCutAndAnEmptyFileRemoved) {
  StartRobot("dead");
  robot_->Kill();
  const std::string path = OpenFileOf("dead");
  // A kill in the middle of a write leaves the first half of a record.
  const std::string bytes = ReadFile(path);
  uint64_t size = 0;
  const char* record = bytes.data();
  const char* const end = record + bytes.size();
  record = capture_file::ReadVarint(record, end, &size) + size;  // Skips the metadata.
  ASSERT_NE(capture_file::ReadVarint(record, end, &size), nullptr);
  WriteFile(path, absl::StrCat(bytes, std::string(record, size / 2)));
  const std::string empty = DirectoryOf("dead") + "/2026-01-02T03_04_05.000006Z.prog";
  WriteFile(empty, "");
  Start();
  ASSERT_TRUE(WaitUntil([&] { return OnDisk(".prog").size() <= 1 && !Exists(empty); }));
  ASSERT_TRUE(WaitUntil([&] { return manager_->Stats().recovered_files == 1; }));
  Drain();
  ExpectJournalArrives("dead");
  EXPECT_EQ(OnDisk(), std::vector<std::string>{});
  EXPECT_TRUE(WaitForLog("bytes were no whole record"));
  EXPECT_EQ(manager_->Stats().salvage.unfinished_records, 1U);
  EXPECT_TRUE(WaitForLog("left without a record by a process that ended"));
}

TEST_F(LeftBehindTest, WhatALivingProcessHasOpenIsLeftAlone) {
  StartRobot("alive");
  const std::string path = OpenFileOf("alive");
  // Nobody's, so that recovery has something to show.
  const std::string empty = DirectoryOf("alive") + "/2026-01-02T03_04_05.000006Z.prog";
  WriteFile(empty, "");
  Start();
  ASSERT_TRUE(WaitUntil([&] { return !Exists(empty); }));
  ASSERT_TRUE(WaitForMore("own", 10));
  ASSERT_TRUE(IsOk(manager_->Sync()));
  ASSERT_TRUE(WaitForJournal("alive", Journalled("alive").size() + 10));
  EXPECT_EQ(OpenFileOf("alive"), path);
  EXPECT_TRUE(robot_->Running());
  EXPECT_EQ(manager_->Stats().recovered_files, 0U);
  EXPECT_EQ(CountFrom("alive"), 0);

  // Once it is dead, the next start sees to it.
  robot_->Kill();
  MakeManager();
  ASSERT_TRUE(IsOk(Reconfigure()));
  ASSERT_TRUE(WaitUntil([&] { return manager_->Stats().recovered_files == 1; }));
  Drain();
  ExpectJournalArrives("alive");
  ExpectArrivedOnce("own");
  EXPECT_EQ(OnDisk(), std::vector<std::string>{});
}

}  // namespace
}  // namespace datamanager::testing
