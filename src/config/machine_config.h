// A machine config whose strings may name environment variables.
#ifndef DATAMANAGER_SRC_CONFIG_MACHINE_CONFIG_H_
#define DATAMANAGER_SRC_CONFIG_MACHINE_CONFIG_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "config/substitution.h"
#include "datamanager/config.h"

namespace datamanager::config {

// As datamanager::ParseMachineConfig, with `variables` filled in.
absl::StatusOr<MachineConfig> ParseMachineConfig(std::string_view json, std::string_view origin,
                                                 const Variables& variables);

}  // namespace datamanager::config

#endif  // DATAMANAGER_SRC_CONFIG_MACHINE_CONFIG_H_
