// When a call is to be given up.
#ifndef DATAMANAGER_SRC_CLOUD_CALL_WATCH_H_
#define DATAMANAGER_SRC_CLOUD_CALL_WATCH_H_

#include <chrono>
#include <cstdint>

#include "cloud/link_progress.h"
#include "datamanager/clock.h"

namespace datamanager::cloud {

// The watchdog of one call. A step of the call (a request and its reply, a message of a stream, the
// wait for a stream's reply) has stalled when the peer has acknowledged nothing that it waits for,
// and has not answered, for as long as the step may take. As long as bytes that stand before the
// answer are acknowledged, the step goes on, unless these are fewer than kLeastBytes within
// kLeastSpan. Which bytes of a connection are whose does not show: those handed over before the
// call's own count as before them, and as many as the call's own for each further call that gRPC
// may interleave with it. So a call that the server has forgotten also ends, while others go on.
//
// Where the connection's socket is not known, a step has stalled when its time is over.
//
// Not thread-safe; does not block. Asynchronous callers ask at NextLook.
class CallWatch {
 public:
  // 1 kbit/s.
  static constexpr std::chrono::seconds kLeastSpan{60};
  static constexpr uint64_t kLeastBytes = 1000 / 8 * 60;
  static constexpr std::chrono::milliseconds kLookEvery{1000};
  // Calls on the connection beside this one, if there are no more by now: others begin while its
  // bytes are on their way.
  static constexpr uint64_t kLeastOthers = 7;

  enum class Verdict : uint8_t {
    kGoOn,
    kSilent,   // Nothing moved for the time that the step may take.
    kTooSlow,  // Bytes move, but too few.
  };

  // `link` must outlive it.
  explicit CallWatch(LinkProgress& link) : link_(link) { link_.BeginCall(); }
  ~CallWatch() { link_.EndCall(); }
  CallWatch(const CallWatch&) = delete;
  CallWatch& operator=(const CallWatch&) = delete;

  // A step begins in which so many bytes are handed to gRPC, or in which only an answer is waited
  // for. It may last `limit` without progress.
  void HandOver(uint64_t bytes, std::chrono::milliseconds limit, MonotonicTime now);
  void AwaitAnswer(std::chrono::milliseconds limit, MonotonicTime now);

  Verdict Look(MonotonicTime now);
  // After a verdict to go on.
  MonotonicTime NextLook(MonotonicTime now) const;

 private:
  void Begin(const LinkState& state, uint64_t before_answer, std::chrono::milliseconds limit,
             MonotonicTime now);

  LinkProgress& link_;
  MonotonicTime::duration limit_{};
  MonotonicTime quiet_since_{};
  uint64_t connection_ = 0;
  uint64_t begin_acked_ = 0;    // The connection's count as the step began.
  uint64_t before_answer_ = 0;  // Bytes to be acknowledged before only the answer is missing.
  uint64_t counted_ = 0;        // Bytes acknowledged of these, at the last progress.
  // When kLeastBytes had last been acknowledged, and the count then.
  MonotonicTime mark_{};
  uint64_t marked_ = 0;
};

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_CALL_WATCH_H_
