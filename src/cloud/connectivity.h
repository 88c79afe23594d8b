// Follows the state of the channel.
#ifndef DATAMANAGER_SRC_CLOUD_CONNECTIVITY_H_
#define DATAMANAGER_SRC_CLOUD_CONNECTIVITY_H_

#include <grpcpp/channel.h>

#include <memory>
#include <stop_token>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/logger.h"
#include "base/thread.h"
#include "cloud/authentication.h"
#include "cloud/calls_under_way.h"
#include "cloud/channel.h"
#include "cloud/link_watch.h"
#include "cloud/ready_listener.h"
#include "datamanager/cloud.h"

namespace datamanager::cloud {

// What the state of the channel means to people, given what it meant before. An idle channel is as
// good as it was when last used; one that is lost, or was never reached, stays so until it is
// READY; a READY one is of no use until the server lets us in.
ConnectionState NextState(ConnectionState before, grpc_connectivity_state channel,
                          Admission::State admission);

// Owns the channel, and with credentials the authentication, whose thread is "dm-auth". Another
// thread ("dm-cloud") follows its state: it sleeps in a completion queue until gRPC reports a
// change, but while calls are under way only looks there at times (see CallsUnderWay); it keeps the
// status, logs each change of it and tells the listener.
//
// gRPC does not tell why a connection failed, but fails calls with the reason. So when the
// connection is lost or a try for it has failed, the thread makes a small call of its own (a health
// check; any method would do) to learn it.
//
// Thread-safe. Whatever uses the channel must be gone before Connectivity is.
class Connectivity {
 public:
  // Does not block, nor connect.
  static absl::StatusOr<std::unique_ptr<Connectivity>> Create(
      const Endpoint& endpoint, std::shared_ptr<Logger> logger,
      std::shared_ptr<ReadyListener> listener, const ChannelLimits& limits = {});
  // Closes the channel and ends the threads: at once, or within a second if the listener is busy.
  ~Connectivity();
  Connectivity(const Connectivity&) = delete;
  Connectivity& operator=(const Connectivity&) = delete;

  // Once: makes itself the one that the listener follows, and begins to connect.
  void Begin();
  // Another has taken its place: nothing more is logged, and nobody waits for it any longer. Calls
  // under way go on.
  void Retire();

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  // Null without credentials.
  Authentication* authentication() const;
  // Where each call over the channel says that it is under way.
  CallsUnderWay& calls() const;
  // What the peer has acknowledged.
  LinkWatch& link() const;

  // See sync::Uploader.
  ConnectionStatus Status() const;
  bool Ready() const;
  void RequestConnect();
  // False at once when retired.
  bool WaitUntilReady(MonotonicTime deadline, std::stop_token stop);

  // Whether the connection is of use as a call ends with `status`. If the channel is not READY, an
  // error is remembered as the connection's. Does not block: gRPC ends the calls of a broken
  // connection before it tells the channel's state, so that of 40 such calls one finds it READY.
  bool ReadyAfter(const absl::Status& status);

 private:
  struct Watch;
  Connectivity(std::shared_ptr<grpc::Channel> channel, std::shared_ptr<Watch> watch);
  bool ChannelReady() const;

  std::shared_ptr<grpc::Channel> channel_;
  const std::shared_ptr<Watch> watch_;
  Thread thread_;
  std::stop_source authentication_stop_;
  Thread authentication_thread_;
  bool begun_ = false;
};

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_CONNECTIVITY_H_
