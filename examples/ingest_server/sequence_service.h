// The service that takes sequences.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_SEQUENCE_SERVICE_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_SEQUENCE_SERVICE_H_

#include <grpcpp/server_context.h>

#include "ingest_server/authenticator.h"
#include "ingest_server/fault_injector.h"
#include "ingest_server/sequence_store.h"
#include "viam/app/data/v1/data.grpc.pb.h"

namespace ingest {

// Answers OK only once a sequence is on media. Of the faults only failures strike it, by the names
// of its resources. Thread-safe.
class SequenceService final : public viam::app::data::v1::DataService::Service {
 public:
  // All must outlive it. Null: everybody may upload.
  SequenceService(SequenceStore& store, FaultInjector& faults, Authenticator* authenticator)
      : store_(store), faults_(faults), authenticator_(authenticator) {}

  grpc::Status CreateSequence(grpc::ServerContext* context,
                              const viam::app::data::v1::CreateSequenceRequest* request,
                              viam::app::data::v1::CreateSequenceResponse* response) override;

 private:
  SequenceStore& store_;
  FaultInjector& faults_;
  Authenticator* const authenticator_;
};

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_SEQUENCE_SERVICE_H_
