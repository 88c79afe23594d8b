// Keeps the account of a channel's connection up to date, and ends a connection that died.
#ifndef DATAMANAGER_SRC_CLOUD_LINK_WATCH_H_
#define DATAMANAGER_SRC_CLOUD_LINK_WATCH_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/logger.h"
#include "cloud/link_progress.h"
#include "cloud/tcp_connection.h"
#include "datamanager/clock.h"

namespace datamanager::cloud {

// gRPC closes a connection whose ping is not answered in time, also if the ping waits behind bytes
// that the link still carries. So gRPC gets a long timeout, and this class judges by the socket:
// see IsSilent. Thread-safe where a method says so.
class LinkWatch {
 public:
  // What gRPC's own timeout for a ping becomes: only for what this class misses.
  static constexpr std::chrono::minutes kPingTimeout{10};
  // How often it looks while bytes are on their way.
  static constexpr std::chrono::milliseconds kLookEvery{100};

  // gRPC pings no more often, whatever it is told.
  static constexpr std::chrono::milliseconds kClosestPings{1000};

  // Of the channel that gRPC numbers so. nullopt: none is followed, and all calls get along
  // without. `log` gets debug lines and, as a warning, why a connection was ended.
  LinkWatch(std::optional<int64_t> channel, const SilenceLimits& limits,
            std::function<void(LogLevel, std::string)> log)
      : channel_(channel),
        limits_{std::max(limits.ping_interval, kClosestPings), limits.ping_timeout},
        log_(std::move(log)) {}

  LinkProgress& progress() { return progress_; }

  // By one thread: looks if it is time, and finds the socket of a channel that has become READY.
  void Follow(bool ready, MonotonicTime now);
  // When to call Follow again if nothing else happens.
  MonotonicTime NextFollow() const { return next_follow_; }

  // Any thread: looks at once, unless another one does.
  void Refresh(MonotonicTime now);

 private:
  bool FindConnection(MonotonicTime now);
  void TellUnknown();
  void Forget();
  // With looking_ set. False: the connection is gone.
  bool Look(MonotonicTime now);

  const std::optional<int64_t> channel_;
  const SilenceLimits limits_;
  const std::function<void(LogLevel, std::string)> log_;
  LinkProgress progress_;
  // The following thread's.
  MonotonicTime next_follow_{};
  int searches_ = 0;  // That found nothing since the channel became READY.
  bool told_ = false;
  // Whether a thread uses connection_.
  std::atomic_flag looking_;
  std::optional<TcpConnection> connection_;
};

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_LINK_WATCH_H_
