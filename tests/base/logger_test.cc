#include "base/logger.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/callback_scope.h"
#include "tests/support/gate.h"
#include "tests/support/log_capture.h"
#include "tests/support/wait_until.h"

namespace datamanager {
namespace {

using testing::Gate;
using testing::LogCapture;
using testing::WaitUntil;

std::shared_ptr<Logger> MustCreate(LogSink sink) {
  absl::StatusOr<std::shared_ptr<Logger>> logger = Logger::Create(std::move(sink));
  EXPECT_TRUE(logger.ok()) << logger.status();
  return *std::move(logger);
}

TEST(LoggerTest, HandsOverEverythingInOrder) {
  const LogCapture log;
  const std::shared_ptr<Logger> logger = MustCreate(log.sink());
  logger->Debug("one");
  logger->Info("two");
  logger->Warning("three");
  logger->Error("four");
  logger->Close();

  const std::vector<LogEntry> entries = log.entries();
  ASSERT_EQ(entries.size(), 4U);
  EXPECT_EQ(log.Text(), "one\ntwo\nthree\nfour\n");
  EXPECT_EQ(entries[0].level, LogLevel::kDebug);
  EXPECT_EQ(entries[1].level, LogLevel::kInfo);
  EXPECT_EQ(entries[2].level, LogLevel::kWarning);
  EXPECT_EQ(entries[3].level, LogLevel::kError);
  EXPECT_LE(entries[0].time, entries[3].time);
  EXPECT_EQ(logger->dropped(), 0U);
}

// Whose thread has handed over one message and rests.
class RestingLoggerTest : public ::testing::Test {
 protected:
  RestingLoggerTest() {
    logger_->Info("first");
    EXPECT_TRUE(WaitUntil([&] { return log_.Count("first") == 1; }));
  }

  LogCapture log_;
  const std::shared_ptr<Logger> logger_ = *Logger::Create(log_.sink(), std::chrono::hours(1));
};

TEST_F(RestingLoggerTest, AWarningBringsWhatWaitsAtOnce) {
  logger_->Debug("second");
  logger_->Warning("third");
  EXPECT_TRUE(WaitUntil([&] { return log_.Count("third") == 1; }));
  EXPECT_EQ(log_.Text(), "first\nsecond\nthird\n");
}

TEST_F(RestingLoggerTest, ManyMessagesAreHandedOverBeforeTheyAreTooMany) {
  for (int i = 0; i < 600; ++i) logger_->Info("more");
  EXPECT_TRUE(WaitUntil([&] { return log_.Count("more") > 500; }));
  EXPECT_EQ(logger_->dropped(), 0U);
}

TEST_F(RestingLoggerTest, CloseHandsOverWhatWaits) {
  logger_->Info("second");
  logger_->Close();
  EXPECT_EQ(log_.Text(), "first\nsecond\n");
}

TEST(LoggerTest, OutlivesASinkThatThrows) {
  const LogCapture log;
  const std::shared_ptr<Logger> logger = MustCreate([sink = log.sink()](const LogEntry& entry) {
    if (entry.message == "bad") throw 1;
    sink(entry);
  });
  logger->Info("bad");
  logger->Info("good");
  EXPECT_TRUE(WaitUntil([&] { return log.Text() == "good\n"; }));
  logger->Close();
}

TEST(LoggerTest, KeepsEachThreadsOrder) {
  const LogCapture log;
  const std::shared_ptr<Logger> logger = MustCreate(log.sink());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) logger->Info(absl::StrCat("thread ", t, " says ", 1000 + i));
    });
  }
  for (std::thread& thread : threads) thread.join();
  logger->Close();
  std::vector<std::string> last(4);
  for (const LogEntry& entry : log.entries()) {
    std::string& before = last.at(static_cast<size_t>(entry.message[7] - '0'));
    EXPECT_LT(before, entry.message);
    before = entry.message;
  }
  EXPECT_EQ(log.entries().size(), 400U);
}

