// The whole ingest server, for the program and for tests that run it in their own process.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_SERVER_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_SERVER_H_

#include <grpcpp/server.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <string>

#include "absl/status/statusor.h"
#include "datamanager/clock.h"
#include "ingest_server/auth_service.h"
#include "ingest_server/authenticator.h"
#include "ingest_server/fault_injector.h"
#include "ingest_server/sequence_service.h"
#include "ingest_server/sequence_store.h"
#include "ingest_server/service.h"
#include "ingest_server/store.h"
#include "ingest_server/tls.h"

namespace ingest {

struct ServerOptions {
  std::string listen;  // HOST:PORT, where port 0 lets the system choose, or unix:PATH.
  std::string store;   // The directory.
  FaultSpec faults;
  uint64_t seed = std::random_device()();  // Decides which calls the faults befall.

  TlsFiles tls;
  // The file of those who may upload, after they have authenticated; empty: everybody may.
  std::string credentials;
  std::chrono::seconds token_lifetime = std::chrono::minutes(15);
  // By whose wall clock tokens expire; must outlive the server.
  const datamanager::Clock* clock = &datamanager::Clock::System();
};

// A DataSyncService, a DataService and an AuthService that listen, and a store. Thread-safe. After
// Shutdown, or // with this object gone, another one may be started on the same address and
// directory.
class IngestServer {
 public:
  // Returns once it accepts connections.
  static absl::StatusOr<std::unique_ptr<IngestServer>> Start(ServerOptions options);

  // Shuts down.
  ~IngestServer();
  IngestServer(const IngestServer&) = delete;
  IngestServer& operator=(const IngestServer&) = delete;

  // 0 for a unix socket.
  int port() const { return port_; }
  // What a client dials: as given to Start, with the true port.
  const std::string& address() const { return address_; }
  // Remains open after Shutdown.
  const IngestStore& store() const { return *store_; }
  const SequenceStore& sequences() const { return *sequences_; }

  // Reads the credentials again: see Authenticator::Reload. FAILED_PRECONDITION if everybody may
  // upload.
  absl::StatusOr<size_t> ReloadCredentials();
  AuthenticationCounts authentication_counts() const { return auth_service_.counts(); }

  // How often faults have struck.
  FaultCounts fault_counts() const { return service_.fault_counts(); }

  void SetFaults(FaultSpec faults) { faults_.SetSpec(std::move(faults)); }
  // The next `count` uploads fail with `code` before anything is stored.
  void FailNext(int count, grpc::StatusCode code) { faults_.FailNext(count, code); }

  // Accepts no more calls, gives those under way `grace` to end, then cancels them. Blocks until
  // all have ended; a second call does nothing.
  void Shutdown(std::chrono::milliseconds grace = std::chrono::seconds(1));

 private:
  IngestServer(std::unique_ptr<IngestStore> store, std::unique_ptr<SequenceStore> sequences,
               std::unique_ptr<Authenticator> authenticator, FaultSpec faults, uint64_t seed);

  const std::unique_ptr<IngestStore> store_;
  const std::unique_ptr<SequenceStore> sequences_;
  const std::unique_ptr<Authenticator> authenticator_;  // Null without credentials.
  FaultInjector faults_;
  IngestService service_;
  SequenceService sequence_service_;
  AuthService auth_service_;
  std::string address_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_SERVER_H_
