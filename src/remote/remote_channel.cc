#include <grpc/grpc.h>
#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <sys/un.h>

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/host_port.h"
#include "base/mutex.h"
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

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target) {
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
  return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
}

// The channels in use, by their targets.
struct Channels {
  Mutex mutex;
  std::map<std::string, std::weak_ptr<grpc::Channel>> by_target DM_GUARDED_BY(mutex);
};

}  // namespace

absl::StatusOr<RemoteChannel> ConnectRemote(std::string_view address) {
  absl::StatusOr<std::string> target = TargetOf(address);
  if (!target.ok()) return target.status();
  // gRPC makes one connection for all channels to a target anyway; with one channel, one thread can
  // wait for it. Never destroyed, because a thread that hangs may outlive main().
  static auto* const channels = new Channels;
  MutexLock lock(channels->mutex);
  std::erase_if(channels->by_target, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<grpc::Channel>& known = channels->by_target[*target];
  std::shared_ptr<grpc::Channel> channel = known.lock();
  if (channel == nullptr) known = channel = MakeChannel(*target);
  return RemoteChannel{.channel = std::move(channel), .address = std::string(address)};
}

}  // namespace datamanager
