// Standard output and error, for programs that must go on when nobody reads these.
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

// One output, written by a thread of its own: a pipe that is full holds up that thread, never the
// program. What waits is bounded; beyond, lines are dropped and their number is printed later.
// Thread-safe. The thread has all signals blocked.
class Console {
 public:
  // Writes to the descriptor `fd`, which stays open. Without a thread to have, Print writes itself.
  explicit Console(int fd);
  // Leaves a thread that hangs alone. Call Finish first to have everything printed.
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  // Prints `text` after all that was to be printed before. Does not block.
  void Print(std::string text);
  // Has `print` called in its turn: for what does not go through this.
  void Do(std::function<void()> print);

  // Waits until everything is printed, at most for `limit`. False: something still waits.
  bool Finish(std::chrono::milliseconds limit);

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::function<void()>> queue;  // The one that is being printed included.
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
