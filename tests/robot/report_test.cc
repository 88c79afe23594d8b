#include "robot/report.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/temp_dir.h"

namespace robot {
namespace {

using datamanager::CollectorState;
using datamanager::ConnectionState;
using datamanager::ManagerStats;
using std::chrono::duration;

ManagerStats SomeStats() {
  ManagerStats stats;
  stats.capture_dir = "/var/capture";
  stats.collectors = {{.api = "rdk:component:sensor",
                       .name = "cpu",
                       .method = "Readings",
                       .ticks_due = 120,
                       .captured = 117,
                       .missed = 2,
                       .failed = 1,
                       .records = 117,
                       .bytes = 9000},
                      {.api = "rdk:component:camera",
                       .name = "cam",
                       .method = "GetImages",
                       .state = CollectorState::kRefused,
                       .reason = "no \"cam\" here"}};
  stats.sync.tabular = {.files = 2, .bytes = 600, .retries = 1};
  stats.sync.binary = {.files = 1, .bytes = 1000, .refused = 3, .retries = 1};
  stats.sync.blocked_files = 5;
  stats.connection.state = ConnectionState::kHealthy;
  return stats;
}

TEST(StatusLineTest, SumsOverCollectorsAndKinds) {
  EXPECT_EQ(StatusLine(duration<double>(12.04), SomeStats(), {.files = 3, .bytes = 4096}),
            "status t=12.0s captured=117 records=117 bytes=9000 missed=2 failed=1 waiting_files=3 "
            "waiting_bytes=4096 blocked_files=5 uploaded_files=3 uploaded_bytes=1600 retries=2 "
            "connection=healthy");
}

TEST(StatusLineTest, KeepsEachValueOneWord) {
  const std::string line = StatusLine(duration<double>(0), ManagerStats(), {});
  EXPECT_TRUE(line.ends_with(" connection=not_cloud-managed")) << line;
}

TEST(SummaryTableTest, HasALineForEachCollectorAndTotals) {
  EXPECT_EQ(SummaryTable(duration<double>(30), SomeStats(), {.files = 1, .bytes = 10},
                         {.rss_kb = 20000, .max_rss_kb = 21000, .cpu_s = 1.25}),
            "summary t=30.0s collectors=2 capture_dir=/var/capture\n"
            "collector rdk:component:sensor cpu Readings  due=120     captured=117     missed=2    "
            " failed=1     records=117     bytes=9000       state=running\n"
            "collector rdk:component:camera cam GetImages due=0       captured=0       missed=0    "
            " failed=0     records=0       bytes=0          state=refused "
            "reason=\"no \\\"cam\\\" here\"\n"
            "total due=120     captured=117     missed=2     failed=1     records=117     "
            "bytes=9000       uploaded_files=3 uploaded_bytes=1600 refused=3 retries=2 "
            "waiting_files=1 waiting_bytes=10\n"
            "process rss_kb=20000 max_rss_kb=21000 cpu_s=1.25 wall_s=30.00\n");
}

TEST(CountWaitingFilesTest, CountsPublishedFilesThatWereNotSetAside) {
  const datamanager::testing::TempDir directory;
  const auto write = [&](const std::string& name, size_t size) {
    const std::filesystem::path path = directory.path() + "/" + name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << std::string(size, 'x');
  };
  write("a/cpu/Readings/1.capture", 10);
  write("a/failed/Readings/2.capture", 5);  // A component may have that name.
  write("a/cpu/Readings/3.prog", 100);
  write("failed/a/cpu/Readings/4.capture", 1000);
  write("notes.txt", 10000);
  std::filesystem::create_directory_symlink(directory.path(), directory.path() + "/a/loop");
  const WaitingFiles waiting = CountWaitingFiles(directory.path());
  EXPECT_EQ(waiting.files, 2);
  EXPECT_EQ(waiting.bytes, 15);
}

TEST(CountWaitingFilesTest, FindsNothingWhereThereIsNoDirectory) {
  const datamanager::testing::TempDir directory;
  EXPECT_EQ(CountWaitingFiles(directory.path() + "/gone").files, 0);
}

TEST(ReadProcessUsageTest, TellsOfThisProcess) {
  const ProcessUsage usage = ReadProcessUsage();
  EXPECT_GT(usage.rss_kb, 0);
  EXPECT_GT(usage.max_rss_kb, 0);
  EXPECT_GE(usage.cpu_s, 0);
}

}  // namespace
}  // namespace robot
