// A wait that ends at an instant or when it is woken.
#ifndef DATAMANAGER_SRC_BASE_WAKER_H_
#define DATAMANAGER_SRC_BASE_WAKER_H_

#include <atomic>
#include <cstdint>

#include "datamanager/clock.h"

namespace datamanager {

// One thread waits, any thread wakes it; a wake-up is kept until it is waited for. Waiting is a
// futex with an absolute deadline, which costs what clock_nanosleep does; a condition variable
// costs a tenth more CPU at high rates.
class Waker {
 public:
  // Makes this and every later WaitUntil return at once.
  void Wake();
  // False once woken; true at the deadline.
  bool WaitUntil(MonotonicTime deadline);

 private:
  std::atomic<uint32_t> woken_{0};
};

// Lets the calling thread's waits end on time: by default the kernel may add 50 us.
void UseFinestTimers();

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_WAKER_H_
