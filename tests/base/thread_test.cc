#include "base/thread.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>

#include "tests/support/forbid_syscall.h"
#include "tests/support/gate.h"
#include "tests/support/run_in_child.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager {
namespace {

using std::chrono::milliseconds;
using testing::Gate;
using testing::In;
using testing::PatienceEnds;
using testing::WaitUntil;

// Runs `body` in a thread of ours and waits for its end.
void RunThread(const std::string& name, size_t stack_bytes, std::function<void()> body) {
  absl::StatusOr<Thread> thread = Thread::Start(name, stack_bytes, std::move(body));
  ASSERT_TRUE(thread.ok()) << thread.status();
  thread->Join();
  EXPECT_FALSE(thread->joinable());
}

TEST(ThreadTest, CarriesItsName) {
  const auto is_called = [](const std::string& expected) {
    return [expected] {
      EXPECT_TRUE(WaitUntil([&] {
        std::array<char, 16> name{};
        pthread_getname_np(pthread_self(), name.data(), name.size());
        return expected == name.data();
      })) << expected;
    };
  };
  RunThread("dm-test", kOwnStackBytes, is_called("dm-test"));
  RunThread("dm:a-name-that-is-too-long", kOwnStackBytes, is_called("dm:a-name-that-"));
}

TEST(ThreadTest, BlocksEverySignalAndLeavesItsStarterAlone) {
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  RunThread("dm-test", kOwnStackBytes, [] {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGALRM, SIGUSR1, SIGURG, SIGIO, SIGPIPE}) {
      EXPECT_EQ(sigismember(&mask, signal), 1) << signal;
    }
  });
  sigset_t after;
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  EXPECT_EQ(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
}

// The means of an embedder to survive its own faults.
thread_local sigjmp_buf resume_point;
void Resume(int number) { siglongjmp(resume_point, number); }

// Whether `fault` raises `signal` on the thread; its handler saves the thread.
template <typename Fault>
bool IsSavedFrom(int signal, const Fault& fault) {
  bool saved = false;
  RunThread("dm-test", kOwnStackBytes, [&] {
    if (sigsetjmp(resume_point, 1) == 0) {
      fault();
    } else {
      saved = true;
    }
  });
  return saved && signal > 0;
}

TEST(ThreadTest, AHandlerSavesItFromTheSignalsItBringsOnItself) {
  const testing::TempDir temp;
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS}) {
    struct sigaction action {};
    struct sigaction before {};
    action.sa_handler = &Resume;
    ASSERT_EQ(sigaction(signal, &action, &before), 0);
    EXPECT_TRUE(IsSavedFrom(signal, [signal] { raise(signal); })) << signal;
    if (signal == SIGBUS) {
      // A mapped file that was truncated, as another process may do it.
      const int fd = open((temp.path() + "/mapped").c_str(), O_RDWR | O_CREAT, 0644);
      ASSERT_EQ(ftruncate(fd, 4096), 0);
      void* const page = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0);
      ASSERT_NE(page, MAP_FAILED);
      ASSERT_EQ(ftruncate(fd, 0), 0);
      EXPECT_TRUE(IsSavedFrom(signal, [page] {
        const char byte = *static_cast<volatile char*>(page);
        static_cast<void>(byte);
      }));
      munmap(page, 4096);
      close(fd);
    }
    sigaction(signal, &before, nullptr);
  }
}

TEST(ThreadTest, StartsWhereASandboxForbidsToSetThePolicy) {
  EXPECT_TRUE(testing::RunInChild([] {
    const sched_param priority{};
    // Differs from the policy that a thread of ours must get.
    if (pthread_setschedparam(pthread_self(), SCHED_BATCH, &priority) != 0) return false;
    if (!testing::ForbidSyscall(SYS_sched_setscheduler)) return true;  // The system has no filters.
    bool ran = false;
    absl::StatusOr<Thread> thread =
        Thread::Start("dm-test", kOwnStackBytes, [&ran] { ran = true; });
    EXPECT_TRUE(thread.ok()) << thread.status();
    if (thread.ok()) thread->Join();
    return ran;
  }));
}

