// The gRPC channel to the cloud.
#ifndef DATAMANAGER_SRC_CLOUD_CHANNEL_H_
#define DATAMANAGER_SRC_CLOUD_CHANNEL_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>

namespace datamanager::cloud {

// An idle plaintext channel of its own to `target`. Does not block.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target);

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_CHANNEL_H_
