// Where the cloud is, as a config says it and as gRPC wants it.
#ifndef DATAMANAGER_SRC_CLOUD_ADDRESS_H_
#define DATAMANAGER_SRC_CLOUD_ADDRESS_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace datamanager::cloud {

struct Address {
  std::string name;    // For people: host:port, or unix:PATH.
  std::string target;  // For gRPC.
  std::string host;    // A name or an address, without brackets; empty for unix:PATH.
  bool tls = false;
};

// Reads `cloud.app_address`: https://HOST:PORT or, without TLS, http://HOST:PORT, with an IPv6 host
// in brackets and anything after the port ignored; or unix:PATH, without TLS. Otherwise
// INVALID_ARGUMENT that names the field and the value and says what to write instead.
absl::StatusOr<Address> ParseAppAddress(std::string_view text);

// Whether what is sent there stays on this machine.
bool IsLocal(const Address& address);

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_ADDRESS_H_
