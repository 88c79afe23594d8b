// datamanager: captures the readings of a robot's sensors to disk, and uploads them when it can.
//
//   datamanager::Sources sources;
//   sources.AddReadings("rdk:component:sensor", "cpu", [](const auto& request, auto& out) {
//     out.Set("temperature_celsius", ReadThermalZone());
//     return absl::OkStatus();
//   });
//   auto manager = datamanager::DataManager::Create({.cloud = cloud});
//   auto result = (*manager)->Reconfigure(config, sources);
//   ...
//   (*manager)->Close();
#ifndef DATAMANAGER_DATA_MANAGER_H_
#define DATAMANAGER_DATA_MANAGER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "datamanager/clock.h"
#include "datamanager/cloud.h"
#include "datamanager/config.h"
#include "datamanager/log.h"
#include "datamanager/reconfigure_result.h"
#include "datamanager/source.h"
#include "datamanager/stats.h"

namespace datamanager {

// Spans of time of more than ten years count as ten years.
struct DataManagerOptions {
  // Null: the machine is not cloud-managed, and only captures.
  std::shared_ptr<Cloud> cloud;
  // Empty: standard error.
  LogSink logger;
  // How long Close waits for source calls under way, beyond the second it takes itself.
  std::chrono::milliseconds close_timeout{5000};
  // An upload that moves nothing for this long is given up and tried again later: a stream of which
  // no write is accepted, or whose answer does not come. A request that is not streamed has, beyond
  // it, the time that it takes at 16 KB/s. For the answer to a file that a server was too slow with
  // before, the limit is doubled each time, at most to the eightfold.
  std::chrono::milliseconds upload_stall_timeout{30000};
  // How long Sync waits for the connection before it returns UNAVAILABLE.
  std::chrono::milliseconds connect_timeout{5000};
  // The stack of each thread that runs the embedder's sources, beside what the system takes of it
  // for thread-local storage. 0: the system's default, mostly 8 MB. A robot that locks its memory
  // (mlockall) pays all of that for each collector, and may set what its sources need. At least 256
  // KiB, which the library itself needs (2 MiB in a build with a sanitizer).
  size_t source_stack_bytes = 0;
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

// What the cloud files an upload under, beside the robot's part.
struct UploadLabels {
  std::vector<std::string> tags;
  std::vector<std::string> dataset_ids;
};

// Until when a call waits for its upload.
struct UploadOptions {
  std::stop_token stop;                   // Ends the call, with CANCELLED.
  std::optional<MonotonicTime> deadline;  // Ends it with DEADLINE_EXCEEDED.
};

// What UploadDataFromPath did. The counts are right whatever the status.
struct UploadedFiles {
  // OK when every file was tried. Else the call ended early, and says why.
  absl::Status status;
  uint64_t files_uploaded = 0;
  uint64_t files_failed = 0;     // They are left as they are.
  uint64_t bytes_uploaded = 0;   // Of those uploaded.
  uint64_t bytes_total = 0;      // Of those tried.
  std::vector<std::string> ids;  // By which the server knows what was uploaded.
  // Why files failed, a line for each of the first hundred, with the file's path; and of uploaded
  // ones that could not be removed.
  std::vector<std::string> errors;
};

// What RetryFailed did.
struct RetriedFiles {
  uint64_t moved = 0;  // Back in their places.
  uint64_t left = 0;   // Still under failed/.
  // Why, a line for each of the first hundred, with the file's path; and what could not be read.
  std::vector<std::string> errors;
};

// Runs capture and sync on one config. Thread-safe: any thread but those of the library may call
// anything at any time; calls that change the manager take turns. A call from inside the embedder's
// own code that the library is running (a source, a stop callback of one, the destructor of one, a
// log sink) returns FAILED_PRECONDITION. A forked child must not use the manager: only the parent
// keeps using it, and the child has none of its files open.
//
// Nothing runs before the first Reconfigure, and nothing after Close. The destructor closes.
class DataManager {
 public:
  // Checks the options; starts only the log and the thread that finishes files. Does not block.
  // INVALID_ARGUMENT names the option at fault; RESOURCE_EXHAUSTED: the system gives no thread or
  // no memory.
  static absl::StatusOr<std::unique_ptr<DataManager>> Create(DataManagerOptions options = {});

  virtual ~DataManager() = default;
  DataManager(const DataManager&) = delete;
  DataManager& operator=(const DataManager&) = delete;

  // Brings capture and sync to `config` and `sources`. Restarts only what differs: a collector
  // whose own config and source are the same does not miss a tick, and uploads under way end only
  // when sync's part differs (their files stay, and are uploaded again). A fault of one collector
  // disables that collector alone: it is in the result's `refused`, in Stats and in the log.
  //
  // An error means that the old config stays in force:
  //   INVALID_ARGUMENT      faults of the config's own attributes; every one is listed.
  //   FAILED_PRECONDITION   capture_dir cannot be captured to; or the manager is closed, or is
  //                         being closed, and nothing runs; or the call came from a callback.
  //
  // Blocks until the old collectors have ended, at most 1 s for a source that hangs: that collector
  // is in the result's `still_running`, Stats shows it as stopping, and its successor starts when
  // the source returns.
  virtual absl::StatusOr<ReconfigureResult> Reconfigure(const Config& config,
                                                        const Sources& sources) = 0;

