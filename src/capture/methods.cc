#include "capture/methods.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace datamanager::capture {
namespace {

constexpr std::array kMethods = {
    Method{"rdk:component:camera", "GetImages", PayloadRule::kEveryImage, false},
    Method{"rdk:component:camera", "ReadImage", PayloadRule::kOneImage, false},
    Method{"rdk:component:movement_sensor", "Readings", PayloadRule::kReadings, false},
    Method{"rdk:component:power_sensor", "Readings", PayloadRule::kReadings, false},
    Method{"rdk:component:sensor", "Readings", PayloadRule::kReadings, true},
};

}  // namespace

absl::StatusOr<const Method*> FindMethod(std::string_view api, std::string_view name) {
  std::vector<std::string> apis;
  std::vector<std::string> names;
  for (const Method& method : kMethods) {
    apis.emplace_back(method.api);
    if (method.api != api) continue;
    if (method.name == name) return &method;
    names.emplace_back(method.name);
  }
  std::string message = absl::StrCat("failed to find collector constructor for Api: ", ToAbsl(api),
                                     ", Method Name: ", ToAbsl(name));
  const bool known_api = !names.empty();
  const std::string nearest = known_api ? NearestName(name, names) : NearestName(api, apis);
  if (!nearest.empty()) {
    absl::StrAppend(&message, "; did you mean ", known_api ? "method " : "API ", nearest, "?");
  } else if (known_api) {
    absl::StrAppend(&message, "; it has ", names.front());
    for (size_t i = 1; i < names.size(); ++i) absl::StrAppend(&message, ", ", names[i]);
  }
  return absl::NotFoundError(message);
}

}  // namespace datamanager::capture
