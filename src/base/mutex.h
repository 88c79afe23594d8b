// std::mutex and a condition variable with clang's thread-safety annotations. The standard ones lie
// underneath so that ThreadSanitizer sees every lock.
#ifndef DATAMANAGER_SRC_BASE_MUTEX_H_
#define DATAMANAGER_SRC_BASE_MUTEX_H_

#include <condition_variable>
#include <mutex>
#include <stop_token>

#include "datamanager/clock.h"

#if defined(__clang__)
#define DM_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define DM_THREAD_ANNOTATION(x)
#endif

#define DM_GUARDED_BY(x) DM_THREAD_ANNOTATION(guarded_by(x))
#define DM_REQUIRES(...) DM_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define DM_EXCLUDES(...) DM_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))

namespace datamanager {

class DM_THREAD_ANNOTATION(capability("mutex")) Mutex {
 public:
  void lock() DM_THREAD_ANNOTATION(acquire_capability()) { mutex_.lock(); }
  void unlock() DM_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }
  // Tells the analysis, inside a predicate, that the waiting function holds the lock.
  void AssertHeld() const DM_THREAD_ANNOTATION(assert_capability(this)) {}

 private:
  std::mutex mutex_;
};

class DM_THREAD_ANNOTATION(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) DM_THREAD_ANNOTATION(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() DM_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits for a predicate, which is called with the lock held. Each returns the predicate's last
// answer: false means that the deadline passed or that a stop was requested first.
class CondVar {
 public:
  template <typename Predicate>
  void Wait(Mutex& mutex, Predicate predicate) DM_REQUIRES(mutex) {
    condition_.wait(mutex, predicate);
  }
  template <typename Predicate>
  bool Wait(Mutex& mutex, std::stop_token stop, Predicate predicate) DM_REQUIRES(mutex) {
    return condition_.wait(mutex, stop, predicate);
  }
  template <typename Predicate>
  bool WaitUntil(Mutex& mutex, MonotonicTime deadline, Predicate predicate) DM_REQUIRES(mutex) {
    return condition_.wait_until(mutex, deadline, predicate);
  }
  template <typename Predicate>
  bool WaitUntil(Mutex& mutex, std::stop_token stop, MonotonicTime deadline, Predicate predicate)
      DM_REQUIRES(mutex) {
    return condition_.wait_until(mutex, stop, deadline, predicate);
  }
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable_any condition_;
};

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_MUTEX_H_