TEST(LoggerTest, DropsWhatASlowSinkLeavesNoRoomForAndTellsIt) {
  const LogCapture log;
  Gate gate;
  const std::shared_ptr<Logger> logger =
      MustCreate([&gate, keep = log.sink()](const LogEntry& entry) {
        gate.Pass();
        keep(entry);
      });
  gate.Close();
  logger->Info("first");
  ASSERT_TRUE(WaitUntil([&] { return gate.waiting() == 1; }));
  // The first is with the sink; 1,024 have room behind it.
  for (int i = 0; i < 1024 + 10; ++i) logger->Info(absl::StrCat("message ", i));
  EXPECT_EQ(logger->dropped(), 10U);
  gate.Open();
  logger->Close();
  EXPECT_EQ(log.entries().size(), 1 + 1024 + 1U);
  EXPECT_TRUE(log.Has("message 1023"));
  EXPECT_FALSE(log.Has("message 1024"));
  EXPECT_EQ(log.Count("dropped 10 messages", LogLevel::kWarning), 1U) << log.Text();
}

TEST(LoggerTest, DropsAndCountsWhatComesAfterClose) {
  const LogCapture log;
  const std::shared_ptr<Logger> logger = MustCreate(log.sink());
  logger->Close();
  logger->Info("too late");
  logger->Close();
  EXPECT_EQ(logger->dropped(), 1U);
  EXPECT_EQ(log.entries().size(), 0U);
}

TEST(LoggerTest, LeavesAHangingSinkAlone) {
  const auto gate = std::make_shared<Gate>();
  const auto returned = std::make_shared<std::atomic<bool>>(false);
  gate->Close();
  std::shared_ptr<Logger> logger = MustCreate([gate, returned](const LogEntry&) {
    gate->Pass();
    *returned = true;
  });
  logger->Info("hello");
  ASSERT_TRUE(WaitUntil([&] { return gate->waiting() == 1; }));
  const auto start = std::chrono::steady_clock::now();
  logger->Close();
  logger.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  EXPECT_FALSE(*returned);
  gate->Open();
  EXPECT_TRUE(WaitUntil([&] { return returned->load(); }));
}

TEST(LoggerTest, MarksTheSinksThreadAsInsideACallback) {
  std::atomic<bool> inside{false};
  const std::shared_ptr<Logger> logger =
      MustCreate([&inside](const LogEntry&) { inside = CallbackScope::Active(); });
  logger->Info("hello");
  logger->Close();
  EXPECT_TRUE(inside);
  EXPECT_FALSE(CallbackScope::Active());
}

TEST(LoggerTest, LetsTheSinkHoldTheLastReference) {
  const auto gate = std::make_shared<Gate>();
  const auto ended = std::make_shared<std::atomic<bool>>(false);
  const auto holder = std::make_shared<std::shared_ptr<Logger>>();
  gate->Close();
  *holder = MustCreate([gate, ended, holder](const LogEntry&) {
    gate->Pass();
    holder->reset();
    *ended = true;
  });
  (*holder)->Info("hello");
  gate->Open();
  EXPECT_TRUE(WaitUntil([&] { return ended->load(); }));
}

TEST(LoggerTest, WritesToStandardErrorWithoutASink) {
  ::testing::internal::CaptureStderr();
  const std::shared_ptr<Logger> logger = MustCreate({});
  logger->Debug("too much detail");
  logger->Error("the disk is full");
  logger->Close();
  const std::string output = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(output.find("error"), std::string::npos) << output;
  EXPECT_NE(output.find("the disk is full\n"), std::string::npos) << output;
  EXPECT_EQ(output.find("too much detail"), std::string::npos) << output;
}

TEST(LoggerTest, NamesTheLevels) {
  EXPECT_EQ(LogLevelName(LogLevel::kDebug), "debug");
  EXPECT_EQ(LogLevelName(LogLevel::kInfo), "info");
  EXPECT_EQ(LogLevelName(LogLevel::kWarning), "warning");
  EXPECT_EQ(LogLevelName(LogLevel::kError), "error");
}

}  // namespace
}  // namespace datamanager
