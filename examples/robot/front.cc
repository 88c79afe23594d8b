#include "robot/front.h"

#include <arpa/inet.h>
#include <grpc/grpc.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/strings.h"
#include "base/unique_fd.h"
#include "datamanager/service.h"
#include "ingest_server/listen_address.h"

namespace robot {
namespace {

constexpr char kUnixPrefix[] = "unix:";
// Requests of up to 32 MiB are held in memory, so that a connection may have only so many.
constexpr int kMostStreams = 8;

// Removes a socket on which nobody listens any more. gRPC would take away one in use as well.
absl::Status FreeSocketPath(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return absl::OkStatus();  // The bind says what is wrong.
  if (!S_ISSOCK(info.st_mode)) {
    return absl::AlreadyExistsError("cannot listen on " + path +
                                    ": something is there that is no socket; remove it, or name "
                                    "another path");
  }
  sockaddr_un address{};
  if (path.size() >= sizeof(address.sun_path)) return absl::OkStatus();  // The same.
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const datamanager::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return datamanager::ErrnoStatus(errno, "listen on", path);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ||
      errno == EAGAIN) {
    return absl::AlreadyExistsError("cannot listen on " + path + ": another process listens there");
  }
  if (errno != ECONNREFUSED) return datamanager::ErrnoStatus(errno, "listen on", path);
  if (::unlink(path.c_str()) != 0) return datamanager::ErrnoStatus(errno, "remove", path);
  return absl::OkStatus();
}

bool IsLoopback(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    const auto& ipv4 = reinterpret_cast<const sockaddr_in&>(address);
    return ntohl(ipv4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  }
  const auto& ipv6 = reinterpret_cast<const sockaddr_in6&>(address);
  return address.sa_family == AF_INET6 && (IN6_IS_ADDR_LOOPBACK(&ipv6.sin6_addr) != 0);
}

}  // namespace

bool IsOpenToOthers(const std::string& listen) {
  if (ingest::IsUnixAddress(listen)) return false;
  std::string host = listen.substr(0, listen.rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host == "localhost") return false;  // RFC 6761, whether or not the resolver knows it.
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return true;
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    if (!IsLoopback(*entry->ai_addr)) return true;
  }
  return false;
}

absl::StatusOr<std::unique_ptr<Front>> Front::Start(const std::string& listen,
                                                    datamanager::DataManager& manager,
                                                    const std::string& name) {
  absl::Status status = ingest::CheckListenAddress(listen);
  if (!status.ok()) return datamanager::Wrap(status, "--listen");
  if (ingest::IsUnixAddress(listen)) {
    status = FreeSocketPath(listen.substr(std::strlen(kUnixPrefix)));
    if (!status.ok()) return status;
  }
  std::unique_ptr<Front> front(new Front);
  front->service_ = datamanager::MakeDataManagerService(manager, {.name = name});

  // The last one to leave gRPC may wait 10 s for its pollers: nobody is.
  [[maybe_unused]] static const bool initialised = (grpc_init(), true);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(listen, grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(front->service_.get());
  for (grpc::Service* service : front->components_.services()) builder.RegisterService(service);
  builder.SetMaxReceiveMessageSize(datamanager::kMaxRequestBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMostStreams);
  // Else a second robot would quietly share the port, and get every other connection.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  front->server_ = builder.BuildAndStart();
  if (front->server_ == nullptr) return ingest::ExplainListenFailure(listen);
  front->server_->GetHealthCheckService()->SetServingStatus(
      "viam.service.datamanager.v1.DataManagerService", true);
  front->address_ = ingest::WithPort(listen, port);
  return front;
}

Front::~Front() {
  if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
}

}  // namespace robot
