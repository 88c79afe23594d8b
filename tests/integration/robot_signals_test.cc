// The robot ends when it gets a signal, in whatever wait it is.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/files.h"
#include "tests/support/sanitizers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::testing {
namespace {

class RobotSignalsTest : public ::testing::Test {
 protected:
  ~RobotSignalsTest() override {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    for (const int fd : {pipe_[0], pipe_[1], writer_}) {
      if (fd >= 0) ::close(fd);
    }
  }

  std::string Path(const std::string& name) const { return temp_.path() + "/" + name; }
  std::string Machine() const {
    return absl::StrCat(
        R"({"components": [{"name": "count", "api": "rdk:component:sensor", "model": "counter",)",
        R"("attributes": {"journal": ")", Path("journal"),
        R"("}, "service_configs": [{"type": "data_manager", "attributes": {"capture_methods": [)",
        R"({"method": "Readings", "capture_frequency_hz": 200}]}}]}], "services": [{"name": "data",)",
        R"("api": "rdk:service:data_manager", "model": "rdk:builtin:builtin",)",
        R"("attributes": {"capture_dir": ")", Path("capture"), R"("}}]})");
  }
  // Both outputs go to the descriptor.
  void Run(int output, std::vector<std::string> further = {}) {
    std::vector<std::string> command = {ROBOT_PATH, "--config", Path("robot.json")};
    command.insert(command.end(), further.begin(), further.end());
    std::vector<char*> arguments;
    for (std::string& argument : command) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    ASSERT_EQ(posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
  }
  void RunQuietly() {
    const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ASSERT_NO_FATAL_FAILURE(Run(null));
    ::close(null);
  }
  // A pipe that is full.
  int FullPipe() {
    EXPECT_EQ(::pipe2(pipe_, O_CLOEXEC | O_NONBLOCK), 0);
    const std::string block(4096, 'x');
    while (::write(pipe_[1], block.data(), block.size()) > 0) {
    }
    ::fcntl(pipe_[1], F_SETFL, 0);
    return pipe_[1];
  }
  // The robot has opened the FIFO, and waits for data that never comes.
  bool WaitUntilItReads(const std::string& fifo) {
    return WaitUntil([&] {
      writer_ = ::open(fifo.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
      return writer_ >= 0;
    });
  }
  bool WaitForRecords() const {
    const size_t before = ReadFile(Path("journal")).size();
    return WaitUntil([&] { return ReadFile(Path("journal")).size() > before + 100; });
  }
  // The wait status after `signal`, or none.
  std::optional<int> EndBy(int signal) {
    ::kill(pid_, signal);
    int status = 0;
    if (!WaitUntil([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; })) return std::nullopt;
    pid_ = -1;
    return status;
  }
  void ExpectAllIsPublished() const {
    EXPECT_FALSE(FilesBelow(Path("capture"), ".capture").empty());
    EXPECT_TRUE(FilesBelow(Path("capture"), ".prog").empty());
  }

  const TempDir temp_;
  pid_t pid_ = -1;
  int pipe_[2] = {-1, -1};
  int writer_ = -1;
};

TEST_F(RobotSignalsTest, EndsWhileItsConfigIsAFifoThatNobodyWrites) {
  for (const int signal : {SIGTERM, SIGINT}) {
    ::unlink(Path("robot.json").c_str());
    ASSERT_EQ(::mkfifo(Path("robot.json").c_str(), 0600), 0);
    RunQuietly();
    ASSERT_TRUE(WaitUntilItReads(Path("robot.json")));
    EXPECT_EQ(EndBy(signal), 0);
    ::close(std::exchange(writer_, -1));
  }
}

TEST_F(RobotSignalsTest, EndsWhileItReloadsAConfigThatIsAFifo) {
  WriteFile(Path("robot.json"), Machine());
  RunQuietly();
  ASSERT_TRUE(WaitForRecords());
  ::unlink(Path("robot.json").c_str());
  ASSERT_EQ(::mkfifo(Path("robot.json").c_str(), 0600), 0);
  ::kill(pid_, SIGHUP);
  ASSERT_TRUE(WaitUntilItReads(Path("robot.json")));
  EXPECT_TRUE(WaitForRecords()) << "capture goes on";
  EXPECT_EQ(EndBy(SIGTERM), 0);
  ExpectAllIsPublished();
}

TEST_F(RobotSignalsTest, AConfigMayComeThroughAFifo) {
  ASSERT_EQ(::mkfifo(Path("robot.json").c_str(), 0600), 0);
  RunQuietly();
  WriteFile(Path("robot.json"), Machine());
  ASSERT_TRUE(WaitForRecords());
  EXPECT_EQ(EndBy(SIGTERM), 0);
  ExpectAllIsPublished();
}

TEST_F(RobotSignalsTest, EndsWhileNobodyReadsWhatItPrints) {
  if (testing::kPutsSignalsOff) GTEST_SKIP() << "the sanitizer puts the signal off";
  WriteFile(Path("robot.json"), Machine());
  ASSERT_NO_FATAL_FAILURE(Run(FullPipe(), {"--status-every", "10ms"}));
  ASSERT_TRUE(WaitForRecords());
  EXPECT_EQ(EndBy(SIGTERM), 0);
  ExpectAllIsPublished();
}

TEST_F(RobotSignalsTest, AFaultThatNobodyReadsEndsItAllTheSame) {
  WriteFile(Path("robot.json"), "[]");
  ASSERT_NO_FATAL_FAILURE(Run(FullPipe()));
  const std::optional<int> status = EndBy(SIGCONT);
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(WEXITSTATUS(*status), 2);
}

TEST_F(RobotSignalsTest, EndsFromTheFirstInstantOn) {
  WriteFile(Path("robot.json"), Machine());
  for (int i = 0; i < 20; ++i) {
    RunQuietly();
    // Delays the signal by the time that reading a file that often takes.
    for (int j = 0; j < i * i; ++j) ReadFile(Path("robot.json"));
    const std::optional<int> status = EndBy(SIGTERM);
    ASSERT_TRUE(status.has_value());
    // The signal itself ends the program if it comes before the program has begun.
    EXPECT_TRUE(*status == 0 || (WIFSIGNALED(*status) && WTERMSIG(*status) == SIGTERM)) << *status;
  }
}

}  // namespace
}  // namespace datamanager::testing
