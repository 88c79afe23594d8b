// An address for the servers of one test process. Programs of tests that run beside it listen and
// connect elsewhere in 127.0.0.0/8, so a port that is free stays free: a server can go away and
// come back on it, and until then nobody answers there.
#ifndef DATAMANAGER_TESTS_SUPPORT_OWN_LOOPBACK_H_
#define DATAMANAGER_TESTS_SUPPORT_OWN_LOOPBACK_H_

#include <unistd.h>

#include <cstdint>
#include <string>

namespace datamanager::testing {

// 127.128.0.0 and the process id, which has 22 bits (PID_MAX_LIMIT).
inline uint32_t OwnLoopbackNumber() {
  constexpr uint32_t kBase = (127U << 24) | (128U << 16);
  return kBase + (static_cast<uint32_t>(::getpid()) & ((1U << 22) - 1));
}

inline std::string OwnLoopback() {
  const uint32_t address = OwnLoopbackNumber();
  return std::to_string(address >> 24) + "." + std::to_string((address >> 16) & 255U) + "." +
         std::to_string((address >> 8) & 255U) + "." + std::to_string(address & 255U);
}

// host:port; port 0 lets the server choose.
inline std::string OwnLoopback(int port) { return OwnLoopback() + ":" + std::to_string(port); }

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_OWN_LOOPBACK_H_
