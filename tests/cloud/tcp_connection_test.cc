#include "cloud/tcp_connection.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <string>

#include "base/unique_fd.h"
#include "tests/support/wait_until.h"

namespace datamanager::cloud {
namespace {

TcpAddress Of(const sockaddr_in6& from) {
  TcpAddress address{.port = ntohs(from.sin6_port)};
  std::memcpy(address.ip.data(), &from.sin6_addr, 16);
  return address;
}

TcpAddress Of(const sockaddr_in& from) {
  TcpAddress address{.port = ntohs(from.sin_port)};
  address.ip[10] = address.ip[11] = 0xff;
  std::memcpy(&address.ip[12], &from.sin_addr, 4);
  return address;
}

// Two sockets of this process that are connected with one another over loopback.
class TcpConnectionTest : public ::testing::Test {
 protected:
  // The client's socket is an IPv6 one that reaches an IPv4 address, as gRPC makes them.
  void Connect(bool through_ipv6) {
    const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in server{};
    server.sin_family = AF_INET;
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(server);
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&server), size), 0);
    ASSERT_EQ(::listen(listener.get(), 1), 0);
    ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&server), &size), 0);
    ends_.remote = Of(server);
    if (through_ipv6) {
      client_ = UniqueFd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_in6 to{};
      to.sin6_family = AF_INET6;
      to.sin6_port = server.sin_port;
      std::memcpy(&to.sin6_addr, ends_.remote.ip.data(), 16);
      if (::connect(client_.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) {
        GTEST_SKIP() << "no IPv6 here";
      }
      size = sizeof(to);
      ASSERT_EQ(::getsockname(client_.get(), reinterpret_cast<sockaddr*>(&to), &size), 0);
      ends_.local = Of(to);
    } else {
      client_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      ASSERT_EQ(::connect(client_.get(), reinterpret_cast<sockaddr*>(&server), size), 0);
      ASSERT_EQ(::getsockname(client_.get(), reinterpret_cast<sockaddr*>(&server), &size), 0);
      ends_.local = Of(server);
    }
    peer_ = UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ASSERT_TRUE(peer_.valid());
  }
  static size_t Send(const UniqueFd& from, size_t bytes) {
    const std::string data(bytes, 'x');
    const ssize_t sent = ::send(from.get(), data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? 0 : static_cast<size_t>(sent);
  }

  TcpEnds ends_;
  UniqueFd client_;
  UniqueFd peer_;
};

TEST_F(TcpConnectionTest, CountsWhatThePeerHasAcknowledgedAndSent) {
  ASSERT_NO_FATAL_FAILURE(Connect(/*through_ipv6=*/false));
  TcpConnection connection(ends_);
  const std::optional<LinkSample> before = connection.Look();
  ASSERT_TRUE(before.has_value());
  ASSERT_EQ(Send(client_, 5000), 5000U);
  ASSERT_EQ(Send(peer_, 300), 300U);
  EXPECT_TRUE(testing::WaitUntil([&] {
    const std::optional<LinkSample> now = connection.Look();
    return now.has_value() && now->acked == before->acked + 5000 &&
           now->received == before->received + 300 && now->queued == 0 && now->unsent == 0;
  }));
}

TEST_F(TcpConnectionTest, FindsTheIpv4ConnectionOfAnIpv6Socket) {
  Connect(/*through_ipv6=*/true);
  if (IsSkipped()) return;
  EXPECT_TRUE(TcpConnection(ends_).Look().has_value());
}

TEST_F(TcpConnectionTest, CountsWhatWaits_WhenThePeerDoesNotRead) {
  ASSERT_NO_FATAL_FAILURE(Connect(/*through_ipv6=*/false));
  TcpConnection connection(ends_);
  const uint64_t acked_before = connection.Look()->acked;
  uint64_t sent = 0;
  // Both kernels' buffers fill up.
  EXPECT_TRUE(testing::WaitUntil([&] {
    sent += Send(client_, 1 << 20);
    const std::optional<LinkSample> now = connection.Look();
    return now.has_value() && now->unsent > 0 && Send(client_, 0) == 0 &&
           now->queued == sent - (now->acked - acked_before);
  }));
}

TEST_F(TcpConnectionTest, FindsNothing_OnceItsOwnerHasClosedIt) {
  ASSERT_NO_FATAL_FAILURE(Connect(/*through_ipv6=*/false));
  TcpConnection connection(ends_);
  ASSERT_TRUE(connection.Look().has_value());
  const int number = client_.get();
  client_.Reset();
  // Another connection gets the number.
  UniqueFd old_peer = std::move(peer_);
  const TcpEnds old = ends_;
  ASSERT_NO_FATAL_FAILURE(Connect(/*through_ipv6=*/false));
  ASSERT_TRUE(client_.get() == number || peer_.get() == number || ends_.local != old.local);
  EXPECT_FALSE(connection.Look().has_value());
  EXPECT_FALSE(connection.Break());
  EXPECT_EQ(Send(client_, 1), 1U) << "The other connection is as it was.";
  EXPECT_TRUE(TcpConnection(ends_).Look().has_value());
}

TEST_F(TcpConnectionTest, EndsTheConnectionForItsOwner) {
  ASSERT_NO_FATAL_FAILURE(Connect(/*through_ipv6=*/false));
  EXPECT_TRUE(TcpConnection(ends_).Break());
  char byte = 0;
  EXPECT_EQ(::recv(client_.get(), &byte, 1, 0), 0);
  EXPECT_EQ(::recv(peer_.get(), &byte, 1, 0), 0);
}

// A look must not keep the connection open beyond its owner's close.
TEST_F(TcpConnectionTest, HoldsNothingOpen) {
  ASSERT_NO_FATAL_FAILURE(Connect(/*through_ipv6=*/false));
  TcpConnection connection(ends_);
  ASSERT_TRUE(connection.Look().has_value());
  client_.Reset();
  char byte = 0;
  EXPECT_EQ(::recv(peer_.get(), &byte, 1, 0), 0);
}

}  // namespace
}  // namespace datamanager::cloud
