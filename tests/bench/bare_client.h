// The least that a client can do to upload: the baseline of uploads.
#ifndef DATAMANAGER_TESTS_BENCH_BARE_CLIENT_H_
#define DATAMANAGER_TESTS_BENCH_BARE_CLIENT_H_

#include <grpcpp/channel.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/child.h"
#include "tests/bench/settings.h"

namespace datamanager::bench {

struct Counts {
  uint64_t calls = 0;
  uint64_t messages = 0;
  uint64_t bytes = 0;    // Of the messages.
  uint64_t records = 0;  // Of unary requests, where they are parsed.

  friend bool operator==(const Counts&, const Counts&) = default;
};
std::string Text(const Counts& counts);

// bench_server as a process, and a channel to it that is READY, with the library's options.
class BenchServer {
 public:
  BenchServer(const Settings& settings, std::vector<std::string> options);

  const std::string& address() const { return address_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  // Since the last call.
  Counts TakeCounts();

 private:
  Child process_;
  std::string address_;
  std::shared_ptr<grpc::Channel> channel_;
};

// Calls `upload(i)` for each i below `count`, from as many threads as there are workers. `upload`
// is made by `make`, once for each thread.
using Upload = std::function<void(size_t i)>;
void InParallel(size_t count, int workers, const std::function<Upload()>& make);

// One unary call at a time. One thread.
class BareUnary {
 public:
  BareUnary(const std::shared_ptr<grpc::Channel>& channel, std::string method);
  ~BareUnary();
  BareUnary(const BareUnary&) = delete;
  BareUnary& operator=(const BareUnary&) = delete;

  // Blocks for the answer.
  grpc::ByteBuffer Call(const grpc::ByteBuffer& request);

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

// Streams messages, each once the one before is taken, until `next` has none; blocks for the
// answer.
void BareStream(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                const std::function<bool(grpc::ByteBuffer& message)>& next);

// A message that takes the bytes over.
grpc::ByteBuffer MessageOf(std::unique_ptr<char[]> bytes, size_t size);

}  // namespace datamanager::bench

#endif  // DATAMANAGER_TESTS_BENCH_BARE_CLIENT_H_
