// What the peer of a connection has acknowledged: the measure of progress for every upload.
#ifndef DATAMANAGER_SRC_CLOUD_LINK_PROGRESS_H_
#define DATAMANAGER_SRC_CLOUD_LINK_PROGRESS_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>

#include "base/mutex.h"
#include "cloud/rate_estimate.h"
#include "cloud/room_line.h"
#include "cloud/tcp_connection.h"
#include "datamanager/clock.h"

namespace datamanager::cloud {

// What is known of the connection at one moment.
struct LinkState {
  // Counts the channel's connections from 1 on. 0: none whose socket is known.
  uint64_t connection = 0;
  uint64_t acked = 0;   // Bytes that the peer has acknowledged.
  uint64_t queued = 0;  // Bytes that the kernel holds: not sent, or not acknowledged.
  // Bytes of calls that were handed to gRPC and that the peer may not have acknowledged yet. They
  // stand in gRPC or in the kernel.
  uint64_t outstanding = 0;
  MonotonicTime moved{};                    // When the peer had last acknowledged more than a ping.
  MonotonicTime heard{};                    // When bytes had last come from it.
  std::chrono::microseconds round_trip{0};  // With its variance.
};

// How long a connection may show no sign of life.
struct SilenceLimits {
  std::chrono::milliseconds ping_interval;
  std::chrono::milliseconds ping_timeout;
};

// Whether the peer is to be taken for dead. While bytes wait for it, it has to acknowledge some;
// once all are acknowledged, it has to send something, because gRPC pings it after `ping_interval`
// without a word. Each must come within ping_interval + ping_timeout, or within several round trips
// where the link is that slow. Pure.
bool IsSilent(const LinkState& state, const SilenceLimits& limits, MonotonicTime now);

// A timeout that counts from a Write that succeeded, or a ping behind queued bytes, measures how
// fast gRPC and the kernel take bytes, and these take a whole file at once. So the uploads of a
// channel share this account of what the peer has acknowledged: CallWatch decides by it when a call
// has stalled, and it says how large a piece is that leaves room for others. Thread-safe.
class LinkProgress {
 public:
  static constexpr uint64_t kFirstRoom = 8 << 10;
  static constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();

  // Another connection begins; or there is none whose socket is known.
  void Begin(MonotonicTime now) DM_EXCLUDES(mutex_);
  void End() DM_EXCLUDES(mutex_);
  // A look at the connection's socket. If the last one was long ago, the process itself did not
  // run: that time is no silence of the peer's.
  void Add(const LinkSample& sample, MonotonicTime now) DM_EXCLUDES(mutex_);

  LinkState State() const DM_EXCLUDES(mutex_);

  // Calls that are watched at the moment.
  void BeginCall() { ++calls_; }
  void EndCall() { --calls_; }
  uint64_t calls() const { return calls_; }

  // A call hands so many bytes to gRPC. Returns the state after it.
  LinkState HandOver(uint64_t bytes) DM_EXCLUDES(mutex_);

  // Whether a call may hand over so many bytes now. The bytes on their way are limited to about a
  // second of the link, so that a small request behind them waits a few seconds at most. The
  // smallest requests may exceed that, up to three seconds of the link. If the socket is not known,
  // every call may. Until the link has shown how fast it is at most, the smallest requests always
  // may, and the limit begins with kFirstRoom and doubles each time that the peer has acknowledged
  // as much and nothing waits. False: the call has a place in the line now, and has to ask again
  // until it may, or leave the line.
  bool TakeRoom(uint64_t bytes, std::optional<RoomLine::Place>& place, MonotonicTime now)
      DM_EXCLUDES(mutex_);
  void LeaveLine(std::optional<RoomLine::Place>& place) DM_EXCLUDES(mutex_);
  // Calls that wait for room. 0 as long as the link has not shown how fast it is at most.
  int Waiting(MonotonicTime now) const DM_EXCLUDES(mutex_);

  // The largest piece of a stream, and the largest request beyond which a stream is better, so that
  // small requests get their turn: a fraction of a second and a few seconds of the link. kUnlimited
  // where the socket is not known.
  uint64_t PieceBytes() const { return piece_bytes_.load(std::memory_order_relaxed); }
  uint64_t UnaryBytes() const { return unary_bytes_.load(std::memory_order_relaxed); }

 private:
  void PublishSizes() DM_REQUIRES(mutex_);
  void WidenFirstRoom(bool full) DM_REQUIRES(mutex_);
  // So many seconds of the link; in the beginning, that share of the first room.
  uint64_t Bytes(double seconds, uint64_t least) const DM_REQUIRES(mutex_);

  mutable Mutex mutex_;
  uint64_t connections_ DM_GUARDED_BY(mutex_) = 0;
  LinkState state_ DM_GUARDED_BY(mutex_);
  MonotonicTime looked_ DM_GUARDED_BY(mutex_){};
  uint64_t received_ DM_GUARDED_BY(mutex_) = 0;
  uint64_t moved_at_ DM_GUARDED_BY(mutex_) = 0;  // state_.acked at state_.moved.
  bool was_empty_ DM_GUARDED_BY(mutex_) = false;
  RateEstimate rate_ DM_GUARDED_BY(mutex_);
  uint64_t first_room_ DM_GUARDED_BY(mutex_) = kFirstRoom;
  uint64_t widened_at_ DM_GUARDED_BY(mutex_) = 0;  // state_.acked then.
  RoomLine line_ DM_GUARDED_BY(mutex_);
  std::atomic<uint64_t> calls_{0};
  std::atomic<uint64_t> piece_bytes_{kUnlimited};
  std::atomic<uint64_t> unary_bytes_{kUnlimited};
};

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_LINK_PROGRESS_H_
