#include "cloud/link_watch.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cloud/call.h"
#include "cloud/channel_sockets.h"

namespace datamanager::cloud {
namespace {

using std::chrono_literals::operator""s;

constexpr std::chrono::seconds kSearchEvery = 1s;
// gRPC publishes a socket right after the channel's state has changed.
constexpr int kMostSearches = 20;
constexpr std::chrono::seconds kIdleLookEvery = 10s;

// One thread at a time; a second one goes without.
class Turn {
 public:
  explicit Turn(std::atomic_flag& taken)
      : taken_(taken), mine_(!taken.test_and_set(std::memory_order_acquire)) {}
  ~Turn() {
    if (mine_) taken_.clear(std::memory_order_release);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  bool mine() const { return mine_; }

 private:
  std::atomic_flag& taken_;
  const bool mine_;
};

}  // namespace

void LinkWatch::Follow(bool ready, MonotonicTime now) {
  if (!ready || !channel_.has_value()) {
    searches_ = 0;
    next_follow_ = MonotonicTime::max();
    if (channel_.has_value()) {
      Forget();
    } else if (ready) {
      TellUnknown();
    }
    return;
  }
  if (now < next_follow_ && progress_.State().connection != 0) return;
  const Turn turn(looking_);
  if (!turn.mine()) return;
  if (connection_.has_value() && !Look(now)) connection_.reset();
  if (!connection_.has_value() && !FindConnection(now)) return;
  const LinkState state = progress_.State();
  if (IsSilent(state, limits_, now)) {
    log_(LogLevel::kWarning,
         absl::StrCat("no sign of life for ",
                      Format(std::chrono::duration_cast<std::chrono::milliseconds>(
                          now - std::max(state.heard, state.moved))),
                      state.queued > 0 ? absl::StrCat(" while ", state.queued, " bytes wait") : "",
                      ": the connection is ended, and another one is tried"));
    connection_->Break();
    connection_.reset();
    progress_.End();
    next_follow_ = now + kSearchEvery;
    return;
  }
  const MonotonicTime::duration idle = std::min<MonotonicTime::duration>(
      kIdleLookEvery, (limits_.ping_interval + limits_.ping_timeout) / 8);
  next_follow_ = now + (state.queued > 0 || state.outstanding > 0
                            ? std::min<MonotonicTime::duration>(kLookEvery, idle)
                            : idle);
}

void LinkWatch::Refresh(MonotonicTime now) {
  const Turn turn(looking_);
  if (turn.mine() && connection_.has_value()) Look(now);
}

bool LinkWatch::Look(MonotonicTime now) {
  const std::optional<LinkSample> sample = connection_->Look();
  if (sample.has_value()) {
    progress_.Add(*sample, now);
  } else {
    progress_.End();
  }
  return sample.has_value();
}

bool LinkWatch::FindConnection(MonotonicTime now) {
  next_follow_ = now + kSearchEvery;
  const std::optional<TcpEnds> ends = ConnectionOf(*channel_);
  if (ends.has_value()) {
    connection_.emplace(*ends);
    if (const std::optional<LinkSample> sample = connection_->Look(); sample.has_value()) {
      searches_ = 0;
      progress_.Begin(now);
      progress_.Add(*sample, now);
      return true;
    }
    connection_.reset();
  }
  if (++searches_ < kMostSearches) {
    next_follow_ = now + kLookEvery;
    return false;
  }
  next_follow_ = MonotonicTime::max();
  TellUnknown();
  return false;
}

void LinkWatch::TellUnknown() {
  if (std::exchange(told_, true)) return;
  log_(
      LogLevel::kDebug,
      "its socket is not known: an upload counts as stalled when its time is over, whatever moves");
}

void LinkWatch::Forget() {
  progress_.End();
  const Turn turn(looking_);
  if (turn.mine()) connection_.reset();
}

}  // namespace datamanager::cloud
