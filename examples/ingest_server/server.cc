#include "ingest_server/server.h"

#include <grpcpp/server_builder.h>

#include <utility>

#include "ingest_server/listen_address.h"

namespace ingest {
namespace {

// How often a client may ping, with or without calls, is as with Viam's own servers: every 5 s. The
// half second makes up for pings that catch up with each other on the way.
constexpr int kMinPingIntervalMs = 5000 - 500;

}  // namespace

absl::StatusOr<std::unique_ptr<IngestServer>> IngestServer::Start(ServerOptions options) {
  auto credentials = MakeServerCredentials(options.tls);
  if (!credentials.ok()) return credentials.status();
  std::unique_ptr<Authenticator> authenticator;
  if (!options.credentials.empty()) {
    auto created =
        Authenticator::Create(options.credentials, options.token_lifetime, *options.clock);
    if (!created.ok()) return created.status();
    authenticator = *std::move(created);
  }
  absl::StatusOr<std::unique_ptr<IngestStore>> store = IngestStore::Open(options.store);
  if (!store.ok()) return store.status();
  absl::StatusOr<std::unique_ptr<SequenceStore>> sequences = SequenceStore::Open(options.store);
  if (!sequences.ok()) return sequences.status();
  std::unique_ptr<IngestServer> server(new IngestServer(*std::move(store), *std::move(sequences),
                                                        std::move(authenticator),
                                                        std::move(options.faults), options.seed));

  grpc::ServerBuilder builder;
  builder.AddListeningPort(options.listen, *credentials, &server->port_);
  builder.RegisterService(&server->service_);
  builder.RegisterService(&server->sequence_service_);
  builder.RegisterService(&server->auth_service_);
  builder.SetMaxReceiveMessageSize(-1);  // No limit: see CheckSize.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kMinPingIntervalMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // Else a second server would quietly share the port, and get every other connection.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr) return ExplainListenFailure(options.listen);
  if (IsUnixAddress(options.listen)) server->port_ = 0;  // gRPC says 1.
  server->address_ = WithPort(options.listen, server->port_);
  return server;
}

IngestServer::IngestServer(std::unique_ptr<IngestStore> store,
                           std::unique_ptr<SequenceStore> sequences,
                           std::unique_ptr<Authenticator> authenticator, FaultSpec faults,
                           uint64_t seed)
    : store_(std::move(store)),
      sequences_(std::move(sequences)),
      authenticator_(std::move(authenticator)),
      faults_(std::move(faults), seed),
      service_(*store_, faults_, authenticator_.get()),
      sequence_service_(*sequences_, faults_, authenticator_.get()),
      auth_service_(authenticator_.get()) {}

absl::StatusOr<size_t> IngestServer::ReloadCredentials() {
  if (authenticator_ == nullptr) {
    return absl::FailedPreconditionError("there is no file of credentials to read again");
  }
  return authenticator_->Reload();
}

IngestServer::~IngestServer() { Shutdown(); }

void IngestServer::Shutdown(std::chrono::milliseconds grace) {
  if (server_ == nullptr) return;
  service_.StopWaiting();
  server_->Shutdown(std::chrono::system_clock::now() + grace);
}

}  // namespace ingest
