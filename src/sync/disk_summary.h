// What lies on disk: counted each minute, for the log and for Stats.
#ifndef DATAMANAGER_SRC_SYNC_DISK_SUMMARY_H_
#define DATAMANAGER_SRC_SYNC_DISK_SUMMARY_H_

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "config/effective_config.h"
#include "datamanager/clock.h"
#include "datamanager/stats.h"
#include "sync/sync_context.h"
#include "sync/timeline.h"

namespace datamanager::sync {

// Walks the capture directory, those of earlier configs and the additional paths. Any thread;
// blocks on the disk. nullopt after `stop`.
std::optional<std::vector<DirectorySummary>> Summarize(SyncContext& context, Timeline& timeline,
                                                       const config::SyncConfig& config,
                                                       const std::stop_token& stop);

// Whether nothing at all is left below it, as far as could be seen.
bool IsEmpty(const DirectorySummary& summary);

// A line about one directory.
std::string Describe(const DirectorySummary& summary);

// How old the oldest file may become before something seems to be wrong, and how often that is
// said: the reference's figures.
std::chrono::milliseconds StaleAge(std::chrono::milliseconds sync_interval);
inline constexpr std::chrono::minutes kStaleWarningInterval{5};

// The warning that what waits does not get away, if there is reason for it and the last one was not
// just `said`. What was set aside is no reason. Pure.
std::optional<std::string> StaleWarning(const std::vector<DirectorySummary>& summary,
                                        std::chrono::milliseconds sync_interval,
                                        std::optional<MonotonicTime> said, MonotonicTime now);

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_DISK_SUMMARY_H_
