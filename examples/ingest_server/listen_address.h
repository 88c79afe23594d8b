// Where the server listens: HOST:PORT or unix:PATH.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_LISTEN_ADDRESS_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_LISTEN_ADDRESS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace ingest {

bool IsUnixAddress(std::string_view address);

// INVALID_ARGUMENT unless `address` has one of the two forms. Does not look names up.
absl::Status CheckListenAddress(std::string_view address);

// `address`, of either form, with `port` in place of its own, if it has one.
std::string WithPort(const std::string& address, int port);

// Why a server could not listen on `address`, by another try: gRPC itself says only that it could
// not.
absl::Status ExplainListenFailure(const std::string& address);

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_LISTEN_ADDRESS_H_
