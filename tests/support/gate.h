// Holds threads where a test wants them.
#ifndef DATAMANAGER_TESTS_SUPPORT_GATE_H_
#define DATAMANAGER_TESTS_SUPPORT_GATE_H_

#include <condition_variable>
#include <mutex>

namespace datamanager::testing {

// Whoever passes a closed gate waits until it is opened. Thread-safe.
class Gate {
 public:
  void Close() {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void Pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.wait(lock, [this] { return open_; });
    --waiting_;
  }
  // How many threads wait at this moment.
  int waiting() const {
    const std::lock_guard lock(mutex_);
    return open_ ? 0 : waiting_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int waiting_ = 0;
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_GATE_H_
