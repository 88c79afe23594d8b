#include <grpc/grpc.h>
#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <sys/un.h>

#include "absl/strings/str_cat.h"
#include "base/host_port.h"
#include "base/strings.h"
#include "datamanager/remote_source.h"

namespace datamanager {
namespace {

constexpr std::string_view kUnix = "unix:";
constexpr std::string_view kExample = "robot.local:8080";

// The target for gRPC.
absl::StatusOr<std::string> TargetOf(std::string_view address) {
  const auto fault = [address](const auto&... what) {
    return absl::InvalidArgumentError(absl::StrCat("\"", ToAbsl(address), "\" ", what...));
  };
  if (address.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("it is empty; write HOST:PORT, such as ", ToAbsl(kExample), ", or unix:PATH"));
  }
  if (address.starts_with(kUnix)) {
    const std::string_view path = address.substr(kUnix.size());
    if (path.empty()) return fault("has no path; write unix:PATH");
    constexpr size_t kMaxPath = sizeof(sockaddr_un::sun_path) - 1;
    if (path.size() > kMaxPath) {
      return fault("has a path of ", path.size(), " bytes; the system allows ", kMaxPath);
    }
    return std::string(address);
  }
  if (address.find("://") != std::string_view::npos) {
    return fault("has a scheme; write HOST:PORT, such as ", ToAbsl(kExample), ", or unix:PATH");
  }
  if (const auto host = ParseHostPort(address, "", kExample); !host.ok()) {
    return fault(host.status().message());
  }
  return absl::StrCat("dns:///", ToAbsl(address));
}

}  // namespace

absl::StatusOr<RemoteChannel> ConnectRemote(std::string_view address) {
  absl::StatusOr<std::string> target = TargetOf(address);
  if (!target.ok()) return target.status();
  // gRPC stays initialised for as long as the process lives; see cloud::MakeChannel.
  [[maybe_unused]] static const bool initialised = (grpc_init(), true);

  grpc::ChannelArguments arguments;
  // Pings only while a call waits for its answer, so that servers that allow few of them do not
  // mind.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000);
  // What the reference's servers and clients exchange at most.
  arguments.SetMaxReceiveMessageSize(32 << 20);
  // The next tick is the retry.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // A module that was restarted is there again within seconds.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5000);
  // Despite its name, what one attempt may take.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 10000);
  return RemoteChannel{
      .channel = grpc::CreateCustomChannel(*target, grpc::InsecureChannelCredentials(), arguments),
      .address = std::string(address)};
}

}  // namespace datamanager
