// Standard output and error, for programs that must keep running when these have no reader.
#ifndef DATAMANAGER_EXAMPLES_CONSOLE_CONSOLE_H_
#define DATAMANAGER_EXAMPLES_CONSOLE_CONSOLE_H_

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

namespace console {

// One output, written by a thread of its own: a full pipe holds up that thread, never the program.
// The queue is bounded; when it is full, lines are dropped and their number is printed later.
// Thread-safe. The thread has all signals blocked.
class Console {
 public:
  // Writes to the descriptor `fd`, which stays open. If no thread can be started, Print writes
  // itself.
  explicit Console(int fd);
  // Does not wait for a thread that hangs. Call Finish first to have everything printed.
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  // Prints `text` after everything that was queued before. Does not block.
  void Print(std::string text);
  // Calls `print` in its turn, for output that is not written by Print.
  void Do(std::function<void()> print);

  // Waits until everything is printed, at most for `limit`. False: something still waits.
  bool Finish(std::chrono::milliseconds limit);

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::function<void()>> queue;  // Includes the one that is being printed.
    size_t dropped = 0;
    bool closed = false;
  };
  static void Run(State& state, int fd);

  const int fd_;
  const std::shared_ptr<State> state_ = std::make_shared<State>();  // Co-owned by the thread.
  bool has_thread_ = false;
};

}  // namespace console

#endif  // DATAMANAGER_EXAMPLES_CONSOLE_CONSOLE_H_