TEST(ThreadTest, SaysThatTheSystemGivesNoMore) {
  EXPECT_TRUE(testing::RunInChild([] {
    // The limit does not bind a superuser.
    if (getuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) return false;
    rlimit limit{};
    getrlimit(RLIMIT_NPROC, &limit);
    limit.rlim_cur = 0;
    if (setrlimit(RLIMIT_NPROC, &limit) != 0) return false;
    const absl::StatusOr<Thread> thread = Thread::Start("dm-test", kOwnStackBytes, [] {});
    EXPECT_EQ(thread.status().code(), absl::StatusCode::kResourceExhausted) << thread.status();
    return true;
  }));
}

TEST(ThreadTest, InheritsNoSchedulingPolicy) {
  const sched_param priority{};
  ASSERT_EQ(pthread_setschedparam(pthread_self(), SCHED_BATCH, &priority), 0);
  RunThread("dm-test", kOwnStackBytes, [] {
    int policy = -1;
    sched_param found{};
    pthread_getschedparam(pthread_self(), &policy, &found);
    EXPECT_EQ(policy, SCHED_OTHER);
  });
  ASSERT_EQ(pthread_setschedparam(pthread_self(), SCHED_OTHER, &priority), 0);
}

TEST(ThreadTest, HasTheStackItWasGiven) {
  const auto stack_bytes = [] {
    pthread_attr_t attributes;
    pthread_getattr_np(pthread_self(), &attributes);
    size_t bytes = 0;
    pthread_attr_getstacksize(&attributes, &bytes);
    pthread_attr_destroy(&attributes);
    return bytes;
  };
  RunThread("dm-test", kOwnStackBytes, [&] {
    EXPECT_GE(stack_bytes(), kOwnStackBytes);
    EXPECT_LT(stack_bytes(), kOwnStackBytes + (1 << 20));
  });
  RunThread("dm-test", kSystemStackBytes, [&] { EXPECT_GE(stack_bytes(), size_t{1} << 20); });
}

TEST(ThreadTest, JoinUntilGivesUpAndCanBeTriedAgain) {
  Gate gate;
  gate.Close();
  absl::StatusOr<Thread> thread =
      Thread::Start("dm-test", kOwnStackBytes, [&gate] { gate.Pass(); });
  ASSERT_TRUE(thread.ok()) << thread.status();
  EXPECT_FALSE(thread->JoinUntil(In(milliseconds(5))));
  EXPECT_FALSE(thread->JoinUntil(MonotonicTime::min()));
  EXPECT_TRUE(thread->joinable());
  gate.Open();
  EXPECT_TRUE(thread->JoinUntil(PatienceEnds()));
  EXPECT_FALSE(thread->joinable());
  EXPECT_TRUE(thread->JoinUntil(MonotonicTime::min())) << "there is nothing left to join";
}

TEST(ThreadTest, LetsGoOfItsBodyWhenItEnds) {
  auto token = std::make_shared<int>(0);
  absl::StatusOr<Thread> thread = Thread::Start("dm-test", kOwnStackBytes, [token] {});
  ASSERT_TRUE(thread.ok()) << thread.status();
  ASSERT_TRUE(thread->JoinUntil(PatienceEnds()));
  EXPECT_EQ(token.use_count(), 1);
}

TEST(ThreadTest, RunsOnWhenItsHandleIsDestroyed) {
  const auto gate = std::make_shared<Gate>();
  const auto ended = std::make_shared<std::atomic<bool>>(false);
  gate->Close();
  {
    absl::StatusOr<Thread> thread = Thread::Start("dm-test", kOwnStackBytes, [gate, ended] {
      gate->Pass();
      *ended = true;
    });
    ASSERT_TRUE(thread.ok()) << thread.status();
  }
  gate->Open();
  EXPECT_TRUE(WaitUntil([&] { return ended->load(); }));
}

}  // namespace
}  // namespace datamanager
