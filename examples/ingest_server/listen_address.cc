#include "ingest_server/listen_address.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "base/unique_fd.h"

namespace ingest {
namespace {

using datamanager::ToAbsl;

constexpr std::string_view kUnixPrefix = "unix:";

// 0, or the errno of binding to it.
int TryBind(const sockaddr* address, socklen_t length) {
  const datamanager::UniqueFd fd(socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return errno;
  // As gRPC does: addresses of connections that have just ended are free.
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd.get(), address, length) != 0) return errno;
  return listen(fd.get(), 1) == 0 ? 0 : errno;
}

int TryBindUnix(const std::string& path) {
  sockaddr_un address{};
  if (path.size() >= sizeof(address.sun_path)) return ENAMETOOLONG;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const int error = TryBind(reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  if (error == 0) unlink(path.c_str());
  return error;
}

absl::Status Explain(int error, const std::string& address) {
  // It has become free between the two tries.
  if (error == 0) return absl::UnavailableError(absl::StrCat("cannot listen on ", address));
  return datamanager::ErrnoStatus(error, "listen on", address);
}

}  // namespace

bool IsUnixAddress(std::string_view address) { return address.starts_with(kUnixPrefix); }

absl::Status CheckListenAddress(std::string_view address) {
  if (IsUnixAddress(address) && address.size() > kUnixPrefix.size()) return absl::OkStatus();
  const size_t colon = address.rfind(':');
  int port = 0;
  if (IsUnixAddress(address) || colon == 0 || colon == std::string_view::npos ||
      !absl::SimpleAtoi(ToAbsl(address.substr(colon + 1)), &port) || port < 0 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", ToAbsl(address), "\" is neither HOST:PORT nor unix:PATH"));
  }
  return absl::OkStatus();
}

std::string WithPort(const std::string& address, int port) {
  if (IsUnixAddress(address)) return address;
  return absl::StrCat(address.substr(0, address.rfind(':') + 1), port);
}

absl::Status ExplainListenFailure(const std::string& address) {
  if (absl::Status status = CheckListenAddress(address); !status.ok()) return status;
  if (IsUnixAddress(address)) {
    return Explain(TryBindUnix(address.substr(kUnixPrefix.size())), address);
  }
  const size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int failure = getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found);
  if (failure != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("listen on ", address, ": ", gai_strerror(failure)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  int error = 0;
  for (const addrinfo* entry = found; entry != nullptr && error == 0; entry = entry->ai_next) {
    error = TryBind(entry->ai_addr, entry->ai_addrlen);
  }
  return Explain(error, address);
}

}  // namespace ingest
