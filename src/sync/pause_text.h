// What the log says of a pause of uploads.
#ifndef DATAMANAGER_SRC_SYNC_PAUSE_TEXT_H_
#define DATAMANAGER_SRC_SYNC_PAUSE_TEXT_H_

#include <string>
#include <string_view>

#include "sync/circuit_breaker.h"

namespace datamanager::sync {

// Which uploads rest, why, and until when. `error` is that of the last upload. Pure.
std::string PauseText(const CircuitBreaker::Pause& pause, std::string_view error);

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_PAUSE_TEXT_H_
