// Runs tests that change the process in a child.
#ifndef DATAMANAGER_TESTS_SUPPORT_RUN_IN_CHILD_H_
#define DATAMANAGER_TESTS_SUPPORT_RUN_IN_CHILD_H_

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include "absl/strings/str_cat.h"

namespace datamanager::testing {

// Runs `body`, which returns whether it succeeded, in a forked child. The calling process should
// have no other threads.
template <typename Body>
::testing::AssertionResult RunInChild(const Body& body) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);  // Ends a child that hangs.
    const bool well = body() && !::testing::Test::HasFailure();
    std::fflush(nullptr);
    ::_exit(well ? 0 : 1);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) {
    return ::testing::AssertionFailure() << "there is no child";
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure()
         << (WIFSIGNALED(status) ? absl::StrCat("the child died of signal ", WTERMSIG(status))
                                 : std::string("the child failed"));
}

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_RUN_IN_CHILD_H_
