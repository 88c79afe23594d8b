#include "cloud/channel.h"

#include <grpc/grpc.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <grpcpp/support/channel_arguments.h>

#include <utility>

#include "cloud/server_certificate.h"

namespace datamanager::cloud {
namespace {

// TLS from version 1.2 on, gRPC's own minimum.
std::shared_ptr<grpc::ChannelCredentials> TlsCredentials(
    const Endpoint& endpoint, const ChannelLimits& limits,
    std::shared_ptr<std::atomic<bool>> server_accepted) {
  grpc::experimental::TlsChannelCredentialsOptions options;
  // All checks of the server's certificate are our verifier's.
  options.set_verify_server_certs(false);
  options.set_check_call_host(false);
  options.set_certificate_verifier(ServerCertificateVerifier(endpoint.address.host, endpoint.tls.ca,
                                                             std::move(server_accepted)));
  if (!endpoint.tls.client_certificate.empty()) {
    options.set_certificate_provider(
        std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
            endpoint.tls.client_key, endpoint.tls.client_certificate,
            static_cast<unsigned>(limits.certificate_refresh.count())));
    options.watch_identity_key_cert_pairs();
  }
  return grpc::experimental::TlsCredentials(options);
}

}  // namespace

std::shared_ptr<grpc::Channel> MakeChannel(const Endpoint& endpoint, const ChannelLimits& limits,
                                           std::shared_ptr<std::atomic<bool>> server_accepted) {
  // gRPC stays initialised for as long as the process lives. Otherwise the end of the last channel
  // would tear it down, and wait up to 10 s for a poller of its own that looks after unsent bytes.
  [[maybe_unused]] static const bool initialised = (grpc_init(), true);

  grpc::ChannelArguments arguments;
  // The last one lifts gRPC's limit of two pings without data.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(limits.ping_interval.count()));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, static_cast<int>(limits.ping_timeout.count()));
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
  // Despite its name, what one attempt may take.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, static_cast<int>(limits.attempt.count()));
  // Two clouds in a process share neither connections nor backoff.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(
      endpoint.address.target,
      endpoint.address.tls ? TlsCredentials(endpoint, limits, std::move(server_accepted))
                           : grpc::InsecureChannelCredentials(),
      arguments);
}

}  // namespace datamanager::cloud
