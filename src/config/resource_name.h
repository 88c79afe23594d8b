// The names of APIs and of resources.
#ifndef DATAMANAGER_SRC_CONFIG_RESOURCE_NAME_H_
#define DATAMANAGER_SRC_CONFIG_RESOURCE_NAME_H_

#include <optional>
#include <string>
#include <string_view>

namespace datamanager::config {

inline constexpr std::string_view kDataManagerApi = "rdk:service:data_manager";

// Whether `text` is a triplet "namespace:type:subtype".
bool IsApi(std::string_view text);

// Whether a resource may be declared under `text`: a letter or digit, then those, '-' and '_', at
// most 60 in all.
bool IsShortName(std::string_view text);

// A name such as "rdk:component:arm/lifter", or "rdk:component:arm/press:lifter" for a resource of
// the remote "press".
struct FullName {
  std::string api;
  std::string name;  // With the remote, if there is one.
};
std::optional<FullName> ParseFullName(std::string_view text);

}  // namespace datamanager::config

#endif  // DATAMANAGER_SRC_CONFIG_RESOURCE_NAME_H_
