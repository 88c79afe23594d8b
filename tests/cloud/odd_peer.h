// A TCP peer that is no gRPC server.
#ifndef DATAMANAGER_TESTS_CLOUD_ODD_PEER_H_
#define DATAMANAGER_TESTS_CLOUD_ODD_PEER_H_

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "base/unique_fd.h"
#include "tests/support/own_loopback.h"

namespace datamanager::cloud {

// Answers the first bytes of each client with a fixed text and ends the connection; without a text
// it ends it at once.
class OddPeer {
 public:
  explicit OddPeer(std::string answer)
      : answer_(std::move(answer)),
        end_(::eventfd(0, EFD_CLOEXEC)),
        listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl(testing::OwnLoopbackNumber());
    socklen_t size = sizeof(own);
    auto* const generic = reinterpret_cast<sockaddr*>(&own);
    if (::bind(listener_.get(), generic, size) != 0 || ::listen(listener_.get(), 8) != 0 ||
        ::getsockname(listener_.get(), generic, &size) != 0) {
      throw std::runtime_error("no peer");
    }
    port_ = ntohs(own.sin_port);
    thread_ = std::jthread([this] { Run(); });
  }
  ~OddPeer() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(end_.get(), &one, sizeof(one));
  }

  std::string address() const { return testing::OwnLoopback(port_); }

 private:
  // False: the test is over.
  bool Readable(int fd) const {
    pollfd polled[] = {{fd, POLLIN, 0}, {end_.get(), POLLIN, 0}};
    ::poll(polled, 2, -1);
    return polled[1].revents == 0;
  }
  void Run() {
    while (Readable(listener_.get())) {
      const UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (answer_.empty()) continue;
      char buffer[4096];
      if (!Readable(client.get()) || ::recv(client.get(), buffer, sizeof(buffer), 0) <= 0) continue;
      ::send(client.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL);
      // The client ends it: otherwise what it has sent since would break the answer off.
      ::shutdown(client.get(), SHUT_WR);
      while (Readable(client.get()) && ::recv(client.get(), buffer, sizeof(buffer), 0) > 0) {
      }
    }
  }

  const std::string answer_;
  const UniqueFd end_;
  const UniqueFd listener_;
  int port_ = 0;
  std::jthread thread_;
};

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_TESTS_CLOUD_ODD_PEER_H_
