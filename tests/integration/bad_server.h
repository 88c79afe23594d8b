// An ingest server that misbehaves exactly as a test says, request by request.
#ifndef DATAMANAGER_TESTS_INTEGRATION_BAD_SERVER_H_
#define DATAMANAGER_TESTS_INTEGRATION_BAD_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "ingest_server/break_connection.h"
#include "ingest_server/service.h"
#include "ingest_server/upload_call.h"

namespace datamanager::testing {

enum class Fault {
  kNone,
  kCode,            // An error, and nothing stored.
  kStall,           // Never an answer, and nothing stored.
  kLateAnswer,      // Stored, and answered when nobody waits for it any more.
  kReset,           // The connection breaks, and nothing is stored.
  kDropAfterStore,  // Stored, and the connection breaks before the answer.
};

struct Misdeed {
  Fault fault = Fault::kNone;
  grpc::StatusCode code = grpc::StatusCode::OK;
};

// Decides on a request by its key: the how manieth new one it is, and how often it was tried
// before. One call at a time.
using Policy = std::function<Misdeed(int request, int tries)>;

// Stores into `directory` as the real one, of which it is made. Thread-safe.
class BadServer final : public viam::app::datasync::v1::DataSyncService::Service {
 public:
  BadServer(const std::string& address, const std::string& directory, Policy policy)
      : store_(*ingest::IngestStore::Open(directory)), policy_(std::move(policy)) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    builder.SetMaxReceiveMessageSize(-1);
    server_ = builder.BuildAndStart();
  }
  ~BadServer() override { server_->Shutdown(std::chrono::system_clock::now()); }

  int port() const { return port_; }
  // How often each was done.
  int Count(Fault fault) const {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(fault);
    return found == counts_.end() ? 0 : found->second;
  }
  int CountOf(grpc::StatusCode code) const {
    const std::lock_guard lock(mutex_);
    const auto found = codes_.find(code);
    return found == codes_.end() ? 0 : found->second;
  }
  // Requests that came more than once.
  int repeated() const {
    const std::lock_guard lock(mutex_);
    int sum = 0;
    for (const auto& [key, request] : requests_) sum += request.tries - 1;
    return sum;
  }

 private:
  struct Request {
    int number = 0;
    int tries = 0;
  };

  Misdeed Choose(const grpc::ServerContext& context) {
    const auto found = context.client_metadata().find(ingest::kUploadKey);
    const std::string key(found->second.data(), found->second.size());
    const std::lock_guard lock(mutex_);
    const auto [request, is_new] =
        requests_.try_emplace(key, Request{.number = static_cast<int>(requests_.size())});
    const Misdeed misdeed = policy_(request->second.number, request->second.tries++);
    ++counts_[misdeed.fault];
    if (misdeed.fault == Fault::kCode) ++codes_[misdeed.code];
    return misdeed;
  }
  static void WaitUntilNobodyWaits(const grpc::ServerContext& context) {
    while (!context.IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  template <typename Store>
  grpc::Status Handle(grpc::ServerContext& context, Store store) {
    const Misdeed misdeed = Choose(context);
    switch (misdeed.fault) {
      case Fault::kNone:
        return store();
      case Fault::kCode:
        return {misdeed.code, "an injected fault"};
      case Fault::kStall:
        WaitUntilNobodyWaits(context);
        return grpc::Status::CANCELLED;
      case Fault::kLateAnswer: {
        const grpc::Status status = store();
        WaitUntilNobodyWaits(context);
        return status;
      }
      case Fault::kReset:
        ingest::BreakConnection(context.peer());
        return {grpc::StatusCode::UNAVAILABLE, "nobody hears this"};
      case Fault::kDropAfterStore: {
        const grpc::Status status = store();
        ingest::BreakConnection(context.peer());
        return status;
      }
    }
    return grpc::Status::OK;
  }

  grpc::Status DataCaptureUpload(
      grpc::ServerContext* context,
      const viam::app::datasync::v1::DataCaptureUploadRequest* request,
      viam::app::datasync::v1::DataCaptureUploadResponse* response) override {
    return Handle(*context, [&] { return service_.DataCaptureUpload(context, request, response); });
  }
  grpc::Status FileUpload(grpc::ServerContext* context,
                          grpc::ServerReader<viam::app::datasync::v1::FileUploadRequest>* reader,
                          viam::app::datasync::v1::FileUploadResponse* response) override {
    return Handle(*context, [&] { return service_.FileUpload(context, reader, response); });
  }
  grpc::Status StreamingDataCaptureUpload(
      grpc::ServerContext* context,
      grpc::ServerReader<viam::app::datasync::v1::StreamingDataCaptureUploadRequest>* reader,
      viam::app::datasync::v1::StreamingDataCaptureUploadResponse* response) override {
    return Handle(*context,
                  [&] { return service_.StreamingDataCaptureUpload(context, reader, response); });
  }

  const std::unique_ptr<ingest::IngestStore> store_;
  ingest::FaultInjector no_faults_{{}, 1};
  ingest::IngestService service_{*store_, no_faults_, nullptr};
  mutable std::mutex mutex_;
  const Policy policy_;
  std::map<std::string, Request> requests_;  // By key.
  std::map<Fault, int> counts_;
  std::map<grpc::StatusCode, int> codes_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_INTEGRATION_BAD_SERVER_H_
