// Uploads that a call asks for and waits for, beside those that passes find.
#ifndef DATAMANAGER_SRC_SYNC_DIRECT_UPLOAD_H_
#define DATAMANAGER_SRC_SYNC_DIRECT_UPLOAD_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "datamanager/clock.h"
#include "datamanager/data_manager.h"
#include "sync/dataset_file.h"
#include "sync/dispatcher.h"
#include "sync/found_file.h"
#include "sync/permission.h"
#include "sync/roots.h"
#include "sync/scheduler.h"
#include "sync/sync_context.h"
#include "sync/upload_outcomes.h"

namespace datamanager::sync {

// One call. Its files go through the tracker and to the workers like any others, ahead of none.
// Ends with the caller's wish, and with the scheduler. Used once, by the caller's thread.
class DirectUploads {
 public:
  // All must outlive it.
  DirectUploads(SyncContext& context, Scheduler& scheduler, const UploadOptions& options);

  absl::Status ToDatasets(const DatasetFile& file);
  UploadedFiles FromPath(const std::string& path, const UploadLabels& labels);

 private:
  using OfferEnd = Dispatcher::OfferEnd;
  using Stop = std::stop_callback<std::function<void()>>;

  // What waits for datasets already.
  absl::Status UploadWaiting(FoundFile file, UploadOutcomes::Expectation& expectation);

  absl::Status UploadAll(const std::string& path);
  absl::Status UploadTree(const Root& root);
  // One file of a path, whose directory is open; and what became of it. An error ends the call.
  absl::Status UploadOne(const std::string& root, const std::string& path,
                         const OpenedDirectory& directory);
  absl::Status Count(const std::string& path, uint64_t size, const UploadOutcome& outcome);
  // Whether the connection was lost, and not one file refused. May wait a moment to be sure.
  bool IsLoss(const UploadOutcome& outcome) const;
  void Fail(const std::string& path, uint64_t size, const absl::Status& status);
  void Say(std::string error);

  // Whether somebody wants the call to end, or its time is up; and that, as an error.
  bool EndsCall() const;
  absl::Status EndedEarly() const;
  MonotonicTime Now() const { return context_.options.clock->MonotonicNow(); }

  SyncContext& context_;
  FileOps& ops_;
  Scheduler& scheduler_;
  const MonotonicTime deadline_;
  std::stop_source stop_;
  const Stop on_caller_;
  const Stop on_restart_;

  // Of ToDatasets: where the file is.
  enum class Fate : uint8_t { kWaits, kSetAside, kTaken } fate_ = Fate::kWaits;

  // Of FromPath.
  std::shared_ptr<const DirectUpload> direct_;
  UploadedFiles result_;
  uint64_t skipped_ = 0;
  std::string first_skipped_;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_DIRECT_UPLOAD_H_
