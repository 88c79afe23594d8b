// A program that a bench starts, and that ends with it.
#ifndef DATAMANAGER_TESTS_BENCH_CHILD_H_
#define DATAMANAGER_TESTS_BENCH_CHILD_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace datamanager::bench {

// Its standard input is a pipe that ends when this does; what it prints is read by lines. The
// destructor waits for its end. One thread.
class Child {
 public:
  explicit Child(std::vector<std::string> command);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  // Blocks for the next line. Throws Broken if it ends instead.
  std::string ReadLine();
  void WriteLine(const std::string& line);

 private:
  const std::string program_;
  pid_t pid_ = -1;
  UniqueFd in_;
  UniqueFd out_;
};

}  // namespace datamanager::bench

#endif  // DATAMANAGER_TESTS_BENCH_CHILD_H_
