// Stands between a client and a server, and can fall silent as a network does that died.
#ifndef DATAMANAGER_TESTS_SUPPORT_TCP_PROXY_H_
#define DATAMANAGER_TESTS_SUPPORT_TCP_PROXY_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <list>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "tests/support/own_loopback.h"

namespace datamanager::testing {

// Passes bytes on between its own port and `target_port`, both on this process's own address.
// Thread-safe.
class TcpProxy {
 public:
  explicit TcpProxy(int target_port)
      : target_(AddressOf(target_port)),
        wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in own = AddressOf(0);
    socklen_t size = sizeof(own);
    if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&own), size) != 0 ||
        ::listen(listener_.get(), 16) != 0 ||
        ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0) {
      throw std::runtime_error("no proxy");
    }
    port_ = ntohs(own.sin_port);
    thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
  }
  ~TcpProxy() {
    thread_.request_stop();
    Wake();
  }

  int port() const { return port_; }
  // While it is silent nothing is passed on, from this call's return on; the connections stay open,
  // and new ones are not answered.
  void SetSilent(bool silent) {
    const std::lock_guard lock(passing_);
    silent_ = silent;
    Wake();
  }
  // Falls silent by itself once the clients have sent more than that.
  void FallSilentAfter(uint64_t bytes) { silent_after_ = bytes; }
  // From now on each client has to ask for its connection by HTTP's CONNECT, whose target does not
  // count.
  void AnswerConnect() { answers_connect_ = true; }
  // The end of all connections; new ones are served.
  void BreakConnections() {
    break_ = true;
    Wake();
  }
  // Bytes that the clients have sent.
  uint64_t bytes_from_clients() const { return bytes_from_clients_; }

 private:
  struct Connection {
    UniqueFd client;
    UniqueFd server;
    bool open = true;
  };

  static sockaddr_in AddressOf(int port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(OwnLoopbackNumber());
    return address;
  }
  void Wake() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof(one));
  }
  void Run(const std::stop_token& stop) {
    std::list<Connection> connections;
    while (!stop.stop_requested()) {
      if (break_.exchange(false)) connections.clear();
      std::vector<pollfd> polled = {{wake_.get(), POLLIN, 0}};
      if (!silent_) {
        polled.push_back({listener_.get(), POLLIN, 0});
        for (const Connection& connection : connections) {
          polled.push_back({connection.client.get(), POLLIN, 0});
          polled.push_back({connection.server.get(), POLLIN, 0});
        }
      }
      ::poll(polled.data(), polled.size(), -1);
      uint64_t woken = 0;
      const std::lock_guard lock(passing_);
      if (::read(wake_.get(), &woken, sizeof(woken)) > 0 || silent_) continue;
      size_t next = 2;
      for (Connection& connection : connections) {
        if (polled[next].revents != 0) {
          connection.open = PassOn(connection.client.get(), connection.server.get(), true);
        }
        if (polled[next + 1].revents != 0 && connection.open) {
          connection.open = PassOn(connection.server.get(), connection.client.get(), false);
        }
        next += 2;
      }
      connections.remove_if([](const Connection& connection) { return !connection.open; });
      if (polled[1].revents != 0) Accept(connections);
    }
  }
  void Accept(std::list<Connection>& connections) {
    Connection connection{
        .client = UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)),
        .server = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))};
    if (answers_connect_ && !AnswerConnectOf(connection.client.get())) return;
    if (::connect(connection.server.get(), reinterpret_cast<const sockaddr*>(&target_),
                  sizeof(target_)) == 0) {
      connections.push_back(std::move(connection));
    }
  }
  static bool AnswerConnectOf(int client) {
    constexpr std::string_view kAnswer = "HTTP/1.1 200 Connection established\r\n\r\n";
    std::string request;
    // The client says nothing more before it has its answer.
    while (!request.ends_with("\r\n\r\n")) {
      std::array<char, 1024> buffer;
      const ssize_t size = ::recv(client, buffer.data(), buffer.size(), 0);
      if (size <= 0) return false;
      request.append(buffer.data(), static_cast<size_t>(size));
    }
    return request.starts_with("CONNECT ") &&
           ::send(client, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL) > 0;
  }
  // False: the connection is over.
  bool PassOn(int from, int to, bool from_client) {
    std::array<char, 65536> buffer;
    const ssize_t size = ::recv(from, buffer.data(), buffer.size(), 0);
    if (size <= 0) return false;
    if (from_client && (bytes_from_clients_ += static_cast<uint64_t>(size)) > silent_after_) {
      silent_after_ = std::numeric_limits<uint64_t>::max();
      silent_ = true;
    }
    for (ssize_t sent = 0; sent < size;) {
      const ssize_t part =
          ::send(to, buffer.data() + sent, static_cast<size_t>(size - sent), MSG_NOSIGNAL);
      if (part <= 0) return false;
      sent += part;
    }
    return true;
  }

  const sockaddr_in target_;
  const UniqueFd wake_;
  const UniqueFd listener_;
  int port_ = 0;
  std::mutex passing_;  // Held while bytes are passed on.
  std::atomic<bool> silent_{false};
  std::atomic<uint64_t> silent_after_{std::numeric_limits<uint64_t>::max()};
  std::atomic<bool> break_{false};
  std::atomic<bool> answers_connect_{false};
  std::atomic<uint64_t> bytes_from_clients_{0};
  std::jthread thread_;
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_TCP_PROXY_H_
