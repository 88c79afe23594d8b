// A server of a robot's components and services, as the files below proto/ declare them.
#ifndef DATAMANAGER_TESTS_SUPPORT_COMPONENT_SERVER_H_
#define DATAMANAGER_TESTS_SUPPORT_COMPONENT_SERVER_H_

#include <google/protobuf/dynamic_message.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace datamanager::testing {

// It works on descriptors, in a pool of its own: there can be no generated class of
// viam.component.switch.v1 ("switch" is a word of C++), and nothing is shared with the core.
// Thread-safe.
class ComponentServer {
 public:
  // What one call is answered with.
  struct Answer {
    std::vector<std::string> messages;  // In Protobuf's text format.
    std::string raw = "";               // Sent after them as it is, if not empty.
    grpc::Status status = grpc::Status::OK;
    bool hangs = false;  // Neither, until it is cancelled.
  };

  ComponentServer();
  ~ComponentServer();

  // Listens on HOST:PORT or unix:PATH; port 0 is chosen once, and the same at each later start.
  void Start(const std::string& address);
  // Cancels what is under way.
  void Stop();
  const std::string& address() const { return address_; }

  // `method` is "package.Service/Method". Calls for `resource` are answered with these in turn; for
  // one without, NOT_FOUND, and UNIMPLEMENTED if there is none at all.
  void Set(const std::string& method, const std::string& resource, std::vector<Answer> answers);

  // The requests so far, in text format, oldest first.
  std::vector<std::string> Asked(const std::string& method, const std::string& resource) const;
  // A request in the form in which Asked returns it.
  std::string Normal(const std::string& method, const std::string& request) const;
  // How many calls have been cancelled before their answer.
  int cancelled() const;
  // The most calls of one method and resource that were ever under way together.
  int most_at_once() const;

 private:
  class Call;
  class Service;
  struct Declared;
  using Key = std::pair<std::string, std::string>;  // Method and resource.
  struct Resource {
    std::vector<Answer> answers;
    std::vector<std::string> asked;
    int under_way = 0;
  };

  const std::unique_ptr<Declared> declared_;
  std::string address_;
  std::unique_ptr<grpc::CallbackGenericService> service_;  // Of one server, says gRPC.
  std::unique_ptr<grpc::Server> server_;

  mutable std::mutex mutex_;  // Guards what follows.
  std::map<Key, Resource> resources_;
  int cancelled_ = 0;
  int most_at_once_ = 0;
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_COMPONENT_SERVER_H_
