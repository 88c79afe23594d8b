#ifndef DATAMANAGER_SRC_CLOUD_CONNECT_FAILURE_H_
#define DATAMANAGER_SRC_CLOUD_CONNECT_FAILURE_H_

#include <string>
#include <string_view>

#include "cloud/channel.h"

namespace datamanager::cloud {

// What gRPC says of an attempt to connect, in words that tell which step failed and what to do. If
// `text` is about something else, or about nothing that is known, it is returned with no more than
// gRPC's preliminaries removed. `server_accepted`: TLS was established in this attempt, as far as
// this side is concerned.
//
// The texts are gRPC 1.51's; where another version words a failure differently, its words stay.
std::string ExplainFailure(std::string_view text, const Endpoint& endpoint, bool server_accepted);

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_CONNECT_FAILURE_H_
