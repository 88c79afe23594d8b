#include "cloud/link_progress.h"

#include <algorithm>

namespace datamanager::cloud {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""min;

// A ping and what TLS adds to it: as acknowledgement of nothing else it is no progress.
constexpr uint64_t kPingBytes = 100;
// The longest silence on any link.
constexpr std::chrono::minutes kLongestSilence = 5min;
constexpr int kRoundTripsOfSilence = 4;
// The round trip of a full link grows with what waits before the bytes.
constexpr std::chrono::milliseconds kFullDelay = 50ms;

// While the process was stopped, the peer had no ping to answer.
constexpr std::chrono::seconds kLongestGap = 15s;

// In seconds of the link. A small request waits behind what has been handed over, and behind one
// request that is larger than the room: 6 s in all, where it may be 10. A second is more than a
// round trip takes, so the room leaves no link idle.
constexpr double kPieceSeconds = 0.25;
constexpr double kUnarySeconds = 5;
constexpr double kRoomSeconds = 1;
// With its frame heads such a piece fills a packet. Smaller requests wait for no room, unless very
// many are on their way.
constexpr uint64_t kSmallestPiece = 1400;
constexpr double kPassSeconds = 3;
constexpr uint64_t kSmallestUnary = 8 << 10;
constexpr uint64_t kSmallestRoom = 2 * kSmallestPiece;
// Above, the link empties any queue within a moment.
constexpr double kFastRate = 1 << 20;
constexpr uint64_t kLargestFirstRoom = 1 << 20;

}  // namespace

bool IsSilent(const LinkState& state, const SilenceLimits& limits, MonotonicTime now) {
  if (state.connection == 0) return false;
  MonotonicTime::duration limit = limits.ping_interval + limits.ping_timeout;
  if (state.queued > 0) {
    const MonotonicTime::duration slow = state.round_trip * kRoundTripsOfSilence;
    limit = std::max(limit, std::min<MonotonicTime::duration>(slow, kLongestSilence));
  }
  return now - std::max(state.heard, state.moved) >= limit;
}

void LinkProgress::Begin(MonotonicTime now) {
  MutexLock lock(mutex_);
  state_ = {.connection = ++connections_, .moved = now, .heard = now};
  looked_ = now;
  received_ = 0;
  moved_at_ = 0;
  widened_at_ = 0;
  was_empty_ = false;
  rate_.Restart();
  PublishSizes();
}

void LinkProgress::End() {
  MutexLock lock(mutex_);
  state_ = {};
  piece_bytes_ = kUnlimited;
  unary_bytes_ = kUnlimited;
}

void LinkProgress::Add(const LinkSample& sample, MonotonicTime now) {
  MutexLock lock(mutex_);
  if (state_.connection == 0) return;
  if (now - looked_ > kLongestGap) state_.moved = state_.heard = now;
  looked_ = now;
  const uint64_t acked = std::max(sample.acked, state_.acked);
  state_.outstanding -= std::min(state_.outstanding, acked - state_.acked);
  state_.acked = acked;
  state_.queued = sample.queued;
  state_.round_trip = sample.round_trip;
  // Frames and headers are acknowledged too, so the account runs low by itself; what a call that
  // was cancelled never sent is forgotten once the kernel has been empty for two looks.
  const bool empty = sample.queued == 0;
  if (empty && was_empty_) state_.outstanding = 0;
  was_empty_ = empty;
  if (acked - moved_at_ > kPingBytes) {
    moved_at_ = acked;
    state_.moved = now;
  }
  if (sample.received > received_) {
    received_ = sample.received;
    state_.heard = now;
  }
  const bool full =
      sample.unsent > 0 ||
      (sample.queued > 0 && sample.smoothed_round_trip > 2 * sample.least_round_trip + kFullDelay);
  rate_.Add(acked, full, now);
  WidenFirstRoom(full);
  PublishSizes();
}

void LinkProgress::WidenFirstRoom(bool full) {
  if (full || state_.acked - widened_at_ < first_room_) return;
  widened_at_ = state_.acked;
  first_room_ = std::min(2 * first_room_, kLargestFirstRoom);
}

uint64_t LinkProgress::Bytes(double seconds, uint64_t least) const {
  const double rate = rate_.bytes_per_second();
  if (rate >= kFastRate) return kUnlimited;
  const auto bytes = std::max(least, static_cast<uint64_t>(rate * seconds));
  if (rate_.has_been_full()) return bytes;
  if (first_room_ == kLargestFirstRoom) return kUnlimited;
  const double share = std::min(1.0, seconds / kRoomSeconds);
  return std::max(bytes, static_cast<uint64_t>(static_cast<double>(first_room_) * share));
}

LinkState LinkProgress::State() const {
  MutexLock lock(mutex_);
  return state_;
}

LinkState LinkProgress::HandOver(uint64_t bytes) {
  MutexLock lock(mutex_);
  if (state_.connection != 0) state_.outstanding += bytes;
  return state_;
}

bool LinkProgress::TakeRoom(uint64_t bytes, std::optional<RoomLine::Place>& place,
                            MonotonicTime now) {
  MutexLock lock(mutex_);
  const uint64_t on_its_way = std::max(state_.outstanding, state_.queued);
  const bool passes = bytes < kSmallestPiece &&
                      (!rate_.has_been_full() || on_its_way < Bytes(kPassSeconds, kSmallestRoom));
  bool served = true;
  if (state_.connection != 0 && !passes) {
    const uint64_t room = Bytes(kRoomSeconds, kSmallestRoom);
    line_.Ask(place, bytes, /*small=*/bytes <= room, now);
    line_.Serve(on_its_way, room, now);
    served = line_.IsServed(place);
  }
  if (served) line_.Leave(place);
  return served;
}

void LinkProgress::LeaveLine(std::optional<RoomLine::Place>& place) {
  MutexLock lock(mutex_);
  line_.Leave(place);
}

int LinkProgress::Waiting(MonotonicTime now) const {
  MutexLock lock(mutex_);
  return rate_.has_been_full() ? line_.Waiting(now) : 0;
}

void LinkProgress::PublishSizes() {
  piece_bytes_ = Bytes(kPieceSeconds, kSmallestPiece);
  unary_bytes_ = Bytes(kUnarySeconds, kSmallestUnary);
}

}  // namespace datamanager::cloud
