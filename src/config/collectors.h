// Which of the configured collectors are to run, with what, and why not.
#ifndef DATAMANAGER_SRC_CONFIG_COLLECTORS_H_
#define DATAMANAGER_SRC_CONFIG_COLLECTORS_H_

#include <string>
#include <vector>

#include "config/effective_config.h"
#include "datamanager/config.h"

namespace datamanager::config {

// An entry for each of the config's, in its order.
std::vector<ConfiguredCollector> ResolveCollectors(const Config& config);

// Of those that are to run, refuses each that has the same resource, method and parameters as an
// earlier one.
void RefuseRepeated(std::vector<ConfiguredCollector>& collectors);

// Why a collector cannot run, enabled or not; empty if it can.
std::string FaultOf(const CollectorConfig& collector);

// "collector disabled due to capture_frequency_hz ...", of one whose interval is 0.
std::string NoFrequency(float hz);

}  // namespace datamanager::config

#endif  // DATAMANAGER_SRC_CONFIG_COLLECTORS_H_
