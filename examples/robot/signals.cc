#include "robot/signals.h"

#include <algorithm>
#include <ctime>

namespace robot {

Signals::Signals() : waiting_thread_(::pthread_self()) {
  ::sigemptyset(&set_);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR2, kWake}) ::sigaddset(&set_, number);
  ::pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  // Capture continues when the reader of our output goes away, and when a log file has its largest
  // size.
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
}

int Signals::WaitUntil(std::chrono::steady_clock::time_point deadline) {
  using std::chrono::nanoseconds;
  while (true) {
    // An hour at a time, since time_point::max() is a deadline too.
    const auto now = std::chrono::steady_clock::now();
    const nanoseconds wait =
        std::clamp<nanoseconds>(deadline - now, nanoseconds(0), std::chrono::hours(1));
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(wait);
    const timespec timeout = {static_cast<time_t>(seconds.count()),
                              static_cast<decltype(timespec::tv_nsec)>((wait - seconds).count())};
    const int number = ::sigtimedwait(&set_, nullptr, &timeout);
    if (number > 0) return number;
    if (std::chrono::steady_clock::now() >= deadline) return 0;
  }
}

}  // namespace robot
