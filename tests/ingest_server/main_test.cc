// The program: what it prints, and how it ends.
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <regex>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "tests/support/temp_dir.h"

namespace ingest {
namespace {

// The program under way, with its two outputs in one pipe.
class Program {
 public:
  explicit Program(std::vector<std::string> arguments) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    output_ = fdopen(ends[0], "r");
    const datamanager::UniqueFd theirs(ends[1]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    arguments.insert(arguments.begin(), INGEST_SERVER_PATH);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    EXPECT_EQ(posix_spawn(&pid_, INGEST_SERVER_PATH, &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
  }
  ~Program() { fclose(output_); }

  std::string ReadLine() {
    char line[4096];
    return fgets(line, sizeof(line), output_) == nullptr ? "" : line;
  }

  void Signal(int signal) { kill(pid_, signal); }

  // Waits for its end; yields the exit code, or -1 if it ended otherwise.
  int ExitCode() {
    std::string line;
    while (!(line = ReadLine()).empty()) rest_ += line;
    int status = 0;
    waitpid(pid_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  // What it had to say that was not read.
  const std::string& rest() const { return rest_; }

 private:
  pid_t pid_ = -1;
  FILE* output_ = nullptr;
  std::string rest_;
};

class MainTest : public ::testing::TestWithParam<int> {
 protected:
  std::string Store() const { return temp_.path() + "/store"; }

  const datamanager::testing::TempDir temp_;
};

TEST_P(MainTest, PrintsItsPortAndEndsCleanlyOnASignal) {
  Program program({"--listen", "127.0.0.1:0", "--store", Store(), "--print-port"});
  const std::string line = program.ReadLine();
  EXPECT_TRUE(std::regex_match(line, std::regex("[0-9]+\n"))) << line;
  program.Signal(GetParam());
  EXPECT_EQ(program.ExitCode(), 0) << program.rest();
  EXPECT_TRUE(program.rest().ends_with("ingest_server: stopped\n")) << program.rest();
}
INSTANTIATE_TEST_SUITE_P(Signals, MainTest, ::testing::Values(SIGTERM, SIGINT));

TEST_F(MainTest, HelpIsNoError) {
  Program program({"--help"});
  EXPECT_EQ(program.ExitCode(), 0);
  EXPECT_PRED_FORMAT2(::testing::IsSubstring, "Usage: ingest_server --listen ADDR --store DIR",
                      program.rest());
}

TEST_F(MainTest, WrongFlagsAreExitCode2) {
  Program program({"--listen", "127.0.0.1:0", "--store", Store(), "--fail", "stal=0.1"});
  EXPECT_EQ(program.ExitCode(), 2);
  EXPECT_EQ(
      program.rest(),
      "ingest_server: --fail: \"stal=0.1\": there is no fault \"stal\"; did you mean \"stall\"?\n"
      "Try ingest_server --help.\n");
}

TEST_F(MainTest, PortInUseIsExitCode1) {
  Program first({"--listen", "127.0.0.1:0", "--store", Store(), "--print-port"});
  std::string address = "127.0.0.1:" + first.ReadLine();
  address.pop_back();
  Program second({"--listen", address, "--store", Store()});
  EXPECT_EQ(second.ExitCode(), 1);
  EXPECT_EQ(second.rest(), "ingest_server: listen on " + address + ": Address already in use\n");
  first.Signal(SIGTERM);
  EXPECT_EQ(first.ExitCode(), 0);
}

TEST_F(MainTest, UnusableStoreIsExitCode1) {
  Program program({"--listen", "127.0.0.1:0", "--store", "/proc/store"});
  EXPECT_EQ(program.ExitCode(), 1);
  EXPECT_PRED_FORMAT2(::testing::IsSubstring,
                      "ingest_server: create directory /proc/store: ", program.rest());
}

}  // namespace
}  // namespace ingest
