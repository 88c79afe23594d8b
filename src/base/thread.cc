#include "base/thread.h"

#include <csignal>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"

namespace datamanager {

struct Thread::State {
  pthread_t handle{};
  std::function<void()> body;
  Mutex mutex;
  CondVar changed;
  bool finished DM_GUARDED_BY(mutex) = false;

  static void* Run(void* argument) {
    const std::unique_ptr<std::shared_ptr<State>> state(
        static_cast<std::shared_ptr<State>*>(argument));
    (*state)->body();
    (*state)->body = nullptr;
    MutexLock lock((*state)->mutex);
    (*state)->finished = true;
    (*state)->changed.NotifyAll();
    return nullptr;
  }
};

absl::StatusOr<Thread> Thread::Start(const std::string& name, size_t stack_bytes,
                                     std::function<void()> body) {
  auto state = std::make_shared<State>();
  state->body = std::move(body);

  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  if (stack_bytes != kSystemStackBytes) pthread_attr_setstacksize(&attributes, stack_bytes);
  const sched_param priority{};
  pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
  pthread_attr_setschedpolicy(&attributes, SCHED_OTHER);
  pthread_attr_setschedparam(&attributes, &priority);

  // A new thread has its starter's signal mask from its first instruction on.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  auto argument = std::make_unique<std::shared_ptr<State>>(state);
  const int error = pthread_create(&state->handle, &attributes, &State::Run, argument.get());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (error != 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot start thread ", name, ": ", strerror(error)));
  }
  argument.release();  // The thread's.
  pthread_setname_np(state->handle, name.substr(0, 15).c_str());
  return Thread(std::move(state));
}

Thread& Thread::operator=(Thread&& other) noexcept {
  if (this != &other) {
    Detach();
    state_ = std::move(other.state_);
  }
  return *this;
}

Thread::~Thread() { Detach(); }

void Thread::Join() {
  if (state_ == nullptr) return;
  pthread_join(state_->handle, nullptr);
  state_.reset();
}

bool Thread::JoinUntil(MonotonicTime deadline) {
  if (state_ == nullptr) return true;
  {
    State& state = *state_;
    MutexLock lock(state.mutex);
    const bool finished = state.changed.WaitUntil(state.mutex, deadline, [&state] {
      state.mutex.AssertHeld();
      return state.finished;
    });
    if (!finished) return false;
  }
  Join();
  return true;
}

void Thread::Detach() {
  if (state_ == nullptr) return;
  pthread_detach(state_->handle);
  state_.reset();
}

}  // namespace datamanager
