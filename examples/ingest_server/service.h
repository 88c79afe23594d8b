// The upload service: takes what clients send, checks it, and has it stored.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_SERVICE_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_SERVICE_H_

#include <grpcpp/server_context.h>

#include <chrono>
#include <stop_token>

#include "base/mutex.h"
#include "ingest_server/fault_injector.h"
#include "ingest_server/store.h"
#include "viam/app/datasync/v1/data_sync.grpc.pb.h"

namespace ingest {

// Request metadata that names an upload. A repeat with the same one is acknowledged, not stored.
inline constexpr char kUploadKey[] = "datamanager-upload-key";

// Answers OK only once all of an upload is on media. Thread-safe.
class IngestService final : public viam::app::datasync::v1::DataSyncService::Service {
 public:
  // Both must outlive it.
  IngestService(IngestStore& store, FaultInjector& faults) : store_(store), faults_(faults) {}

  // Ends delays under way, so that their calls do not hold up the end of the server.
  void StopDelays() { stop_.request_stop(); }

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
  // What the three calls have in common; `receive` yields a checked Upload or an error.
  template <typename Response, typename Receive>
  grpc::Status Handle(grpc::ServerContext& context, Response& response, Receive receive);
  // False if the delay was ended early.
  bool Delay(std::chrono::nanoseconds duration) DM_EXCLUDES(mutex_);

  IngestStore& store_;
  FaultInjector& faults_;
  std::stop_source stop_;

  datamanager::Mutex mutex_;
  datamanager::CondVar never_;
};

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_SERVICE_H_
