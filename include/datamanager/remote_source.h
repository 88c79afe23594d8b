// Capturing the components of another robot, or of a module process, over gRPC.
#ifndef DATAMANAGER_REMOTE_SOURCE_H_
#define DATAMANAGER_REMOTE_SOURCE_H_

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "datamanager/source.h"

namespace grpc {
class Channel;
}

namespace datamanager {

// The connection to a server of components. A copy shares the channel.
struct RemoteChannel {
  std::shared_ptr<grpc::Channel> channel;
  std::string address;  // For people: it stands in errors.
};

// Makes a plaintext channel to HOST:PORT, with an IPv6 host in brackets, or to unix:PATH. Does not
// wait for the network: the first call connects, a lost connection is tried again at growing
// intervals of up to 5 s, and a silent one is given up after 20 s without an answer to a ping.
// Callers with the same address share the channel. Receives messages of up to 32 MiB.
// INVALID_ARGUMENT reports what is wrong with the address and what to write instead. For TLS or
// credentials, make a RemoteChannel from a channel of your own.
absl::StatusOr<RemoteChannel> ConnectRemote(std::string_view address);

struct RemoteOptions {
  // What a call may take, connecting included; a recording (GetAudio) may take the time between two
  // ticks beyond that. Above 0.
  std::chrono::milliseconds call_timeout{10000};
};

// A component or service that a server at `channel` calls `name`. A collector of it has one call
// under way at most; the end of the collector cancels it. A call that fails is a failed tick: the
// error names component and address. While the connection is lost, a tick waits up to 100 ms for it
// and fails; capture goes on by itself when it is back.
//
// It sends and receives wire bytes, and registers no message of viam.* in the process. Not
// thread-safe; sources that were added are as thread-safe as any, and outlive it.
class RemoteSource {
 public:
  // `api` is the triplet, such as "rdk:component:arm".
  RemoteSource(RemoteChannel channel, std::string_view api, std::string_view name,
               RemoteOptions options = {});

  // Adds to `sources`, as `local_name`, every captured method of the API; GetWorldPose is asked of
  // the server's robot service. Replaces what had the same API, name and method. NOT_FOUND, with
  // the nearest known API, if nothing can be captured from such; INVALID_ARGUMENT if no gRPC
  // service serves it.
  absl::Status AddTo(Sources& sources, std::string_view local_name) const;

 private:
  const RemoteChannel channel_;
  const std::string api_;
  const std::string name_;
  const RemoteOptions options_;
};

}  // namespace datamanager

#endif  // DATAMANAGER_REMOTE_SOURCE_H_
