#include "base/fork_guard.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/unique_fd.h"

namespace datamanager {
namespace {

constexpr size_t kBitsPerWord = 64;
// The kernel's own default limit on descriptors. The array takes 128 KiB, of which only the pages
// of numbers that were in use are ever touched.
constexpr size_t kMostDescriptors = size_t{1} << 20;

// One bit for each descriptor. Atomic, so that the handler needs no lock: another thread of the
// parent might have held one at the fork.
std::array<std::atomic<uint64_t>, kMostDescriptors / kBitsPerWord> guarded;
std::atomic<size_t> words_in_use{0};

// Uses only calls that are safe after the fork of a process with threads.
void ReplaceInChild() {
  const int null = AboveStandardStreams(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const size_t words = words_in_use.load(std::memory_order_acquire);
  for (size_t word = 0; word < words; ++word) {
    uint64_t bits = guarded[word].exchange(0, std::memory_order_acq_rel);
    for (size_t bit = 0; bits != 0; ++bit, bits >>= 1) {
      if ((bits & 1) == 0) continue;
      const int fd = static_cast<int>(word * kBitsPerWord + bit);
      if (null < 0 || ::dup3(null, fd, O_CLOEXEC) < 0) ::close(fd);
    }
  }
  if (null >= 0) ::close(null);
}

}  // namespace

void GuardFromFork(int fd) {
  if (fd < 0 || static_cast<size_t>(fd) >= kMostDescriptors) return;
  // Registers the handler once. If that fails, for lack of memory, children share the parent's
  // files.
  static const int registered = ::pthread_atfork(nullptr, nullptr, &ReplaceInChild);
  static_cast<void>(registered);
  const size_t word = static_cast<size_t>(fd) / kBitsPerWord;
  size_t before = words_in_use.load(std::memory_order_relaxed);
  while (before <= word && !words_in_use.compare_exchange_weak(before, word + 1)) {
  }
  guarded[word].fetch_or(uint64_t{1} << (static_cast<size_t>(fd) % kBitsPerWord));
}

void UnguardFromFork(int fd) {
  if (fd < 0 || static_cast<size_t>(fd) >= kMostDescriptors) return;
  guarded[static_cast<size_t>(fd) / kBitsPerWord].fetch_and(
      ~(uint64_t{1} << (static_cast<size_t>(fd) % kBitsPerWord)));
}

}  // namespace datamanager
