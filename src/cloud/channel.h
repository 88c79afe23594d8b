// The gRPC channel to the cloud.
#ifndef DATAMANAGER_SRC_CLOUD_CHANNEL_H_
#define DATAMANAGER_SRC_CLOUD_CHANNEL_H_

#include <grpcpp/channel.h>

#include <chrono>
#include <memory>
#include <string>

namespace datamanager::cloud {

// Pings, with or without calls, so that a connection that died silently is noticed: the
// reference's figures, by which it takes at most 40 s.
struct Keepalive {
  std::chrono::milliseconds interval{20000};
  std::chrono::milliseconds timeout{20000};  // For the answer.
};

// An idle plaintext channel of its own to `target`. Does not block.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target, Keepalive keepalive);

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_CHANNEL_H_
