// An uploader that forgets the keys; for tests of the tests.
#ifndef DATAMANAGER_TESTS_SIMULATION_KEYLESS_UPLOADER_H_
#define DATAMANAGER_TESTS_SIMULATION_KEYLESS_UPLOADER_H_

#include <atomic>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>

#include "tests/support/blocking_uploader.h"
#include "uploader/uploader.h"

namespace datamanager::simulation {

// Each call comes to the server as one that it has never seen, as calls without a key do.
class KeylessUploader final : public testing::BlockingUploader {
 public:
  explicit KeylessUploader(testing::BlockingUploader& server) : server_(server) {}

  sync::CallResult Unary(sync::UploadMethod method, std::string request,
                         const sync::CallOptions& options) override {
    return server_.Unary(method, std::move(request), Keyless(options));
  }
  std::unique_ptr<testing::BlockingStream> OpenStream(sync::UploadMethod method,
                                                      const sync::CallOptions& options) override {
    return server_.OpenStream(method, Keyless(options));
  }
  sync::UploadSession NewSession() const override { return server_.NewSession(); }
  ConnectionStatus Status() const override { return server_.Status(); }
  bool Ready() const override { return server_.Ready(); }
  void RequestConnect() override { server_.RequestConnect(); }
  bool WaitUntilReady(MonotonicTime deadline, std::stop_token stop) override {
    return server_.WaitUntilReady(deadline, std::move(stop));
  }
  void SetReadyListener(std::function<void(bool ready)> listener) override {
    server_.SetReadyListener(std::move(listener));
  }

 private:
  sync::CallOptions Keyless(sync::CallOptions options) {
    options.upload_key = "call " + std::to_string(++calls_);
    return options;
  }

  testing::BlockingUploader& server_;
  std::atomic<int> calls_{0};
};

}  // namespace datamanager::simulation

#endif  // DATAMANAGER_TESTS_SIMULATION_KEYLESS_UPLOADER_H_
