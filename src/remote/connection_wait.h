// Waits for a lost connection, once for all users of a channel.
#ifndef DATAMANAGER_SRC_REMOTE_CONNECTION_WAIT_H_
#define DATAMANAGER_SRC_REMOTE_CONNECTION_WAIT_H_

#include <grpcpp/channel.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <utility>

#include "base/mutex.h"

namespace datamanager::remote {

// A channel that has lost its connection fails calls at once. A thread that does not wait in gRPC
// does not drive its sockets either: the channel would notice a new connection only every 5 s. So a
// tick waits for a moment, and drives them. One thread does that for all that wait for the same
// channel, because each look costs as much as a call. Thread-safe.
class ConnectionWait {
 public:
  // Returns the one of `channel`; all callers share it while any of them has it.
  static std::shared_ptr<ConnectionWait> Of(const std::shared_ptr<grpc::Channel>& channel);

  explicit ConnectionWait(std::shared_ptr<grpc::Channel> channel) : channel_(std::move(channel)) {}

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

  // Returns at once unless the connection is lost; otherwise when it is back, after `limit`, or
  // soon after the stop.
  void Wait(std::chrono::milliseconds limit, std::stop_token stop) DM_EXCLUDES(mutex_);

  // How often any thread has looked at the channel while it waited.
  uint64_t looks() const DM_EXCLUDES(mutex_);

 private:
  // Drives the channel. True: it is connected.
  bool Lead(MonotonicTime deadline, const std::stop_token& stop) DM_EXCLUDES(mutex_);

  const std::shared_ptr<grpc::Channel> channel_;
  mutable Mutex mutex_;
  CondVar changed_;
  bool led_ DM_GUARDED_BY(mutex_) = false;        // A thread drives the channel.
  uint64_t connected_ DM_GUARDED_BY(mutex_) = 0;  // How often that thread saw a connection made.
  uint64_t looks_ DM_GUARDED_BY(mutex_) = 0;
};

}  // namespace datamanager::remote

#endif  // DATAMANAGER_SRC_REMOTE_CONNECTION_WAIT_H_
