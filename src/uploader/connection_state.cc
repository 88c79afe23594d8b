#include "datamanager/cloud.h"

namespace datamanager {

std::string_view ConnectionStateName(ConnectionState state) {
  switch (state) {
    case ConnectionState::kNotManaged:
      return "not cloud-managed";
    case ConnectionState::kConnecting:
      return "connecting";
    case ConnectionState::kHealthy:
      return "healthy";
    case ConnectionState::kUnhealthy:
      return "unhealthy";
    case ConnectionState::kClosed:
      return "closed";
  }
  return "unknown";
}

}  // namespace datamanager
