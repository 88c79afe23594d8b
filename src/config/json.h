// JSON text to a Value.
#ifndef DATAMANAGER_SRC_CONFIG_JSON_H_
#define DATAMANAGER_SRC_CONFIG_JSON_H_

#include <cstddef>
#include <string_view>

#include "absl/status/statusor.h"
#include "datamanager/value.h"

namespace datamanager::config {

// Far more than any machine has to say.
inline constexpr size_t kMaxJsonBytes = 16 << 20;
// Below Protobuf's own limit, which lies at 33 objects or 50 lists, and which it is slow to find.
inline constexpr int kMaxJsonDepth = 30;

// Objects come out in the order of their keys. INVALID_ARGUMENT says what is wrong, where that can
// be told with line and column and the line itself - unless that line may hold a secret.
//
// Protobuf's own parser reads it: no key twice in an object, numbers as doubles. It also takes a
// few things that JSON forbids, such as a trailing comma.
absl::StatusOr<Value> ParseJson(std::string_view text);

}  // namespace datamanager::config

#endif  // DATAMANAGER_SRC_CONFIG_JSON_H_
