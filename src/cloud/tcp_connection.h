// A look at a TCP connection of this process that another library owns.
#ifndef DATAMANAGER_SRC_CLOUD_TCP_CONNECTION_H_
#define DATAMANAGER_SRC_CLOUD_TCP_CONNECTION_H_

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>

#include "base/unique_fd.h"

namespace datamanager::cloud {

// An IPv4 address stands in it as an IPv6 one (::ffff:a.b.c.d).
struct TcpAddress {
  std::array<uint8_t, 16> ip{};
  uint16_t port = 0;
  bool operator==(const TcpAddress&) const = default;
};

// The two ends, which no other connection of the process shares.
struct TcpEnds {
  TcpAddress local;
  TcpAddress remote;
  bool operator==(const TcpEnds&) const = default;
};

// Counts begin with the connection.
struct LinkSample {
  uint64_t acked = 0;     // Bytes that the peer has acknowledged, also out of order.
  uint64_t received = 0;  // Bytes that came from it.
  uint64_t queued = 0;    // Bytes that the kernel holds because they are not acknowledged.
  uint64_t unsent = 0;    // Bytes of these that have not been sent at all.
  std::chrono::microseconds round_trip{0};  // With four times its variance.
  std::chrono::microseconds smoothed_round_trip{0};
  std::chrono::microseconds least_round_trip{0};
};

// gRPC tells no descriptors. This finds the one of a connection among the process's by its ends. It
// duplicates the descriptor for the moment of each call, and compares the ends again on the
// duplicate, because gRPC may close its own at any time and the number may then be another file's.
// Not thread-safe.
class TcpConnection {
 public:
  explicit TcpConnection(const TcpEnds& ends) : ends_(ends) {}

  // nullopt: there is no such connection in this process, or no more.
  std::optional<LinkSample> Look();
  // Ends it in both directions, so that its owner sees its end. False: there is no such connection.
  bool Break();

 private:
  UniqueFd Find();

  const TcpEnds ends_;
  int number_ = -1;  // The owner's descriptor when it was last found.
};

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_TCP_CONNECTION_H_
