// The upload service: takes what clients send, checks it, and has it stored.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_SERVICE_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_SERVICE_H_

#include <grpcpp/server_context.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>

#include "base/mutex.h"
#include "ingest_server/authenticator.h"
#include "ingest_server/fault_injector.h"
#include "ingest_server/store.h"
#include "viam/app/datasync/v1/data_sync.grpc.pb.h"

namespace ingest {

// How often faults have struck.
struct FaultCounts {
  uint64_t delays = 0;  // Counted when they begin.
  uint64_t failures = 0;
  uint64_t stalls = 0;
  uint64_t drops = 0;  // Stored, and not answered.
};

// Answers OK only once all of an upload is on media. Thread-safe.
class IngestService final : public viam::app::datasync::v1::DataSyncService::Service {
 public:
  // All must outlive it. Null: everybody may upload.
  IngestService(IngestStore& store, FaultInjector& faults, Authenticator* authenticator)
      : store_(store), faults_(faults), authenticator_(authenticator) {}

  // Ends delays and stalls, so that their calls do not hold up the end of the server.
  void StopWaiting() { stop_.request_stop(); }

  FaultCounts fault_counts() const { return {delays_, failures_, stalls_, drops_}; }

  grpc::Status DataCaptureUpload(
      grpc::ServerContext* context,
      const viam::app::datasync::v1::DataCaptureUploadRequest* request,
      viam::app::datasync::v1::DataCaptureUploadResponse* response) override;
  grpc::Status FileUpload(grpc::ServerContext* context,
                          grpc::ServerReader<viam::app::datasync::v1::FileUploadRequest>* reader,
                          viam::app::datasync::v1::FileUploadResponse* response) override;
  grpc::Status StreamingDataCaptureUpload(
      grpc::ServerContext* context,
      grpc::ServerReader<viam::app::datasync::v1::StreamingDataCaptureUploadRequest>* reader,
      viam::app::datasync::v1::StreamingDataCaptureUploadResponse* response) override;

 private:
  // Called with how many messages of content have been read. An error ends the call.
  using Progress = std::function<absl::Status(int messages)>;

  // What the three calls have in common; `receive` takes a Progress and yields a checked Upload or
  // an error.
  template <typename Response, typename Receive>
  grpc::Status Handle(grpc::ServerContext& context,
                      const viam::app::datasync::v1::UploadMetadata& metadata, Response& response,
                      Receive receive);
  // What was stored before of the content that a stream announces: it need not be sent again.
  absl::StatusOr<Stored> FindAnnounced(const grpc::ServerContext& context,
                                       const viam::app::datasync::v1::UploadMetadata& metadata);
  // The failure or stall of a call, if it is time for it.
  absl::Status Strike(const grpc::ServerContext& context, const Faults& faults, int messages);
  // False if the server shuts down before `end`.
  bool WaitUntil(datamanager::MonotonicTime end) DM_EXCLUDES(mutex_);

  IngestStore& store_;
  FaultInjector& faults_;
  Authenticator* const authenticator_;
  std::stop_source stop_;
  std::atomic<uint64_t> failures_ = 0;
  std::atomic<uint64_t> delays_ = 0;
  std::atomic<uint64_t> stalls_ = 0;
  std::atomic<uint64_t> drops_ = 0;

  datamanager::Mutex mutex_;
  datamanager::CondVar never_;
};

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_SERVICE_H_
