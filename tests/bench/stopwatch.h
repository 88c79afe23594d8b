// Time and CPU time from an instant on.
#ifndef DATAMANAGER_TESTS_BENCH_STOPWATCH_H_
#define DATAMANAGER_TESTS_BENCH_STOPWATCH_H_

#include <ctime>

namespace datamanager::bench {

class Stopwatch {
 public:
  double Seconds() const { return Now(CLOCK_MONOTONIC) - begin_; }
  // Of the calling thread, which must be the one that made this.
  double CpuSeconds() const { return Now(CLOCK_THREAD_CPUTIME_ID) - thread_begin_; }
  // Of the whole process.
  double ProcessCpuSeconds() const { return Now(CLOCK_PROCESS_CPUTIME_ID) - process_begin_; }

 private:
  static double Now(clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  }

  const double begin_ = Now(CLOCK_MONOTONIC);
  const double thread_begin_ = Now(CLOCK_THREAD_CPUTIME_ID);
  const double process_begin_ = Now(CLOCK_PROCESS_CPUTIME_ID);
};

}  // namespace datamanager::bench

#endif  // DATAMANAGER_TESTS_BENCH_STOPWATCH_H_
