// Network addresses as people write them.
#ifndef DATAMANAGER_SRC_BASE_HOST_PORT_H_
#define DATAMANAGER_SRC_BASE_HOST_PORT_H_

#include <string_view>

#include "absl/status/statusor.h"

namespace datamanager {

// The host of `text`, which must be HOST:PORT with an IPv6 host in brackets; the result is without
// them. Otherwise INVALID_ARGUMENT with the end of a sentence that begins with the text: what is
// wrong and what to write instead. `scheme`, such as "https://", is what stands before what is
// written, and `example` a good address. Looks no name up.
absl::StatusOr<std::string_view> ParseHostPort(std::string_view text, std::string_view scheme,
                                               std::string_view example);

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_HOST_PORT_H_
