// Signals as messages to the main thread.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_SIGNALS_H_
#define DATAMANAGER_EXAMPLES_ROBOT_SIGNALS_H_

#include <pthread.h>
#include <signal.h>

#include <chrono>

namespace robot {

// Blocks SIGTERM, SIGINT, SIGHUP, SIGUSR2 and kWake in the thread that makes it and in those made
// after, and hands them to whoever waits here. Make it before any other thread.
class Signals {
 public:
  // Sent by a thread of the robot to the waiting one.
  static constexpr int kWake = SIGUSR1;

  Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  // The next signal, or 0 if none comes by `deadline`. Called by the thread that made this.
  int WaitUntil(std::chrono::steady_clock::time_point deadline);
  // Makes WaitUntil return kWake. Any thread.
  void Wake() { Send(kWake); }
  // Makes WaitUntil return `number`, one of those above. Any thread.
  void Send(int number) { ::pthread_kill(waiting_thread_, number); }

 private:
  const pthread_t waiting_thread_;
  sigset_t set_;
};

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_SIGNALS_H_
