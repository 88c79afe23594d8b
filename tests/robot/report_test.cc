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
using datamanager::PauseReason;
using datamanager::PauseState;
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
                       .bytes = 9000,
                       .achieved_hz = 9.75,
                       .lateness = {.p50 = std::chrono::nanoseconds(12340),
                                    .p99 = std::chrono::microseconds(80),
                                    .max = std::chrono::milliseconds(2)},
                       .source_time = {.p50 = std::chrono::nanoseconds(500),
                                       .p99 = std::chrono::microseconds(1),
                                       .max = std::chrono::microseconds(3)}},
                      {.api = "rdk:component:camera",
                       .name = "cam",
                       .method = "GetImages",
                       .state = CollectorState::kRefused,
                       .reason = "no \"cam\" here"}};
  stats.sync.tabular = {.files = 2, .bytes = 600, .retries = 1};
  stats.sync.binary = {.files = 1, .bytes = 1000, .refused = 3, .retries = 1};
  stats.disk.directories = {{.failed = {.files = 3},
                             .volume_bytes = 1000,
                             .volume_available_bytes = 10,
                             .volume_inodes = 400,
                             .volume_available_inodes = 20},
                            {.failed = {.files = 4}}};
  stats.disk.evicted_by_limit = {.bytes = 1, .inodes = 2, .quota = 6};
  stats.disk.retention_passes = 5;
  stats.disk.fruitless_passes = 1;
  stats.disk.evicted.files = 8;
  stats.disk.evicted_failed.files = 1;
  stats.sync.blocked_files = 5;
  stats.connection.state = ConnectionState::kHealthy;
  return stats;
}

TEST(StatusLineTest, SumsOverCollectorsAndKinds) {
  EXPECT_EQ(StatusLine(duration<double>(12.04), SomeStats(), {.files = 3, .bytes = 4096}),
            "status t=12.0s captured=117 records=117 bytes=9000 missed=2 failed=1 waiting_files=3 "
            "waiting_bytes=4096 blocked_files=5 uploaded_files=3 uploaded_bytes=1600 retries=2 "
            "set_aside_files=7 evicted_files=9 connection=healthy");
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
            "timing    rdk:component:sensor cpu Readings  achieved_hz=9.750 "
            "late_us=p50:12.3,p99:80.0,max:2000.0 source_us=p50:0.5,p99:1.0,max:3.0\n"
            "total due=120     captured=117     missed=2     failed=1     records=117     "
            "bytes=9000       uploaded_files=3 uploaded_bytes=1600 refused=3 retries=2 "
            "waiting_files=1 waiting_bytes=10 set_aside_files=7 evicted_files=9\n"
            "disk available_bytes=10 of=1000 available_inodes=20 of=400 evicted_for_bytes=1 "
            "evicted_for_inodes=2 evicted_for_quota=6 evicted_for_unknown=0 retention_passes=5 "
            "fruitless_passes=1\n"
            "sync waiting_retries=0 waiting_busy=0 oldest_retry_s=0.0 resent=0 stalled=0 "
            "offline_pauses=0 "
            "refusal_pauses=0 failure_pauses=0 asked_pauses=0 hopeless=0\n"
            "process rss_kb=20000 max_rss_kb=21000 cpu_s=1.25 wall_s=30.00\n");
}

TEST(SummaryTableTest, SaysWhyRecordsWereDropped) {
  ManagerStats stats = SomeStats();
  stats.collectors[0].dropped = {.disk_full = 3, .no_directory = 1};
  stats.collectors[1].dropped = {.disk_full = 2, .io_error = 4, .other = 5};
  const std::string table = SummaryTable(duration<double>(30), stats, {}, {});
  EXPECT_NE(table.find(" state=running dropped=disk_full:3,no_directory:1\n"), std::string::npos)
      << table;
  EXPECT_NE(table.find("evicted_files=9 dropped=disk_full:5,io_error:4,no_directory:1,other:5\n"),
            std::string::npos)
      << table;
  EXPECT_TRUE(StatusLine(duration<double>(0), stats, {})
                  .ends_with(" dropped=disk_full:5,io_error:4,no_directory:1,other:5"));
}

TEST(SummaryTableTest, CountsTheTicksWithoutData) {
  ManagerStats stats = SomeStats();
  stats.collectors[0].no_data = 5;
  const std::string table = SummaryTable(duration<double>(30), stats, {}, {});
  EXPECT_NE(table.find(" state=running no_data=5\n"), std::string::npos) << table;
}

TEST(SummaryTableTest, NamesWhatIsHeldUpAndWhy) {
  using std::chrono::milliseconds;
  ManagerStats stats;
  stats.sync.waiting_retries = 9;
  stats.sync.waiting_busy = 2;
  stats.sync.resent = 4;
  stats.sync.stalled = 3;
  stats.sync.offline_pauses = 2;
  stats.sync.refusal_pauses = 1;
  stats.sync.failure_pauses = 4;
  stats.sync.asked_pauses = 5;
  stats.sync.retries = {.hopeless = 1,
                        .oldest = milliseconds(90500),
                        .most_tried = {{.path = "/data/a b",
                                        .tries = 7,
                                        .failing_for = milliseconds(90500),
                                        .next_due = milliseconds(1200),
                                        .last_error = "busy \"now\"",
                                        .advice = "look"}}};
  stats.sync.paused = {
      {.reason = PauseReason::kRefused,
       .failures = 22,
       .refused = 21,
       .next_try = milliseconds(60000),
       .last_error = "no"},
      {.directory = "/data", .state = PauseState::kProbeDue, .failures = 20, .last_error = "no"}};
  const std::string table = SummaryTable(duration<double>(30), stats, {}, {});
  EXPECT_NE(
      table.find("sync waiting_retries=9 waiting_busy=2 oldest_retry_s=90.5 resent=4 stalled=3 "
                 "offline_pauses=2 refusal_pauses=1 failure_pauses=4 asked_pauses=5 hopeless=1\n"
                 "retry tries=7 failing_s=90.5 next_s=1.2 path=\"/data/a b\" "
                 "error=\"busy \\\"now\\\"\" advice=\"look\"\n"
                 "paused reason=refused state=paused failures=22 refused=21 next_s=60.0 "
                 "directory=all error=\"no\"\n"
                 "paused reason=failed state=probe_due failures=20 refused=0 next_s=0.0 "
                 "directory=\"/data\" error=\"no\"\n"
                 "process "),
      std::string::npos)
      << table;
}

TEST(SummaryTableTest, TellsOfTheControlSensor) {
  ManagerStats stats;
  stats.control = {.sensor = "ctl",
                   .answers = 100,
                   .broken_answers = 2,
                   .overrides = 1,
                   .open_sequences = 3,
                   .ended_sequences = 4,
                   .last_error = "no \"x\""};
  stats.sync.sequences.files = 2;
  const std::string table = SummaryTable(duration<double>(30), stats, {}, {});
  EXPECT_NE(table.find("control sensor=ctl answers=100 broken_answers=2 overrides=1 "
                       "open_sequences=3 ended_sequences=4 refused_sequences=0 lost_sequences=0 "
                       "failed_writes=0 uploaded_sequences=2 "
                       "error=\"no \\\"x\\\"\"\n"),
            std::string::npos)
      << table;
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
