// Which of the configured collectors are to run, with what, and why not.
#ifndef DATAMANAGER_SRC_CONFIG_COLLECTORS_H_
#define DATAMANAGER_SRC_CONFIG_COLLECTORS_H_

#include <vector>

#include "config/effective_config.h"
#include "datamanager/config.h"

namespace datamanager::config {

// An entry for each of the config's, in its order.
std::vector<ConfiguredCollector> ResolveCollectors(const Config& config);

}  // namespace datamanager::config

#endif  // DATAMANAGER_SRC_CONFIG_COLLECTORS_H_
