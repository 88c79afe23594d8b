// How large a message the server takes.
#ifndef DATAMANAGER_SRC_SYNC_MESSAGE_LIMIT_H_
#define DATAMANAGER_SRC_SYNC_MESSAGE_LIMIT_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"

namespace datamanager::sync {

// What a server says of a message that it does not take.
struct TooLarge {
  uint64_t size = 0;   // Of the message, in bytes.
  uint64_t limit = 0;  // Of the server's messages.
};

// The figures in an answer that a message is too large, as gRPC's own code in C, C++, Python, Go,
// Node, Java and Rust words it, wherever they stand in the text; nullopt for anything else, and if
// the figures contradict each other. Pure.
std::optional<TooLarge> ParseTooLarge(const absl::Status& status);

// The limit that the server has told, which belongs to the connection. Thread-safe.
class MessageLimit {
 public:
  // A smaller limit is not believed, because no message would carry anything.
  static constexpr uint64_t kSmallest = 1024;
  // How many times one upload sends smaller messages without a wait, after an answer that the last
  // one was too large. Bounded, because a server may lower its limit with each answer.
  static constexpr int kMostSplits = 3;

  // The largest message that may be sent, if `most` is what the caller would send.
  uint64_t AtMost(uint64_t most) const { return std::min<uint64_t>(most, limit_); }
  // OK if a message of `bytes` may be sent; beyond the limit, the error that the server would
  // answer with.
  absl::Status Check(uint64_t bytes) const;
  // Learns from an answer. True: the limit is lower than it was, so that the same data may fit when
  // it is split.
  bool Learn(const absl::Status& status);
  // There is another connection.
  void Forget() { limit_ = UINT64_MAX; }

 private:
  std::atomic<uint64_t> limit_ = UINT64_MAX;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_MESSAGE_LIMIT_H_
