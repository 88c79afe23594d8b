// The gRPC channel to the cloud.
#ifndef DATAMANAGER_SRC_CLOUD_CHANNEL_H_
#define DATAMANAGER_SRC_CLOUD_CHANNEL_H_

#include <grpcpp/channel.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "cloud/address.h"
#include "cloud/credentials.h"
#include "cloud/tls_files.h"

namespace datamanager::cloud {

// Where a channel leads, and how it proves who is who.
struct Endpoint {
  Address address;
  TlsFiles tls;  // Used if the address asks for TLS.
  std::optional<Credentials> credentials;
};

struct ChannelLimits {
  // Pings, with or without calls, so that a connection that died silently is noticed: the
  // reference's figures, by which it takes at most 40 s.
  std::chrono::milliseconds ping_interval{20000};
  std::chrono::milliseconds ping_timeout{20000};  // For the answer.
  // What one attempt to connect may take, the handshakes included. Long enough for the SYN to be
  // sent four times (at 0, 1, 3 and 7 s); gRPC's 20 s would keep to an old source address for that
  // long.
  std::chrono::milliseconds attempt{10000};
  // What the answer to Authenticate may take.
  std::chrono::milliseconds authenticate{10000};
  // How often the client's certificate is read again.
  std::chrono::seconds certificate_refresh{60};
};

// An idle channel of its own to `endpoint`, whose files have been checked. Does not block but on
// them. With TLS it keeps in `server_accepted` whether the certificate that a server has shown last
// was a good one.
std::shared_ptr<grpc::Channel> MakeChannel(const Endpoint& endpoint, const ChannelLimits& limits,
                                           std::shared_ptr<std::atomic<bool>> server_accepted);

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_CHANNEL_H_
