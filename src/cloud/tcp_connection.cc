#include "cloud/tcp_connection.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace datamanager::cloud {
namespace {

std::optional<TcpAddress> ToTcpAddress(const sockaddr_storage& from) {
  TcpAddress address;
  if (from.ss_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &from, sizeof(v4));
    address.ip[10] = address.ip[11] = 0xff;
    std::memcpy(&address.ip[12], &v4.sin_addr, 4);
    address.port = ntohs(v4.sin_port);
    return address;
  }
  if (from.ss_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, &from, sizeof(v6));
    std::memcpy(address.ip.data(), &v6.sin6_addr, 16);
    address.port = ntohs(v6.sin6_port);
    return address;
  }
  return std::nullopt;
}

// Whether the descriptor is of a connection with these ends. Harmless for any other file.
bool HasEnds(int fd, const TcpEnds& ends) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      ToTcpAddress(address) != ends.remote) {
    return false;
  }
  size = sizeof(address);
  return ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
         ToTcpAddress(address) == ends.local;
}

UniqueFd DuplicateIf(int fd, const TcpEnds& ends) {
  if (!HasEnds(fd, ends)) return {};
  UniqueFd duplicate(AboveStandardStreams(::fcntl(fd, F_DUPFD_CLOEXEC, 0)));
  if (duplicate.valid() && !HasEnds(duplicate.get(), ends)) duplicate.Reset();
  return duplicate;
}

}  // namespace

UniqueFd TcpConnection::Find() {
  if (UniqueFd known = DuplicateIf(number_, ends_); known.valid()) return known;
  number_ = -1;
  UniqueFd fds(AboveStandardStreams(::open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  if (!fds.valid()) return {};
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::fdopendir(fds.get()), &::closedir);
  if (directory == nullptr) return {};
  fds.Release();
  while (const dirent* const entry = ::readdir(directory.get())) {
    if (entry->d_name[0] == '.') continue;
    const int fd = std::atoi(entry->d_name);
    if (UniqueFd found = DuplicateIf(fd, ends_); found.valid()) {
      number_ = fd;
      return found;
    }
  }
  return {};
}

std::optional<LinkSample> TcpConnection::Look() {
  const UniqueFd socket = Find();
  if (!socket.valid()) return std::nullopt;
  tcp_info info{};
  socklen_t size = sizeof(info);
  int queued = 0;
  if (::getsockopt(socket.get(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
      ::ioctl(socket.get(), SIOCOUTQ, &queued) != 0) {
    return std::nullopt;
  }
  const std::chrono::microseconds smoothed(info.tcpi_rtt);
  return LinkSample{
      // Segments behind a lost one are acknowledged selectively until it has been sent again.
      .acked = info.tcpi_bytes_acked + uint64_t{info.tcpi_sacked} * info.tcpi_snd_mss,
      .received = info.tcpi_bytes_received,
      .queued = static_cast<uint64_t>(std::max(queued, 0)),
      .unsent = info.tcpi_notsent_bytes,
      .round_trip = smoothed + 4 * std::chrono::microseconds(info.tcpi_rttvar),
      .smoothed_round_trip = smoothed,
      .least_round_trip = std::chrono::microseconds(info.tcpi_min_rtt)};
}

bool TcpConnection::Break() {
  const UniqueFd socket = Find();
  return socket.valid() && ::shutdown(socket.get(), SHUT_RDWR) == 0;
}

}  // namespace datamanager::cloud
