// datamanager: captures what a robot's sensors say to disk, and uploads it when it can.
//
//   datamanager::Sources sources;
//   sources.AddReadings("rdk:component:sensor", "cpu", [](const auto& request, auto& out) {
//     out.Set("temperature_celsius", ReadThermalZone());
//     return absl::OkStatus();
//   });
//   auto manager = datamanager::DataManager::Create({.cloud = cloud});
//   absl::Status status = (*manager)->Reconfigure(config, sources);
//   ...
//   (*manager)->Close();
#ifndef DATAMANAGER_DATA_MANAGER_H_
#define DATAMANAGER_DATA_MANAGER_H_

#include <chrono>
#include <memory>
#include <stop_token>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "datamanager/cloud.h"
#include "datamanager/config.h"
#include "datamanager/log.h"
#include "datamanager/source.h"
#include "datamanager/stats.h"

namespace datamanager {

struct DataManagerOptions {
  // Null: the machine is not cloud-managed, and only captures.
  std::shared_ptr<Cloud> cloud;
  // Empty: standard error.
  LogSink logger;
  // How long Close waits for source calls under way, beyond the second it takes itself.
  std::chrono::milliseconds close_timeout{5000};
  // An upload that moves nothing for this long is given up and tried again later.
  std::chrono::milliseconds upload_stall_timeout{30000};
  // How long Sync waits for the connection before it returns UNAVAILABLE.
  std::chrono::milliseconds connect_timeout{5000};
  // Refuses a capture_dir other than the default.
  bool untrusted_environment = false;
};

enum class SyncWait : uint8_t {
  kHandedOver,  // Until every ready file has been taken by a worker.
  kUploaded,    // Until every file that was ready at the call is stored, refused or gone.
};

struct SyncOptions {
  SyncWait wait_for = SyncWait::kHandedOver;
  // Ends the call early, with CANCELLED. Uploads under way go on.
  std::stop_token stop;
};

// Runs capture and sync on one config. Thread-safe: any thread but those of the library may call
// anything at any time; calls that change the manager take turns. A call from inside a source or a
// log sink returns FAILED_PRECONDITION.
//
// Nothing runs before the first Reconfigure, and nothing after Close. The destructor closes.
class DataManager {
 public:
  // Checks the options; starts nothing but the log. Does not block.
  static absl::StatusOr<std::unique_ptr<DataManager>> Create(DataManagerOptions options = {});

  virtual ~DataManager() = default;
  DataManager(const DataManager&) = delete;
  DataManager& operator=(const DataManager&) = delete;

  // Brings capture and sync to `config` and `sources`. All checks come first: INVALID_ARGUMENT or
  // FAILED_PRECONDITION lists every fault and the old config runs on. Only what differs is
  // restarted: a collector whose own config and source are the same does not miss a tick, and
  // uploads under way end only when sync's part differs (their files stay, and are uploaded anew).
  // A fault of one collector's config disables that collector alone and stands in Stats.
  //
  // Blocks until the old collectors have ended, at most 1 s for a source that hangs: that collector
  // is shown as stopping, and its successor starts all the same. After Close: FAILED_PRECONDITION.
  virtual absl::Status Reconfigure(const Config& config, const Sources& sources) = 0;

  // Finishes the open files and offers everything ready to the upload workers, whether or not
  // scheduled sync is on; waiting retries are made due once.
  //
  // Blocks as `wait_for` says. Offline, it asks the channel to connect and waits `connect_timeout`
  // for it, then returns UNAVAILABLE, `not connected to the cloud`, with the state, since when and
  // the last error. Ends with CANCELLED when `stop` is requested, on Close, and on a Reconfigure
  // that changes sync. Calls run side by side. kUploaded returns INVALID_ARGUMENT when the server
  // refused some of the files; they are under failed/. Files that another process has open for
  // writing, or that could not be removed afterwards, are not ready: they are not waited for.
  virtual absl::Status Sync(SyncOptions options = {}) = 0;

  // Ends capture and sync. Everything captured is on disk when it returns; what was being uploaded
  // stays and is uploaded by the next run. Beats everything else: a Sync or Reconfigure under way
  // ends. Returns within 1 s plus `close_timeout`; DEADLINE_EXCEEDED names the collectors whose
  // source did not return: their threads are left alone, and only what those sources themselves
  // touch must stay alive. A second call waits for the first and returns the same.
  virtual absl::Status Close() = 0;

  // A snapshot. Does not block.
  virtual ManagerStats Stats() const = 0;

 protected:
  DataManager() = default;
};

}  // namespace datamanager

#endif  // DATAMANAGER_DATA_MANAGER_H_
