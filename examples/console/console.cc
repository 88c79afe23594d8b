#include "console/console.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

namespace console {
namespace {

constexpr size_t kMostWaiting = 1024;

// Ignores what cannot be written: the output has no reader then.
void Write(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    text.remove_prefix(static_cast<size_t>(count));
  }
}

}  // namespace

Console::Console(int fd) : fd_(fd) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread([state = state_, fd] { Run(*state, fd); }).detach();
    has_thread_ = true;
  } catch (const std::system_error&) {
    // Without a thread, Print writes itself: the process may be at its limit of threads.
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Console::~Console() {
  const std::lock_guard lock(state_->mutex);
  state_->closed = true;
  state_->changed.notify_all();
}

void Console::Run(State& state, int fd) {
  std::unique_lock lock(state.mutex);
  while (true) {
    state.changed.wait(lock, [&state] { return state.closed || !state.queue.empty(); });
    if (state.queue.empty()) return;
    const std::function<void()> print = std::move(state.queue.front());
    const size_t dropped = std::exchange(state.dropped, 0);
    lock.unlock();
    print();
    if (dropped > 0) {
      Write(fd, "dropped " + std::to_string(dropped) +
                    " lines: the reader of this output is too slow\n");
    }
    lock.lock();
    state.queue.pop_front();
    state.changed.notify_all();
  }
}

void Console::Print(std::string text) {
  Do([fd = fd_, text = std::move(text)] { Write(fd, text); });
}

void Console::Do(std::function<void()> print) {
  if (!has_thread_) {
    print();
    return;
  }
  const std::lock_guard lock(state_->mutex);
  if (state_->queue.size() >= kMostWaiting) {
    ++state_->dropped;
    return;
  }
  state_->queue.push_back(std::move(print));
  state_->changed.notify_all();
}

bool Console::Finish(std::chrono::milliseconds limit) {
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, limit, [this] { return state_->queue.empty(); });
}

}  // namespace console