  // Finishes the open files and offers everything ready to the upload workers, whether or not
  // scheduled sync is on; waiting retries are made due once. When open files could not be finished,
  // the others are offered all the same, and the call ends with the status of Flush.
  //
  // Blocks as `wait_for` asks. Offline, it asks the channel to connect and waits `connect_timeout`
  // for it, then returns UNAVAILABLE, `not connected to the cloud`, with the state, since when and
  // the last error. Ends with CANCELLED when `stop` is requested, on Close, and on a Reconfigure
  // that changes sync. Calls run side by side. kUploaded returns INVALID_ARGUMENT when the server
  // refused some of the files, which are under failed/, or so many that the rest are not tried for
  // now; DEADLINE_EXCEEDED, which names one of them, when for 5 s only files were left that another
  // process has locked or open for writing. Files that could not be removed afterwards are not
  // ready: the call does not wait for them.
  virtual absl::Status Sync(SyncOptions options = {}) = 0;

  // Finishes the open files, so that everything captured before the call is published; Sync and
  // scheduled passes do this first. Blocks for up to 2 s. A file that is not published by then is
  // published later, without a further call.
  //   DEADLINE_EXCEEDED   the disk is slow.
  //   CANCELLED           `stop` was requested, or Close was called.
  //   any other           a file could not be published: its path and the reason.
  virtual absl::Status Flush(std::stop_token stop = {}) = 0;

  // Uploads `data` as one file to datasets. It is first put on disk, with its labels, below
  // `<capture_dir>/datasetUpload/`: if the call ends without OK after that, for whatever reason,
  // the upload goes on in the background and survives a restart, and the error says so. While the
  // same data with the same labels waits there, a further call joins it. `mime_type` is such as
  // "image/png" and gives the file its extension; it may be empty. The config's tags are not added.
  //
  // Blocks for the disk and the upload; offline, `connect_timeout` for the connection. OK: the
  // server has stored it. INVALID_ARGUMENT: there is no data, or a label is empty or not UTF-8, and
  // nothing was written; or the server refused it, and it is under failed/. FAILED_PRECONDITION:
  // there is no cloud to upload to, or no config yet; nothing was written. UNAVAILABLE: `not
  // connected to the cloud`. CANCELLED as `options` say, on Close, and on a Reconfigure that
  // changes sync. Else what the server, or the disk, said.
  virtual absl::Status UploadBinaryDataToDatasets(std::string_view data, const UploadLabels& labels,
                                                  std::string_view mime_type,
                                                  UploadOptions options = {}) = 0;
  // The same for an encoded image, "image/jpeg" or "image/png". INVALID_ARGUMENT for another type,
  // and if the data does not begin as the type demands.
  virtual absl::Status UploadImageToDatasets(std::string_view image, const UploadLabels& labels,
                                             std::string_view mime_type,
                                             UploadOptions options = {}) = 0;

  // Uploads the file at `path`, or every file below the directory there, each once, and removes
  // what was stored. Directories `tag=X` and `dataset=Y` in the path add to the labels, the
  // config's tags do not. What a data manager keeps is passed over with a warning: *.prog,
  // *.capture, and what is in `sequences` and `datasetUpload`. Links and devices are not followed;
  // a file that another process has open for writing, or that is empty, fails. A failed file stays
  // where it is and does not end the rest; progress is logged.
  //
  // Blocks for the uploads. INVALID_ARGUMENT: nothing that can be uploaded is at `path`.
  // FAILED_PRECONDITION: there is no cloud, or no config yet. UNAVAILABLE: `not connected to the
  // cloud`, at first or meanwhile; also while uploads rest, because the server fails one after
  // another or has asked for a pause. CANCELLED and DEADLINE_EXCEEDED as `options` say, CANCELLED
  // also on Close and on a Reconfigure that changes sync; the upload under way ends, and its file
  // stays.
  virtual UploadedFiles UploadDataFromPath(const std::string& path, const UploadLabels& labels = {},
                                           UploadOptions options = {}) = 0;

  // Moves what the server refused, and what could not be read, from `failed/` back to where it was
  // below capture_dir and the other directories that are walked, so that the next pass uploads it:
  // for when the server, or the file, has been put right. Never overwrites. A capture file without
  // a whole record stays: there is nothing in it to upload.
  //
  // Blocks on the disk; Close ends it, with CANCELLED. FAILED_PRECONDITION before the first
  // Reconfigure.
  virtual absl::StatusOr<RetriedFiles> RetryFailed() = 0;

  // Ends capture and sync. Everything captured is on disk when it returns; what was being uploaded
  // stays and is uploaded by the next run. Beats everything else: a Sync or Reconfigure under way
  // ends. Returns within 1 s plus `close_timeout`; DEADLINE_EXCEEDED names the collectors whose
  // source did not return: their threads are left alone, and only what those sources themselves
  // touch must stay alive. The same if the disk hangs: it says which files it holds up. A second
  // call waits for the first and returns the same.
  virtual absl::Status Close() = 0;

  // A snapshot. Does not block.
  virtual ManagerStats Stats() const = 0;

 protected:
  DataManager() = default;
};

}  // namespace datamanager

#endif  // DATAMANAGER_DATA_MANAGER_H_
