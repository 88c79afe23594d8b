// What capture control asks for, and what the config becomes by it.
#ifndef DATAMANAGER_SRC_CONFIG_OVERRIDES_H_
#define DATAMANAGER_SRC_CONFIG_OVERRIDES_H_

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/effective_config.h"

namespace datamanager::config {

// For every collector of one resource and method. What is not given stays as it is.
struct Override {
  std::optional<float> hz;  // Finite. Off, if it is zero or less.
  std::optional<std::vector<std::string>> tags;

  friend bool operator==(const Override&, const Override&) = default;
};

// By resource and method. The resource is a short name, or exactly one of them:
// "rdk:component:arm/lifter".
using OverrideKey = std::pair<std::string, std::string>;
using Overrides = std::map<OverrideKey, Override>;

// The APIs under which a resource of that short name can be captured by that method.
using ApisOf =
    std::function<std::vector<std::string>(std::string_view name, std::string_view method)>;

// `config` with `overrides`. A frequency enables what the config has switched off, and what it does
// not mention if `apis_of` knows one resource of that name; nothing enables what is at fault. An
// exact name goes before a short one. What cannot be done is said in `complaints`, a line each.
// Pure.
CaptureConfig WithOverrides(CaptureConfig config, const Overrides& overrides, const ApisOf& apis_of,
                            std::vector<std::string>& complaints);

}  // namespace datamanager::config

#endif  // DATAMANAGER_SRC_CONFIG_OVERRIDES_H_
