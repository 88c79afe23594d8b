// The log of a recording disk: the program that serves the disk writes it, and the tests read it.
#ifndef DATAMANAGER_TESTS_SUPPORT_DISK_LOG_H_
#define DATAMANAGER_TESTS_SUPPORT_DISK_LOG_H_

#include <cstdint>

namespace datamanager::testing {

// Precedes each entry of `length` bytes. In the machine's byte order, because the log does not
// outlive the test.
struct DiskLogHeader {
  enum Kind : uint64_t { kWrite = 1, kFlush = 2 };
  uint64_t kind = kWrite;
  uint64_t offset = 0;
  uint64_t length = 0;
};
static_assert(sizeof(DiskLogHeader) == 24);

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_DISK_LOG_H_
