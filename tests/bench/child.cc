#include "tests/bench/child.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/bench/compare.h"

namespace datamanager::bench {

Child::Child(std::vector<std::string> command) : program_(command[0]) {
  int in[2];
  int out[2];
  Require(::pipe2(in, O_CLOEXEC) == 0 && ::pipe2(out, O_CLOEXEC) == 0, "no pipe");
  const UniqueFd child_in(in[0]);
  const UniqueFd child_out(out[1]);
  in_ = UniqueFd(in[1]);
  out_ = UniqueFd(out[0]);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, child_in.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, child_out.get(), STDOUT_FILENO);
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  const int error =
      ::posix_spawn(&pid_, program_.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  Require(error == 0, absl::StrCat("cannot start ", program_));
}

Child::~Child() {
  in_.Reset();
  ::waitpid(pid_, nullptr, 0);
}

std::string Child::ReadLine() {
  std::string line;
  char c = 0;
  while (true) {
    Require(::read(out_.get(), &c, 1) == 1, absl::StrCat(program_, " has ended"));
    if (c == '\n') return line;
    line += c;
  }
}

void Child::WriteLine(const std::string& line) {
  const std::string whole = line + "\n";
  Require(::write(in_.get(), whole.data(), whole.size()) == static_cast<ssize_t>(whole.size()),
          absl::StrCat(program_, " does not listen"));
}

}  // namespace datamanager::bench
