#include "ingest_server/server.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <utility>

#include "ingest_server/listen_address.h"

namespace ingest {
namespace {

// How often a client may ping, with or without calls, is as with Viam's own servers: every 5 s. The
// half second makes up for pings that catch up with each other on the way.
constexpr int kMinPingIntervalMs = 5000 - 500;

}  // namespace

absl::StatusOr<std::unique_ptr<IngestServer>> IngestServer::Start(
    const std::string& listen, const std::string& store_directory, FaultSpec faults,
    uint64_t seed) {
  absl::StatusOr<std::unique_ptr<IngestStore>> store = IngestStore::Open(store_directory);
  if (!store.ok()) return store.status();
  absl::StatusOr<std::unique_ptr<SequenceStore>> sequences = SequenceStore::Open(store_directory);
  if (!sequences.ok()) return sequences.status();
  std::unique_ptr<IngestServer> server(
      new IngestServer(*std::move(store), *std::move(sequences), std::move(faults), seed));

  grpc::ServerBuilder builder;
  builder.AddListeningPort(listen, grpc::InsecureServerCredentials(), &server->port_);
  builder.RegisterService(&server->service_);
  builder.RegisterService(&server->sequence_service_);
  builder.SetMaxReceiveMessageSize(-1);  // No limit: see CheckSize.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kMinPingIntervalMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // Else a second server would quietly share the port, and get every other connection.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr) return ExplainListenFailure(listen);
  if (IsUnixAddress(listen)) server->port_ = 0;  // gRPC says 1.
  server->address_ = WithPort(listen, server->port_);
  return server;
}

IngestServer::IngestServer(std::unique_ptr<IngestStore> store,
                           std::unique_ptr<SequenceStore> sequences, FaultSpec faults,
                           uint64_t seed)
    : store_(std::move(store)),
      sequences_(std::move(sequences)),
      faults_(std::move(faults), seed),
      service_(*store_, faults_),
      sequence_service_(*sequences_, faults_) {}

IngestServer::~IngestServer() { Shutdown(); }

void IngestServer::Shutdown(std::chrono::milliseconds grace) {
  if (server_ == nullptr) return;
  service_.StopWaiting();
  server_->Shutdown(std::chrono::system_clock::now() + grace);
}

}  // namespace ingest
