#include "base/thread.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/callback_scope.h"
#include "base/mutex.h"

namespace datamanager {
namespace {

// Returns the bytes that the system uses of each stack: its own minimum and the static thread-local
// storage, which may exceed a small stack. Only glibc knows them, and its function is not declared.
size_t SystemsShare(const pthread_attr_t& attributes) {
  using MinimumStack = size_t (*)(const pthread_attr_t*);
  static const auto minimum_stack =
      reinterpret_cast<MinimumStack>(::dlsym(RTLD_DEFAULT, "__pthread_get_minstack"));
  return minimum_stack != nullptr ? minimum_stack(&attributes)
                                  : static_cast<size_t>(::sysconf(_SC_THREAD_STACK_MIN));
}

void SetStackSize(pthread_attr_t& attributes, size_t stack_bytes) {
  if (stack_bytes == kSystemStackBytes) return;
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t share = SystemsShare(attributes) + page;
  const size_t most = std::numeric_limits<size_t>::max() - share;
  ::pthread_attr_setstacksize(&attributes, (std::min(stack_bytes, most) + share) / page * page);
}

// Returns all signals except those that a thread's own instructions raise.
sigset_t BlockedSignals() {
  sigset_t set;
  sigfillset(&set);
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS}) {
    sigdelset(&set, number);
  }
  return set;
}

// Whether the calling thread already has the default policy. It is then inherited and not set,
// because a sandbox may forbid the call, or kill the process for it.
bool HasDefaultPolicy() {
  int policy = -1;
  sched_param priority{};
  return ::pthread_getschedparam(::pthread_self(), &policy, &priority) == 0 &&
         policy == SCHED_OTHER && priority.sched_priority == 0;
}

}  // namespace

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
    {
      // The body may be the last owner of an embedder's function.
      const CallbackScope scope;
      (*state)->body = nullptr;
    }
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
  SetStackSize(attributes, stack_bytes);
  const sched_param priority{};
  pthread_attr_setinheritsched(&attributes,
                               HasDefaultPolicy() ? PTHREAD_INHERIT_SCHED : PTHREAD_EXPLICIT_SCHED);
  pthread_attr_setschedpolicy(&attributes, SCHED_OTHER);
  pthread_attr_setschedparam(&attributes, &priority);

  // A new thread has its starter's signal mask from its first instruction on.
  auto argument = std::make_unique<std::shared_ptr<State>>(state);
  const sigset_t blocked = BlockedSignals();
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  int error = pthread_create(&state->handle, &attributes, &State::Run, argument.get());
  if (error != 0 && error != EAGAIN && error != ENOMEM) {
    // A sandbox may forbid setting the policy; a thread with the starter's policy still works.
    pthread_attr_setinheritsched(&attributes, PTHREAD_INHERIT_SCHED);
    error = pthread_create(&state->handle, &attributes, &State::Run, argument.get());
  }
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
