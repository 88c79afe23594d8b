// A cloud, and a real server for it that a test can program, stop and start again.
#ifndef DATAMANAGER_TESTS_CLOUD_FIXTURE_H_
#define DATAMANAGER_TESTS_CLOUD_FIXTURE_H_

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "datamanager/cloud.h"
#include "tests/support/own_loopback.h"
#include "tests/support/token_office.h"
#include "tests/support/wait_until.h"
#include "uploader/uploader.h"
#include "viam/app/datasync/v1/data_sync.grpc.pb.h"

namespace datamanager::cloud {

namespace wire = ::viam::app::datasync::v1;

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

using testing::kPatience;

inline MonotonicTime Patience() { return Clock::System().MonotonicNow() + kPatience; }

// Happens once.
class Event {
 public:
  void Set() {
    MutexLock lock(mutex_);
    set_ = true;
    changed_.NotifyAll();
  }
  bool Wait(std::chrono::milliseconds limit = kPatience) {
    MutexLock lock(mutex_);
    return changed_.WaitUntil(mutex_, Clock::System().MonotonicNow() + limit, [this] {
      mutex_.AssertHeld();
      return set_;
    });
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool set_ DM_GUARDED_BY(mutex_) = false;
};

// Things that happen on other threads, in order.
template <typename T>
class Record {
 public:
  void Add(T item) {
    MutexLock lock(mutex_);
    items_.push_back(std::move(item));
    changed_.NotifyAll();
  }
  std::vector<T> All() {
    MutexLock lock(mutex_);
    return items_;
  }
  // Blocks until there are `count`; false after kPatience.
  bool WaitForCount(size_t count) {
    MutexLock lock(mutex_);
    return changed_.WaitUntil(mutex_, Patience(), [this, count] {
      mutex_.AssertHeld();
      return items_.size() >= count;
    });
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<T> items_ DM_GUARDED_BY(mutex_);
};

// What the server does with a call is a function that the test sets before the call.
class TestServer final : public wire::DataSyncService::Service {
 public:
  using FileReader = grpc::ServerReader<wire::FileUploadRequest>;

  TestServer() { Start(); }
  ~TestServer() override { Stop(); }

  // On the same port each time, and with the same credentials: none at first.
  void Start();
  void Start(std::shared_ptr<grpc::ServerCredentials> credentials);
  // Breaks all connections.
  void Stop();
  int port() const { return port_; }
  // host:port.
  std::string address() const { return testing::OwnLoopback(port_); }

  // Blocks a call until the client or the server ends it.
  static void Hang(grpc::ServerContext& context);

  std::function<grpc::Status(grpc::ServerContext&, const wire::DataCaptureUploadRequest&,
                             wire::DataCaptureUploadResponse&)>
      on_data_capture;
  std::function<grpc::Status(grpc::ServerContext&, FileReader&, wire::FileUploadResponse&)> on_file;
  // Lets calls in; it demands nothing at first.
  testing::TokenOffice office;
  // The upload key of each call that was let in, or "none".
  Record<std::string> keys;

 private:
  // Whether the call is let in.
  grpc::Status Admit(const grpc::ServerContext& context);
  grpc::Status DataCaptureUpload(grpc::ServerContext* context,
                                 const wire::DataCaptureUploadRequest* request,
                                 wire::DataCaptureUploadResponse* response) override;
  grpc::Status FileUpload(grpc::ServerContext* context, FileReader* reader,
                          wire::FileUploadResponse* response) override;
  grpc::Status StreamingDataCaptureUpload(
      grpc::ServerContext* context,
      grpc::ServerReader<wire::StreamingDataCaptureUploadRequest>* reader,
      wire::StreamingDataCaptureUploadResponse* response) override;

  int port_ = 0;
  std::shared_ptr<grpc::ServerCredentials> credentials_ = grpc::InsecureServerCredentials();
  std::unique_ptr<grpc::Server> server_;
};

class CloudTest : public ::testing::Test {
 protected:
  // Before the test's own members go, which the server's functions refer to.
  void TearDown() override { server_.Stop(); }

  // Adds to log_.
  LogSink Sink();
  // A cloud whose log goes to log_.
  std::shared_ptr<Cloud> MakeCloud(const CloudConfig& config);
  // A plaintext one at `address`.
  std::shared_ptr<Cloud> MakeCloud(const std::string& address);
  // One that is connected to server_.
  std::shared_ptr<Cloud> MakeConnectedCloud();
  // Blocks until `cloud` is in `state`; false after kPatience.
  static bool WaitForState(const Cloud& cloud, ConnectionState state);
  // Blocks until the log has a line that begins so, and returns it; empty after kPatience.
  std::string WaitForLog(std::string_view beginning);

  Record<std::string> log_;
  TestServer server_;
};

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_TESTS_CLOUD_FIXTURE_H_
