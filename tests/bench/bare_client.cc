#include "tests/bench/bare_client.h"

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cloud/channel.h"
#include "tests/bench/compare.h"

namespace datamanager::bench {
namespace {

std::vector<std::string> CommandOf(const Settings& settings, std::vector<std::string> options) {
  options.insert(options.begin(), settings.programs + "/bench_server");
  return options;
}

void AwaitNext(grpc::CompletionQueue& queue, const char* what) {
  void* tag = nullptr;
  bool ok = false;
  Require(queue.Next(&tag, &ok) && ok, absl::StrCat("a bare call cannot ", what));
}

void Drain(grpc::CompletionQueue& queue) {
  queue.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue.Next(&tag, &ok)) {
  }
}

}  // namespace

std::string Text(const Counts& counts) {
  return absl::StrCat(counts.calls, " calls, ", counts.messages, " messages, ", counts.bytes,
                      " bytes, ", counts.records, " records");
}

BenchServer::BenchServer(const Settings& settings, std::vector<std::string> options)
    : process_(CommandOf(settings, std::move(options))), address_(process_.ReadLine()) {
  channel_ =
      cloud::MakeChannel({.address = *cloud::ParseAppAddress("http://" + address_)}, {}, nullptr);
  Require(channel_->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(20)),
          "no connection to bench_server");
}

Counts BenchServer::TakeCounts() {
  const grpc::Slice nothing("");
  grpc::Slice text;
  BareUnary unary(channel_, "/bench/Counts");
  Require(unary.Call(grpc::ByteBuffer(&nothing, 1)).DumpToSingleSlice(&text).ok(), "no counts");
  const std::string line(reinterpret_cast<const char*>(text.begin()), text.size());
  Counts counts;
  Require(std::sscanf(line.c_str(), "%lu %lu %lu %lu", &counts.calls, &counts.messages,
                      &counts.bytes, &counts.records) == 4,
          "bench_server's counts cannot be read");
  return counts;
}

void InParallel(size_t count, int workers, const std::function<Upload()>& make) {
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  std::vector<std::thread> threads;
  for (int i = 0; i < workers; ++i) {
    threads.emplace_back([&] {
      try {
        const Upload upload = make();
        for (size_t at = next++; at < count; at = next++) upload(at);
      } catch (...) {
        const std::lock_guard lock(mutex);
        failure = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (failure != nullptr) std::rethrow_exception(failure);
}

struct BareUnary::State {
  explicit State(const std::shared_ptr<grpc::Channel>& channel) : stub(channel) {}

  grpc::GenericStub stub;
  grpc::CompletionQueue queue;
  std::string method;
};

BareUnary::BareUnary(const std::shared_ptr<grpc::Channel>& channel, std::string method)
    : state_(std::make_unique<State>(channel)) {
  state_->method = std::move(method);
}

BareUnary::~BareUnary() { Drain(state_->queue); }

grpc::ByteBuffer BareUnary::Call(const grpc::ByteBuffer& request) {
  grpc::ClientContext context;
  const auto call =
      state_->stub.PrepareUnaryCall(&context, state_->method, request, &state_->queue);
  grpc::ByteBuffer reply;
  grpc::Status status;
  call->StartCall();
  call->Finish(&reply, &status, nullptr);
  AwaitNext(state_->queue, "end");
  Require(status.ok(), absl::StrCat("a bare call fails: ", status.error_message()));
  return reply;
}

void BareStream(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                const std::function<bool(grpc::ByteBuffer& message)>& next) {
  grpc::GenericStub stub(channel);
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  context.set_initial_metadata_corked(true);
  const auto call = stub.PrepareCall(&context, method, &queue);
  call->StartCall(nullptr);
  grpc::ByteBuffer message;
  while (next(message)) {
    call->Write(message, nullptr);
    AwaitNext(queue, "write");
    message.Clear();
  }
  call->WritesDone(nullptr);
  AwaitNext(queue, "end its writes");
  grpc::ByteBuffer reply;
  call->Read(&reply, nullptr);
  AwaitNext(queue, "read its answer");
  grpc::Status status;
  call->Finish(&status, nullptr);
  AwaitNext(queue, "finish");
  Require(status.ok(), absl::StrCat("a bare stream fails: ", status.error_message()));
  Drain(queue);
}

grpc::ByteBuffer MessageOf(std::unique_ptr<char[]> bytes, size_t size) {
  char* const data = bytes.release();
  const grpc::Slice slice(
      data, size, [](void* memory) { delete[] static_cast<char*>(memory); }, data);
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace datamanager::bench
