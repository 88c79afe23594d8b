#include "datamanager/service.h"

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <stop_token>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/caught.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "base/thread.h"
#include "service/stats_struct.h"
#include "viam/service/datamanager/v1/data_manager.grpc.pb.h"

namespace datamanager {
namespace {

namespace v1 = viam::service::datamanager::v1;
namespace common = viam::common::v1;
namespace datasync = viam::app::datasync::v1;

constexpr char kCommand[] = "command";

grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

// As DataManager has them. What a client of a later version may send has none.
std::string_view MimeTypeText(datasync::MimeType type) {
  switch (type) {
    case datasync::MIME_TYPE_IMAGE_JPEG:
      return "image/jpeg";
    case datasync::MIME_TYPE_IMAGE_PNG:
      return "image/png";
    case datasync::MIME_TYPE_APPLICATION_PCD:
      return "pointcloud/pcd";
    case datasync::MIME_TYPE_VIDEO_MP4:
      return "video/mp4";
    default:
      return "";
  }
}

// The name in {"command": NAME}.
absl::StatusOr<std::string> CommandOf(const google::protobuf::Struct& command) {
  const auto name = command.fields().find(kCommand);
  if (name == command.fields().end() || command.fields_size() != 1 ||
      name->second.kind_case() != google::protobuf::Value::kStringValue) {
    return absl::InvalidArgumentError(
        "a command is {\"command\": NAME} and nothing else; NAME is \"stats\", \"flush\" or "
        "\"retry_failed\"");
  }
  return name->second.string_value();
}

// What outlives the service, if a thread is slow to end.
struct CallCount {
  Mutex mutex;
  CondVar changed;
  int under_way DM_GUARDED_BY(mutex) = 0;
};

// A request under way.
class Call final : public grpc::ServerUnaryReactor {
 public:
  std::stop_token stop() const { return stop_.get_token(); }

  void OnCancel() override { stop_.request_stop(); }
  void OnDone() override { delete this; }

 private:
  const std::stop_source stop_;
};

// gRPC's own threads are not to be held up: a request that may block has a thread of its own.
class Service final : public v1::DataManagerService::CallbackService {
 public:
  Service(DataManager& manager, DataManagerServiceOptions options)
      : manager_(manager), options_(std::move(options)) {}
  // Whatever its threads do with the manager has been done.
  ~Service() override {
    MutexLock lock(calls_->mutex);
    calls_->changed.Wait(calls_->mutex, [this] {
      calls_->mutex.AssertHeld();
      return calls_->under_way == 0;
    });
  }

  grpc::ServerUnaryReactor* Sync(grpc::CallbackServerContext* /*context*/,
                                 const v1::SyncRequest* request,
                                 v1::SyncResponse* /*response*/) override {
    return Run(request->name(),
               [this](std::stop_token stop) { return manager_.Sync({.stop = std::move(stop)}); });
  }

  grpc::ServerUnaryReactor* UploadBinaryDataToDatasets(
      grpc::CallbackServerContext* /*context*/,
      const v1::UploadBinaryDataToDatasetsRequest* request,
      v1::UploadBinaryDataToDatasetsResponse* /*response*/) override {
    return Run(request->name(), [this, request](std::stop_token stop) {
      const UploadLabels labels{
          .tags = {request->tags().begin(), request->tags().end()},
          .dataset_ids = {request->dataset_ids().begin(), request->dataset_ids().end()}};
      return manager_.UploadBinaryDataToDatasets(request->binary_data(), labels,
                                                 MimeTypeText(request->mime_type()),
                                                 {.stop = std::move(stop)});
    });
  }

  grpc::ServerUnaryReactor* GetStatus(grpc::CallbackServerContext* /*context*/,
                                      const common::GetStatusRequest* request,
                                      common::GetStatusResponse* response) override {
    return Run(request->name(), [this, response](const std::stop_token& /*stop*/) {
      *response->mutable_result() = service::ToStruct(service::ToMap(manager_.Stats()));
      return absl::OkStatus();
    });
  }

  grpc::ServerUnaryReactor* DoCommand(grpc::CallbackServerContext* /*context*/,
                                      const common::DoCommandRequest* request,
                                      common::DoCommandResponse* response) override {
    return Run(request->name(), [this, request, response](std::stop_token stop) {
      return Do(request->command(), std::move(stop), *response->mutable_result());
    });
  }

 private:
  absl::Status Do(const google::protobuf::Struct& command, std::stop_token stop,
                  google::protobuf::Struct& result) {
    const absl::StatusOr<std::string> name = CommandOf(command);
    if (!name.ok()) return name.status();
    if (*name == "stats") {
      result = service::ToStruct(service::ToMap(manager_.Stats()));
      return absl::OkStatus();
    }
    if (*name == "flush") return manager_.Flush(std::move(stop));
    if (*name == "retry_failed") {
      const absl::StatusOr<RetriedFiles> retried = manager_.RetryFailed();
      if (!retried.ok()) return retried.status();
      ValueMap map;
      map.Set("moved", retried->moved);
      map.Set("left", retried->left);
      ValueList& errors = map.Add("errors").SetList();
      for (const std::string& error : retried->errors) errors.Append(error);
      result = service::ToStruct(map);
      return absl::OkStatus();
    }
    return absl::UnimplementedError(
        absl::StrCat("there is no command \"", *name,
                     "\"; there are \"stats\", \"flush\" and \"retry_failed\""));
  }

  // Does `work` in a thread of the call's own, if the request is for this manager.
  grpc::ServerUnaryReactor* Run(const std::string& name,
                                std::function<absl::Status(std::stop_token)> work) {
    auto* const call = new Call;  // Deletes itself.
    absl::Status status = Begin(name);
    if (!status.ok()) {
      call->Finish(ToGrpc(status));
      return call;
    }
    absl::StatusOr<Thread> thread = Thread::Start("dm-serve", kSystemStackBytes,
                                                  [call, work = std::move(work), calls = calls_] {
                                                    absl::Status result;
                                                    try {
                                                      result = work(call->stop());
                                                    } catch (...) {
                                                      result = CaughtStatus("the call");
                                                    }
                                                    // By then the manager is not needed: who closes
                                                    // it may go on.
                                                    End(*calls);
                                                    call->Finish(ToGrpc(result));
                                                  });
    if (!thread.ok()) {
      End(*calls_);
      call->Finish(ToGrpc(thread.status()));
      return call;
    }
    thread->Detach();
    return call;
  }

  absl::Status Begin(const std::string& name) {
    if (!name.empty() && name != options_.name) {
      return absl::NotFoundError(
          absl::StrCat("no node found with api rdk:service:data_manager and name ", name));
    }
    MutexLock lock(calls_->mutex);
    if (calls_->under_way >= options_.most_calls) {
      return absl::ResourceExhaustedError(
          absl::StrCat(calls_->under_way, " calls are under way, the most there may be"));
    }
    ++calls_->under_way;
    return absl::OkStatus();
  }

  static void End(CallCount& calls) {
    MutexLock lock(calls.mutex);
    --calls.under_way;
    calls.changed.NotifyAll();
  }

  DataManager& manager_;
  const DataManagerServiceOptions options_;
  const std::shared_ptr<CallCount> calls_ = std::make_shared<CallCount>();
};

}  // namespace

std::unique_ptr<grpc::Service> MakeDataManagerService(DataManager& manager,
                                                      DataManagerServiceOptions options) {
  return std::make_unique<Service>(manager, std::move(options));
}

}  // namespace datamanager
