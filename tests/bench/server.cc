// A server that takes what uploads send and counts it, as fast as can be: whatever the method, it
// reads all messages of a call and answers OK with an empty one.
//   bench_server [--delay MILLISECONDS] [--parse]
// Prints its port. --delay adds to each round trip; --parse has each unary request parsed.
//
// The method /bench/Counts answers what was counted since it was last called.
#include <grpcpp/alarm.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"
#include "google/protobuf/arena.h"
#include "tests/support/own_loopback.h"

namespace datamanager::bench {
namespace {

constexpr int kMaxMessageBytes = 1 << 25;  // As the real server.

struct Counts {
  std::atomic<uint64_t> calls{0};
  std::atomic<uint64_t> messages{0};
  std::atomic<uint64_t> bytes{0};
  std::atomic<uint64_t> records{0};
};

// A call under way; deletes itself at its end.
class Call final : public grpc::ServerGenericBidiReactor {
 public:
  Call(Counts& counts, std::chrono::milliseconds delay, bool parse)
      : counts_(counts), delay_(delay), parse_(parse) {
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      if (delay_.count() == 0) {
        Answer();
        return;
      }
      alarm_.Set(std::chrono::system_clock::now() + delay_, [this](bool) { Answer(); });
      return;
    }
    ++messages_;
    bytes_ += request_.Length();
    if (parse_ && !Parse()) {
      Finish(grpc::Status(grpc::StatusCode::INTERNAL, "the request does not parse"));
      return;
    }
    request_.Clear();
    StartRead(&request_);
  }
  void OnDone() override { delete this; }

 private:
  bool Parse() {
    google::protobuf::Arena arena;
    auto* request = google::protobuf::Arena::CreateMessage<
        wire::viam::app::datasync::v1::DataCaptureUploadRequest>(&arena);
    grpc::ProtoBufferReader reader(&request_);
    if (!request->ParseFromZeroCopyStream(&reader)) return false;
    records_ += static_cast<uint64_t>(request->sensor_contents_size());
    return true;
  }
  void Answer() {
    ++counts_.calls;
    counts_.messages += messages_;
    counts_.bytes += bytes_;
    counts_.records += records_;
    const grpc::Slice nothing("");
    reply_ = grpc::ByteBuffer(&nothing, 1);
    StartWriteAndFinish(&reply_, {}, grpc::Status::OK);
  }

  Counts& counts_;
  const std::chrono::milliseconds delay_;
  const bool parse_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer reply_;
  grpc::Alarm alarm_;
  uint64_t messages_ = 0;
  uint64_t bytes_ = 0;
  uint64_t records_ = 0;
};

class TellCounts final : public grpc::ServerGenericBidiReactor {
 public:
  explicit TellCounts(Counts& counts) {
    const grpc::Slice text(absl::StrCat(counts.calls.exchange(0), " ", counts.messages.exchange(0),
                                        " ", counts.bytes.exchange(0), " ",
                                        counts.records.exchange(0)));
    reply_ = grpc::ByteBuffer(&text, 1);
    StartWriteAndFinish(&reply_, {}, grpc::Status::OK);
  }
  void OnDone() override { delete this; }

 private:
  grpc::ByteBuffer reply_;
};

class Service final : public grpc::CallbackGenericService {
 public:
  Service(std::chrono::milliseconds delay, bool parse) : delay_(delay), parse_(parse) {}

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    if (context->method() == "/bench/Counts") return new TellCounts(counts_);
    return new Call(counts_, delay_, parse_);
  }

 private:
  const std::chrono::milliseconds delay_;
  const bool parse_;
  Counts counts_;
};

}  // namespace
}  // namespace datamanager::bench

int main(int argc, char** argv) {
  std::chrono::milliseconds delay{0};
  bool parse = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--parse") {
      parse = true;
    } else if (argument == "--delay" && i + 1 < argc) {
      delay = std::chrono::milliseconds(std::atoi(argv[++i]));
    } else {
      std::fputs("usage: bench_server [--delay MILLISECONDS] [--parse]\n", stderr);
      return 2;
    }
  }
  datamanager::bench::Service service(delay, parse);
  int port = 0;
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(datamanager::bench::kMaxMessageBytes);
  // The library's keepalive pings are not too many.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000);
  builder.AddListeningPort(datamanager::testing::OwnLoopback(0), grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterCallbackGenericService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  std::printf("%s\n", datamanager::testing::OwnLoopback(port).c_str());
  std::fflush(stdout);
  // The end of its standard input is the end of who started it.
  while (std::getchar() != EOF) {
  }
  std::_Exit(0);
}
