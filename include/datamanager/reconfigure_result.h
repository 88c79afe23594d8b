// The result of a change of the config.
#ifndef DATAMANAGER_RECONFIGURE_RESULT_H_
#define DATAMANAGER_RECONFIGURE_RESULT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace datamanager {

// The parts that DataManager::Reconfigure could not start or end although the new config is in
// force. Both lists are empty when everything runs as configured.
struct ReconfigureResult {
  // A part of the new config that does not run; the other parts do.
  struct Refused {
    // A collector as in the log, `rdk:component:sensor/cpu Readings`; or `capture_control_sensor`,
    // `selective_syncer_name`, `capture` (not all collectors run), `sync` (nothing is uploaded) or
    // `disk` (nothing is evicted).
    std::string name;
    // Never OK. INVALID_ARGUMENT: the config, or what the source gives, is at fault. NOT_FOUND: no
    // such source was added. RESOURCE_EXHAUSTED: the system gives no thread or no memory; the same
    // Reconfigure tries again. INTERNAL: code of the embedder threw.
    absl::Status status;
  };
  std::vector<Refused> refused;

  // Parts of the old config that had not ended when the call returned: a collector, named as above,
  // or `sensor NAME`, whose source hangs; `sync` or `disk`, a thread of which hangs in the disk.
  // The library no longer waits for their threads. Keep what these sources touch alive until Stats
  // no longer shows them as stopping.
  std::vector<std::string> still_running;
};

}  // namespace datamanager

#endif  // DATAMANAGER_RECONFIGURE_RESULT_H_
