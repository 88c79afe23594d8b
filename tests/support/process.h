// A program under way.
#ifndef DATAMANAGER_TESTS_SUPPORT_PROCESS_H_
#define DATAMANAGER_TESTS_SUPPORT_PROCESS_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/support/files.h"
#include "tests/support/wait_until.h"

namespace datamanager::testing {

// Started by the constructor, killed by the destructor if it still runs. One thread.
class Process {
 public:
  // Both outputs go to the file `output`.
  Process(std::vector<std::string> command, std::string output) : output_(std::move(output)) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output_.c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    std::vector<char*> arguments;
    for (std::string& argument : command) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    const int error =
        posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    EXPECT_EQ(error, 0) << "cannot start " << command[0];
    if (error != 0) status_ = -1;
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    if (Running()) Kill();
  }

  void Signal(int signal) const { ::kill(pid_, signal); }
  void Kill() {
    Signal(SIGKILL);
    if (!status_.has_value()) ::waitpid(pid_, &status_.emplace(), 0);
  }
  bool Running() {
    int status = 0;
    if (!status_.has_value() && ::waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
    return !status_.has_value();
  }
  // Waits for its end. -1 if it does not come, or comes by a signal.
  int ExitCode() {
    if (!WaitUntil([this] { return !Running(); })) return -1;
    return WIFEXITED(*status_) ? WEXITSTATUS(*status_) : -1;
  }
  // What it has said so far.
  std::string Output() const { return ReadFile(output_); }
  bool Said(std::string_view text) const { return Output().find(text) != std::string::npos; }

 private:
  const std::string output_;
  pid_t pid_ = -1;
  std::optional<int> status_;
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_PROCESS_H_
