// What is wrong, or looks wrong, with the values of a Config, wherever they came from.
#ifndef DATAMANAGER_SRC_CONFIG_VALIDATE_H_
#define DATAMANAGER_SRC_CONFIG_VALIDATE_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "datamanager/config.h"

namespace datamanager::config {

// Below it, sync_interval_mins means its default.
inline constexpr double kMinSyncIntervalMins = 0.0001;
// Each is a thread.
inline constexpr int64_t kMaxSyncThreads = 1024;

inline constexpr std::array kDurabilities = {Durability::kProcess, Durability::kPublished,
                                             Durability::kPeriodic};
// "must be one of ...", all of them.
std::string DurabilityFault();

struct Remark {
  std::string key;   // Such as "additional_sync_paths[1]".
  std::string what;  // The reference's text, where it has one.
  std::string got;   // The value, or nothing.
};

// All of them, the reference's checks first and in its order. Whatever depends on the environment
// is left to Resolve.
std::vector<Remark> FaultsOf(const Config& config);

// What is accepted though it can hardly be meant.
std::vector<Remark> DoubtsOf(const Config& config);

}  // namespace datamanager::config

#endif  // DATAMANAGER_SRC_CONFIG_VALIDATE_H_
