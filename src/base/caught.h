// An exception as a status.
#ifndef DATAMANAGER_SRC_BASE_CAUGHT_H_
#define DATAMANAGER_SRC_BASE_CAUGHT_H_

#include <string_view>

#include "absl/status/status.h"

namespace datamanager {

// Returns the exception that is being handled: RESOURCE_EXHAUSTED if there was no memory, else
// INTERNAL with its text. `what` names the code that threw it, such as "the source". Call it inside
// a catch block.
absl::Status CaughtStatus(std::string_view what);

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_CAUGHT_H_
