// Several processes on one capture directory, and one collector's files all in one place: two of
// ours, and one that takes no lock and knows nothing of ours, as a running viam-server.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/logger.h"
#include "capture/keeper.h"
#include "tests/capture/captured.h"
#include "tests/support/log_capture.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::capture {
namespace {

using testing::CapturedFile;
using testing::FilesBelow;
using testing::LoadPublished;
using testing::LogCapture;
using testing::Numbers;
using testing::PatienceEnds;
using testing::Process;
using testing::TempDir;
using testing::WaitUntil;

class ProcessesTest : public ::testing::Test {
 protected:
  ProcessesTest() {
    logger_ = *Logger::Create(log_.sink());
    // Looks at everything, over and over, like the start of one more process.
    keeper_ =
        *Keeper::Start({.logger = logger_, .recovery_interval = std::chrono::milliseconds(1)});
  }
  ~ProcessesTest() override { keeper_->Close(PatienceEnds()); }

  Process& Start(const std::string& kind, int run) {
    processes_[run] = std::make_unique<Process>(
        std::vector<std::string>{CAPTURE_PROCESS_PATH, kind, directory_, std::to_string(run)},
        OutputOf(run));
    return *processes_[run];
  }
  std::string OutputOf(int run) const { return temp_.path() + "/out" + std::to_string(run); }
  // How many records that run says are written.
  int Told(int run) const {
    std::istringstream lines(testing::ReadFile(OutputOf(run)));
    int count = 0;
    for (std::string line; std::getline(lines, line);) {
      // Else it is a message.
      if (line == std::to_string(count)) ++count;
    }
    return count;
  }
  bool WaitForTold(int run, int more) const {
    const int target = Told(run) + more;
    return WaitUntil([&] { return Told(run) >= target; });
  }
  void End(int run) {
    processes_[run]->Signal(SIGTERM);
    EXPECT_EQ(processes_[run]->ExitCode(), 0) << processes_[run]->Output();
  }
  // Every file is of one run, with its records in a row. Each run's are there once, from 0 on, and
  // at least those it told of; at most one more, which was in flight.
  void ExpectEachRunWhole() {
    std::map<int, std::vector<int>> records;
    for (const CapturedFile& file : LoadPublished(directory_)) {
      EXPECT_TRUE(file.whole) << file.path;
      const std::vector<int> runs = Numbers({file}, "run");
      const std::vector<int> numbers = Numbers({file}, "seq");
      ASSERT_FALSE(runs.empty()) << file.path;
      EXPECT_EQ(std::set<int>(runs.begin(), runs.end()).size(), 1U) << file.path << " is merged";
      for (size_t i = 0; i < numbers.size(); ++i) EXPECT_EQ(numbers[i], numbers[0] + int(i));
      records[runs[0]].insert(records[runs[0]].end(), numbers.begin(), numbers.end());
    }
    for (const auto& [run, process] : processes_) {
      std::vector<int>& numbers = records[run];
      std::sort(numbers.begin(), numbers.end());
      for (size_t i = 0; i < numbers.size(); ++i) ASSERT_EQ(numbers[i], int(i)) << "run " << run;
      EXPECT_GE(static_cast<int>(numbers.size()), Told(run)) << "run " << run;
      EXPECT_LE(static_cast<int>(numbers.size()), Told(run) + 1) << "run " << run;
    }
    EXPECT_TRUE(FilesBelow(directory_, ".prog").empty());
  }

  const TempDir temp_{testing::DiskDirectory()};
  const std::string directory_ = temp_.path() + "/capture";
  LogCapture log_;
  std::shared_ptr<Logger> logger_;
  std::unique_ptr<Keeper> keeper_;
  std::map<int, std::unique_ptr<Process>> processes_;
};

TEST_F(ProcessesTest, ShareADirectoryWithoutStealingLosingOrMerging) {
  Start("ours", 1);
  Start("ours", 2);
  Start("foreign", 3);
  keeper_->Recover(directory_);
  for (const int run : {1, 2, 3}) ASSERT_TRUE(WaitForTold(run, 60)) << run;
  for (const int run : {1, 2, 3}) End(run);
  // A new file whose lock recovery held for an instant is left to it, empty.
  keeper_->Recover(directory_);
  EXPECT_TRUE(WaitUntil([&] { return FilesBelow(directory_, ".prog").empty(); }));
  EXPECT_EQ(keeper_->counters().recovered.load(), 0U) << "nobody has died";
  ExpectEachRunWhole();
}

TEST_F(ProcessesTest, OnlyTheFilesOfTheDeadAreTaken) {
  Start("ours", 1);
  Start("foreign", 2);
  for (int run = 3; run <= 5; ++run) {
    Process& victim = Start("ours", run);
    ASSERT_TRUE(WaitForTold(run, 20));
    keeper_->Recover(directory_);
    ASSERT_TRUE(WaitForTold(1, 10));
    victim.Kill();
  }
  ASSERT_TRUE(WaitForTold(1, 20));
  ASSERT_TRUE(WaitForTold(2, 20));
  End(1);
  End(2);
  keeper_->Recover(directory_);
  EXPECT_TRUE(WaitUntil([&] { return FilesBelow(directory_, ".prog").empty(); }));
  EXPECT_FALSE(processes_[1]->Said("publish")) << "somebody took a living process's file:\n"
                                               << processes_[1]->Output();
  ExpectEachRunWhole();
}

}  // namespace
}  // namespace datamanager::capture
