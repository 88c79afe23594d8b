#include "tests/support/component_server.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/text_format.h>
#include <grpc/grpc.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

#include "tests/support/files.h"

namespace datamanager::testing {
namespace {

using google::protobuf::Message;
using grpc::StatusCode;

// The name of what is asked: the first field of every request.
std::string ResourceOf(const Message& request) {
  const auto* field = request.GetDescriptor()->FindFieldByNumber(1);
  return request.GetReflection()->GetString(request, field);
}

}  // namespace

struct ComponentServer::Declared {
  Declared() {
    google::protobuf::FileDescriptorSet files;
    EXPECT_TRUE(files.ParseFromString(ReadFile(DESCRIPTOR_SET)));
    // Each after those that it imports.
    for (const auto& file : files.file()) EXPECT_NE(pool.BuildFile(file), nullptr) << file.name();
  }

  // Null if no file declares it.
  const google::protobuf::MethodDescriptor* Find(std::string method) const {
    std::replace(method.begin(), method.end(), '/', '.');
    return pool.FindMethodByName(method);
  }
  std::unique_ptr<Message> New(const google::protobuf::Descriptor* type) {
    return std::unique_ptr<Message>(factory.GetPrototype(type)->New());
  }
  std::unique_ptr<Message> Parse(const google::protobuf::Descriptor* type,
                                 const std::string& text) {
    std::unique_ptr<Message> message = New(type);
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, message.get())) << text;
    return message;
  }

  google::protobuf::DescriptorPool pool;
  google::protobuf::DynamicMessageFactory factory;
};

// One call; owns itself.
class ComponentServer::Call : public grpc::ServerGenericBidiReactor {
 public:
  Call(ComponentServer& server, std::string method)
      : server_(server), method_(std::move(method)), type_(server.declared_->Find(method_)) {
    StartRead(&buffer_);
  }

  void OnReadDone(bool ok) override {
    if (!ok || type_ == nullptr)
      return End({StatusCode::UNIMPLEMENTED, "unknown method " + method_});
    const std::unique_ptr<Message> request = server_.declared_->New(type_->input_type());
    grpc::ProtoBufferReader reader(&buffer_);
    if (!request->ParseFromZeroCopyStream(&reader)) {
      return End({StatusCode::INVALID_ARGUMENT, "no " + type_->input_type()->name()});
    }
    Take(*request);
    if (!answer_.hangs) return Continue();
    hanging_ = true;
    if (cancelled_) End(grpc::Status::CANCELLED);
  }
  void OnWriteDone(bool ok) override { ok ? Continue() : End(grpc::Status::CANCELLED); }
  void OnCancel() override {
    {
      const std::lock_guard lock(server_.mutex_);
      ++server_.cancelled_;
    }
    cancelled_ = true;
    if (hanging_) End(grpc::Status::CANCELLED);
  }
  void OnDone() override { delete this; }

 private:
  // Notes the request, and what it is to be answered with.
  void Take(const Message& request) {
    const std::lock_guard lock(server_.mutex_);
    const auto found = server_.resources_.find({method_, ResourceOf(request)});
    if (found == server_.resources_.end()) {
      answer_.status = {StatusCode::NOT_FOUND, "resource " + ResourceOf(request) + " not found"};
      const bool served =
          std::any_of(server_.resources_.begin(), server_.resources_.end(),
                      [this](const auto& entry) { return entry.first.first == method_; });
      if (!served) answer_.status = {StatusCode::UNIMPLEMENTED, "unknown service"};
      return;
    }
    resource_ = &found->second;
    answer_ = resource_->answers[resource_->asked.size() % resource_->answers.size()];
    resource_->asked.push_back(request.ShortDebugString());
    server_.most_at_once_ = std::max(server_.most_at_once_, ++resource_->under_way);
  }
  void Continue() {
    if (written_ < answer_.messages.size()) {
      const auto message =
          server_.declared_->Parse(type_->output_type(), answer_.messages[written_++]);
      return Send(message->SerializeAsString());
    }
    if (!answer_.raw.empty()) return Send(std::exchange(answer_.raw, ""));
    End(answer_.status);
  }
  void Send(const std::string& bytes) {
    const grpc::Slice slice(bytes);
    buffer_ = grpc::ByteBuffer(&slice, 1);
    StartWrite(&buffer_);
  }
  void End(const grpc::Status& status) {
    if (ended_.exchange(true)) return;
    if (resource_ != nullptr) {
      const std::lock_guard lock(server_.mutex_);
      --resource_->under_way;
    }
    Finish(status);
  }

  ComponentServer& server_;
  const std::string method_;
  const google::protobuf::MethodDescriptor* const type_;
  grpc::ByteBuffer buffer_;
  Answer answer_;
  Resource* resource_ = nullptr;
  size_t written_ = 0;
  std::atomic<bool> hanging_ = false;
  std::atomic<bool> cancelled_ = false;
  std::atomic<bool> ended_ = false;
};

class ComponentServer::Service : public grpc::CallbackGenericService {
 public:
  explicit Service(ComponentServer& server) : server_(server) {}
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    return new Call(server_, context->method().substr(1));
  }

 private:
  ComponentServer& server_;
};

ComponentServer::ComponentServer() : declared_(std::make_unique<Declared>()) {
  // The last one to leave gRPC may wait 10 s for its pollers: nobody is.
  [[maybe_unused]] static const bool initialised = (grpc_init(), true);
}

ComponentServer::~ComponentServer() { Stop(); }

void ComponentServer::Start(const std::string& address) {
  if (address_.empty()) address_ = address;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(address_, grpc::InsecureServerCredentials(), &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  service_ = std::make_unique<Service>(*this);
  builder.RegisterCallbackGenericService(service_.get());
  server_ = builder.BuildAndStart();
  ASSERT_NE(server_, nullptr) << address_;
  if (address_.ends_with(":0")) address_.replace(address_.size() - 1, 1, std::to_string(port));
}

void ComponentServer::Stop() {
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
  // What the calls did is over, as their locks tell who does not see into gRPC.
  const std::lock_guard lock(mutex_);
}

void ComponentServer::Set(const std::string& method, const std::string& resource,
                          std::vector<Answer> answers) {
  EXPECT_NE(declared_->Find(method), nullptr) << method;
  const std::lock_guard lock(mutex_);
  resources_[Key(method, resource)].answers = std::move(answers);
}

std::vector<std::string> ComponentServer::Asked(const std::string& method,
                                                const std::string& resource) const {
  const std::lock_guard lock(mutex_);
  const auto found = resources_.find(Key(method, resource));
  return found == resources_.end() ? std::vector<std::string>() : found->second.asked;
}

int ComponentServer::cancelled() const {
  const std::lock_guard lock(mutex_);
  return cancelled_;
}

int ComponentServer::most_at_once() const {
  const std::lock_guard lock(mutex_);
  return most_at_once_;
}

std::string ComponentServer::Normal(const std::string& method, const std::string& request) const {
  return declared_->Parse(declared_->Find(method)->input_type(), request)->ShortDebugString();
}

}  // namespace datamanager::testing
