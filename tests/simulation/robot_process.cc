#include "tests/simulation/robot_process.h"

#include <gtest/gtest.h>

#include <optional>
#include <utility>
#include <vector>

#include "capture_file/file_name.h"
#include "sync/directory_walker.h"
#include "tests/support/blocking_calls.h"
#include "tests/support/files.h"
#include "tests/support/wait_until.h"

namespace datamanager::simulation {
namespace {

using testing::PatienceEnds;

// Two tabular records go past it, one does not.
constexpr int64_t kMaxFileBytes = 200;

}  // namespace

RobotProcess::RobotProcess(const Options& options)
    : options_(options),
      config_{.capture_directory = options.capture_directory,
              .additional_paths = {options.files_directory}},
      context_(sync::SyncOptions{.uploader = options.uploader,
                                 .logger = options.logger,
                                 .ops = options.disk,
                                 .clock = options.clock}),
      calls_(options.uploader->NewQueue()) {
  // What finds the disk broken tries again while the test waits.
  auto keeper = capture::Keeper::Start({.ops = options.disk,
                                        .clock = options.clock,
                                        .logger = options.logger,
                                        .recovery_interval = std::chrono::milliseconds(1),
                                        .given_up_delay = std::chrono::milliseconds(1),
                                        // Its calls would come at any moment.
                                        .look_interval = std::chrono::hours(1)});
  EXPECT_TRUE(keeper.ok()) << keeper.status();
  keeper_ = *std::move(keeper);
}

RobotProcess::~RobotProcess() {
  for (const auto& [collector, output] : outputs_) output->Close(PatienceEnds());
  keeper_->Close(PatienceEnds());
}

bool RobotProcess::Recover() {
  const int before = options_.disk->listings();
  keeper_->Recover(options_.capture_directory);
  const bool listed = options_.disk->WaitForListing(before);
  Rest();
  return listed;
}

void RobotProcess::Rest() {
  // If the disk fails, files are not published.
  EXPECT_FALSE(absl::IsDeadlineExceeded(keeper_->WaitUntilPublished(PatienceEnds(), {})));
}

capture::Output& RobotProcess::OutputOf(const std::string& collector) {
  std::shared_ptr<capture::Output>& output = outputs_[collector];
  if (output == nullptr) {
    output = std::make_shared<capture::Output>(capture::OutputOptions{
        .directory = capture_file::CollectorDirectory(
            options_.capture_directory, "rdk:component:sensor", collector, "Readings"),
        .max_file_bytes = kMaxFileBytes,
        .keeper = keeper_,
        .finished_files = finished_files_,
        .ops = options_.disk,
        .clock = options_.clock});
  }
  return *output;
}

absl::Status RobotProcess::Append(const std::string& collector, const Record& record, bool binary) {
  absl::Status status =
      OutputOf(collector).Append(MetadataOf(collector, binary), Framed(record.message), "", binary);
  Rest();
  return status;
}

void RobotProcess::Finish(const std::string& collector) {
  OutputOf(collector).Finish(PatienceEnds());
  Rest();
}

void RobotProcess::FinishAll() {
  for (const auto& [collector, output] : outputs_) Finish(collector);
}

void RobotProcess::FinishTogether() {
  options_.disk->HoldFlushes();
  for (const auto& [collector, output] : outputs_) output->Finish(PatienceEnds());
  options_.disk->ReleaseFlushes();
  Rest();
}

void RobotProcess::FlushLive() {
  const size_t live = testing::FilesBelow(options_.capture_directory, ".prog").size();
  if (live == 0) return;
  SimulatedDisk& disk = *options_.disk;
  const int before = disk.looks();
  const auto flush_each = [this](std::chrono::milliseconds interval) {
    keeper_->SetFlushPolicy({.durability = Durability::kPeriodic, .interval = interval});
  };
  flush_each(std::chrono::milliseconds(0));
  // The keeper looks at each file once in a pass: the look beyond begins another, which finds that
  // nothing has grown.
  EXPECT_TRUE(disk.WaitForLooks(before + static_cast<int>(live) + 1));
  flush_each(std::chrono::hours(1));
  // Comes after the pass under way, and finds nothing to recover.
  EXPECT_TRUE(Recover());
}

void RobotProcess::Sync() {
  const sync::Complain silently = [](const absl::Status&) {};
  FileOps& ops = *options_.disk;
  const std::vector<sync::Root> roots =
      sync::RootsOf(ops, config_, context_.former_roots, silently);
  // Not a pass, which goes on while the worker is at work.
  sync::DirectoryWalker walker(ops, roots, silently, {});
  while (const sync::DirectoryWalker::Entry* entry = walker.Next()) {
    struct stat info {};
    if (ops.LstatAt(entry->parent, entry->name, &info) != 0) continue;
    sync::FoundFile file{.root = entry->root->path,
                         .path = entry->Path(),
                         .kind = entry->kind,
                         .id = FileId::Of(info),
                         .version = sync::FileVersion::Of(info)};
    if (!context_.ages.IsReady(file.kind, info, config_.min_file_age, options_.clock->WallNow(),
                               options_.clock->MonotonicNow()) ||
        context_.retries.IsWaiting(file, options_.clock->MonotonicNow())) {
      continue;
    }
    Offer(std::move(file));
  }
  // Each that waits once, whenever it is due.
  for (size_t left = context_.retries.size(); left > 0; --left) {
    std::optional<sync::FoundFile> file =
        context_.retries.NextDue(MonotonicTime::max(), [](const sync::FoundFile&) { return true; });
    if (!file.has_value()) break;
    Offer(*std::move(file));
  }
}

void RobotProcess::Offer(sync::FoundFile file) {
  std::optional<sync::FileTracker::Claim> claim = context_.tracker.TryClaim(file.id);
  ASSERT_TRUE(claim.has_value()) << file.path;
  const sync::RetryState state = context_.retries.Take(file);
  const sync::Job job{.counted = sync::CountedUpload(context_.uploads_under_way),
                      .file = std::move(file),
                      .claim = *std::move(claim),
                      .state = state};
  testing::RunTask(*calls_, worker_.Process(job, *calls_, {}));
}

}  // namespace datamanager::simulation
