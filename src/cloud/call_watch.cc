#include "cloud/call_watch.h"

#include <algorithm>

namespace datamanager::cloud {
namespace {

// Pings and window updates of the connection are acknowledged too.
constexpr uint64_t kLeastProgress = 100;

}  // namespace

void CallWatch::HandOver(uint64_t bytes, std::chrono::milliseconds limit, MonotonicTime now) {
  const LinkState state = link_.HandOver(bytes);
  const uint64_t others = std::max(kLeastOthers, link_.calls() - 1);
  Begin(state, std::max(state.outstanding, state.queued) + others * bytes, limit, now);
}

void CallWatch::AwaitAnswer(std::chrono::milliseconds limit, MonotonicTime now) {
  const LinkState state = link_.State();
  uint64_t left = std::max(state.outstanding, state.queued);
  if (state.connection == connection_ && before_answer_ > state.acked - begin_acked_) {
    left = std::max(left, before_answer_ - (state.acked - begin_acked_));
  }
  Begin(state, left, limit, now);
}

void CallWatch::Begin(const LinkState& state, uint64_t before_answer,
                      std::chrono::milliseconds limit, MonotonicTime now) {
  connection_ = state.connection;
  begin_acked_ = state.acked;
  before_answer_ = before_answer;
  counted_ = 0;
  limit_ = limit;
  quiet_since_ = now;
  mark_ = now;
  marked_ = 0;
}

CallWatch::Verdict CallWatch::Look(MonotonicTime now) {
  const LinkState state = link_.State();
  if (connection_ != 0 && state.connection == connection_) {
    const uint64_t acked = state.acked - begin_acked_;
    if (acked > counted_ + kLeastProgress) {
      if (counted_ < before_answer_) quiet_since_ = std::max(quiet_since_, state.moved);
      counted_ = acked;
    }
    const bool waits = state.queued > 0 && acked < before_answer_;
    if (!waits || acked - marked_ >= kLeastBytes) {
      mark_ = now;
      marked_ = acked;
    } else if (now - mark_ >= kLeastSpan) {
      return Verdict::kTooSlow;
    }
  }
  return now - quiet_since_ >= limit_ ? Verdict::kSilent : Verdict::kGoOn;
}

MonotonicTime CallWatch::NextLook(MonotonicTime now) const {
  return std::min(now + kLookEvery, std::max(now, quiet_since_ + limit_));
}

}  // namespace datamanager::cloud
