// The token that comes with a call: `authorization: Bearer TOKEN`.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_BEARER_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_BEARER_H_

#include <grpcpp/server_context.h>

#include <iterator>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ingest {

// It lives as long as the call. UNAUTHENTICATED if there is none.
inline absl::StatusOr<std::string_view> BearerOf(const grpc::ServerContext& context) {
  constexpr std::string_view kBearer = "Bearer ";
  const auto [begin, end] = context.client_metadata().equal_range("authorization");
  // Of several, who is to say which one counts?
  if (begin == end || std::next(begin) != end) {
    return absl::UnauthenticatedError("authentication required");
  }
  const std::string_view value(begin->second.data(), begin->second.size());
  if (!value.starts_with(kBearer)) {
    return absl::UnauthenticatedError("unauthenticated: expected authorization: Bearer TOKEN");
  }
  return value.substr(kBearer.size());
}

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_BEARER_H_
