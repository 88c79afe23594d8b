// Which TCP connections a gRPC channel has, by what gRPC publishes of itself (channelz).
#ifndef DATAMANAGER_SRC_CLOUD_CHANNEL_SOCKETS_H_
#define DATAMANAGER_SRC_CLOUD_CHANNEL_SOCKETS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "cloud/tcp_connection.h"

namespace datamanager::cloud {

// The process's newest channel to `target`, as gRPC numbers it; call it right after the channel was
// made. nullopt: gRPC publishes nothing here.
std::optional<int64_t> NewestChannel(const std::string& target);

// The ends of the channel's newest connection. nullopt: it has none, or none over TCP.
std::optional<TcpEnds> ConnectionOf(int64_t channel);

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_CHANNEL_SOCKETS_H_
