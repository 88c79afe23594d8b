// The wait that a server asks for with a failed call.
#ifndef DATAMANAGER_SRC_CLOUD_PUSHBACK_H_
#define DATAMANAGER_SRC_CLOUD_PUSHBACK_H_

#include <grpcpp/client_context.h>

#include <chrono>
#include <optional>
#include <string_view>

namespace datamanager::cloud {

// The value of the trailing metadata `grpc-retry-pushback-ms`: nullopt if it is negative or no
// number, or beyond what a number can be. Pure.
std::optional<std::chrono::milliseconds> ParsePushback(std::string_view value);

// That of a call which has ended with an error. nullopt if it has none, or several.
std::optional<std::chrono::milliseconds> PushbackOf(const grpc::ClientContext& context);

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_PUSHBACK_H_
