// How many bytes a second a connection carries towards the server.
#ifndef DATAMANAGER_SRC_CLOUD_RATE_ESTIMATE_H_
#define DATAMANAGER_SRC_CLOUD_RATE_ESTIMATE_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "datamanager/clock.h"

namespace datamanager::cloud {

// Large uploads have to leave room for small ones on a slow link, and must not be held back on a
// fast one, so both need the rate. What is acknowledged says at least how fast the link is; how
// fast it is at most shows only while more waits than it carries. The estimate begins low, rises
// with each proof, and falls only while the link was full. It outlives the connections of a
// channel. Not thread-safe.
class RateEstimate {
 public:
  // 26 kbit/s: what a first upload may send before its acknowledgements have shown more.
  static constexpr double kInitial = 3277;

  double bytes_per_second() const { return rate_; }
  // Whether the link was ever full for long enough to show how fast it is at most.
  bool has_been_full() const { return has_been_full_; }
  // The counts of another connection follow.
  void Restart() { size_ = 0; }
  // One look: how many bytes of the connection are acknowledged in all, and whether bytes waited
  // for the link. Looks may come at any pace; of those within 100 ms only the first is kept.
  void Add(uint64_t acked, bool full, MonotonicTime now);

 private:
  struct Look {
    MonotonicTime at;
    uint64_t acked = 0;
    bool full = false;
  };
  const Look& Back(size_t count) const { return looks_[(end_ + kLooks - 1 - count) % kLooks]; }
  void Rise(uint64_t acked, MonotonicTime now);
  void Follow();

  // 6 s at ten looks a second.
  static constexpr size_t kLooks = 60;
  std::array<Look, kLooks> looks_;
  size_t end_ = 0;
  size_t size_ = 0;
  double rate_ = kInitial;
  bool has_been_full_ = false;
};

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_RATE_ESTIMATE_H_
