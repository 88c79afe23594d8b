// Threads in a program whose thread-local storage is larger than the library's small stacks: it
// takes part of every stack.
#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstring>

#include "base/logger.h"
#include "base/thread.h"
#include "tests/support/log_capture.h"
#include "tests/support/wait_until.h"

namespace datamanager {
namespace {

thread_local std::array<char, 1 << 20> large_storage;

// Uses that much stack, and all of the storage.
void Use(size_t depth) {
  volatile char frame[16 << 10];
  for (size_t i = 0; i < sizeof(frame); i += 1024) frame[i] = static_cast<char>(depth);
  if (depth > 0) Use(depth - 1);
  large_storage.fill(static_cast<char>(frame[0] + 1));
}

TEST(StaticTlsTest, ASmallStackHasItsSizeBesideIt) {
  // Three quarters of kOwnStackBytes.
  bool done = false;
  absl::StatusOr<Thread> thread = Thread::Start("dm-test", kOwnStackBytes, [&done] {
    Use(kOwnStackBytes / (16 << 10) * 3 / 4);
    done = true;
  });
  ASSERT_TRUE(thread.ok()) << thread.status();
  thread->Join();
  EXPECT_TRUE(done);
}

TEST(StaticTlsTest, ALogSinkHasAStackOfTheSystemsSize) {
  const testing::LogCapture log;
  auto logger = Logger::Create([sink = log.sink()](const LogEntry& entry) {
    Use(100);  // 1.6 MiB.
    sink(entry);
  });
  ASSERT_TRUE(logger.ok()) << logger.status();
  (*logger)->Warning("deep");
  EXPECT_TRUE(testing::WaitUntil([&] { return log.Has("deep"); }));
}

}  // namespace
}  // namespace datamanager
