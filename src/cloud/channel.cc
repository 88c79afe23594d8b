#include "cloud/channel.h"

#include <grpc/grpc.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

namespace datamanager::cloud {

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target, Keepalive keepalive) {
  // gRPC stays initialised for as long as the process lives. Otherwise the end of the last channel
  // would tear it down, and wait up to 10 s for a poller of its own that looks after unsent bytes.
  [[maybe_unused]] static const bool initialised = (grpc_init(), true);

  grpc::ChannelArguments arguments;
  // The last one lifts gRPC's limit of two pings without data.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(keepalive.interval.count()));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, static_cast<int>(keepalive.timeout.count()));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetMaxReceiveMessageSize(32 << 20);
  arguments.SetMaxSendMessageSize(-1);
  // Retrying is the upload policy's, which knows files and keys.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // A robot drives out of coverage and back: the first try comes soon, and 30 s, rather than gRPC's
  // 2 min, are the most that an upload waits once the network is back.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 30000);
  // Despite its name, what one attempt may take. Long enough for the SYN to be sent four times (at
  // 0, 1, 3 and 7 s); gRPC's 20 s would keep to an old source address for that long.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 10000);
  // Two clouds in a process share neither connections nor backoff.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace datamanager::cloud
