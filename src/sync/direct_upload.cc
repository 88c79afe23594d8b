#include "sync/direct_upload.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture_file/file_name.h"
#include "sync/connection.h"
#include "sync/directory_walker.h"
#include "sync/path_labels.h"

namespace datamanager::sync {
namespace {

constexpr size_t kErrorLimit = 100;
// Between a file's removal and the report of it, and for an upload under way to end.
constexpr std::chrono::seconds kReportLimit{1};

absl::Status Add(const absl::Status& status, const std::string& text) {
  return absl::Status(status.code(), absl::StrCat(status.message(), "; ", text));
}

// Whether it is a data manager's own, which that uploads by itself.
bool IsManaged(std::string_view path) {
  const std::string_view name = BaseName(path);
  if (capture_file::IsInProgress(name) || capture_file::IsComplete(name)) return true;
  const std::string parent = ParentPath(path);
  const std::string_view directory = BaseName(parent);
  if (directory == capture_file::kDatasetUploadDirectory) {
    return capture_file::IsDatasetUpload(name);
  }
  return directory == capture_file::kSequencesDirectory &&
         (name.ends_with(".seq") || name.ends_with(".progseq"));
}

}  // namespace

DirectUploads::DirectUploads(SyncContext& context, Scheduler& scheduler,
                             const UploadOptions& options)
    : context_(context),
      ops_(*context.options.ops),
      scheduler_(scheduler),
      deadline_(options.deadline.value_or(MonotonicTime::max())),
      on_caller_(options.stop, [this] { stop_.request_stop(); }),
      on_restart_(scheduler.stop_token(), [this] { stop_.request_stop(); }) {}

absl::Status DirectUploads::ToDatasets(const DatasetFile& file) {
  const std::string& directory = scheduler_.config().capture_directory;
  if (absl::Status status = MakeDirectories(ops_, directory); !status.ok()) {
    context_.disk_full.RaiseFor(status);
    return status;
  }
  const absl::StatusOr<Root> root = FindRoot(ops_, directory, DirectorySummary::Role::kCapture);
  if (!root.ok()) return root.status();
  FoundFile found{
      .root = root->path,
      .path = absl::StrCat(root->path, "/", ToAbsl(capture_file::kDatasetUploadDirectory), "/",
                           file.name()),
      .kind = FileKind::kDatasetUpload};
  UploadOutcomes::Expectation expectation(context_.outcomes, found.path);
  const absl::StatusOr<std::optional<FileId>> made =
      file.Write(ops_, *root, [&expectation] { expectation.AboutToName(); });
  if (!made.ok()) {
    context_.disk_full.RaiseFor(made.status());
    return Wrap(made.status(), "put the upload on disk");
  }
  if (made->has_value()) expectation.OnlyOf(**made);
  const absl::Status status = UploadWaiting(std::move(found), expectation);
  if (status.ok()) return status;
  switch (fate_) {
    case Fate::kWaits:
      break;
    case Fate::kSetAside:
      return Add(status, "the server refused it, and it is under failed/");
    case Fate::kTaken:
      return Add(status, "somebody else has taken it from its place on disk");
  }
  return Add(status, scheduler_.config().scheduled
                         ? "it is on disk and will be uploaded"
                         : "it is on disk, and the next call of Sync uploads it");
}

absl::Status DirectUploads::UploadWaiting(FoundFile file,
                                          UploadOutcomes::Expectation& expectation) {
  absl::Status connected = WaitForConnection(context_, stop_.get_token(), deadline_);
  if (!connected.ok()) return EndsCall() ? EndedEarly() : connected;
  FileTracker& tracker = context_.tracker;
  std::optional<UploadOutcome> outcome;
  // Whoever has the file tells how its try ended before it lets go of it.
  while (!outcome.has_value()) {
    struct stat info {};
    if (ops_.Lstat(file.path.c_str(), &info) != 0) {
      outcome = expectation.Await(std::min(deadline_, Now() + kReportLimit), stop_.get_token());
      if (outcome.has_value()) break;
      if (EndsCall()) return EndedEarly();
      fate_ = Fate::kTaken;
      return absl::AbortedError("nothing is known of the upload");
    }
    file.id = FileId::Of(info);
    file.version = FileVersion::Of(info);
    if (!tracker.WaitUntilFree(file.id, deadline_, stop_.get_token())) return EndedEarly();
    outcome = expectation.Await(Now(), stop_.get_token());
    if (outcome.has_value()) break;
    const OfferEnd end = scheduler_.dispatcher().Offer(file, nullptr, deadline_, stop_.get_token());
    if (end == OfferEnd::kOffline) {
      return NotConnected(context_.options.uploader->Status(), context_.options.clock->WallNow());
    }
    if (end != OfferEnd::kTaken) return EndedEarly();
    if (!tracker.WaitUntilFree(file.id, deadline_, stop_.get_token())) return EndedEarly();
    // Without an outcome, another process works on the file, or it was gone.
    outcome = expectation.Await(std::min(deadline_, Now() + kReportLimit), stop_.get_token());
    if (!outcome.has_value() && EndsCall()) return EndedEarly();
  }
  if (outcome->verdict == Verdict::kRefused) fate_ = Fate::kSetAside;
  return outcome->status;
}

UploadedFiles DirectUploads::FromPath(const std::string& path, const UploadLabels& labels) {
  direct_ =
      std::make_shared<DirectUpload>(DirectUpload{.labels = labels, .stop = stop_.get_token()});
  result_.status = CheckLabels(labels);
  if (result_.status.ok()) result_.status = UploadAll(path);
  if (skipped_ > 0) {
    context_.options.logger->Warning(absl::StrCat(
        "skipping file managed by data capture: ", first_skipped_,
        skipped_ == 1 ? "" : absl::StrCat(" and ", skipped_ - 1, " more below ", path)));
  }
  if (!result_.status.ok() && result_.files_uploaded + result_.files_failed > 0) {
    result_.status =
        Add(result_.status, absl::StrCat(result_.files_uploaded, " files were uploaded, ",
                                         result_.files_failed, " failed"));
  }
  return std::move(result_);
}

absl::Status DirectUploads::UploadAll(const std::string& path) {
  struct stat info {};
  if (ops_.Lstat(path.c_str(), &info) != 0)
    return ErrnoStatus(errno, "failed to stat file path", path);
  const bool is_file = S_ISREG(info.st_mode);
  const absl::StatusOr<Root> root =
      FindRoot(ops_, is_file ? ParentPath(path) : path, DirectorySummary::Role::kAdditional);
  if (!root.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, " is no regular file and no directory; name the file that a link leads to"));
  }
  if (!is_file && root->path == "/") {
    return absl::InvalidArgumentError("all files of the machine cannot be uploaded and removed");
  }
  absl::Status connected = WaitForConnection(context_, stop_.get_token(), deadline_);
  if (!connected.ok()) return EndsCall() ? EndedEarly() : connected;
  if (!is_file) return UploadTree(*root);

  const absl::StatusOr<UniqueFd> directory = OpenDirectoryWithoutLinks(ops_, root->path, O_PATH);
  struct stat directory_info {};
  if (!directory.ok()) return directory.status();
  if (ops_.Fstat(directory->get(), &directory_info) != 0) {
    return ErrnoStatus(errno, "look at", root->path);
  }
  const std::string name(BaseName(path));
  return UploadOne(root->path, absl::StrCat(root->path == "/" ? "" : root->path, "/", name),
                   {.fd = directory->get(), .info = &directory_info});
}

absl::Status DirectUploads::UploadTree(const Root& root) {
  const std::vector<Root> roots = {root};
  const Complain complain = [this](const absl::Status& status) { Say(status.ToString()); };
  DirectoryWalker walker(ops_, roots, complain, stop_.get_token(), {.what = WalkOf::kEverything});
  while (const DirectoryWalker::Entry* entry = walker.Next()) {
    absl::Status status =
        UploadOne(root.path, entry->Path(), {.fd = entry->parent, .info = entry->directory_info});
    if (!status.ok()) return status;
  }
  return EndsCall() ? EndedEarly() : absl::OkStatus();
}

absl::Status DirectUploads::UploadOne(const std::string& root, const std::string& path,
                                      const OpenedDirectory& directory) {
  if (IsManaged(path)) {
    if (skipped_++ == 0) first_skipped_ = path;
    return absl::OkStatus();
  }
  const std::string name(BaseName(path));
  while (true) {
    if (EndsCall()) return EndedEarly();
    struct stat info {};
    // Gone meanwhile, and then perhaps uploaded by a pass.
    if (ops_.LstatAt(directory.fd, name.c_str(), &info) != 0) return absl::OkStatus();
    const auto size = static_cast<uint64_t>(info.st_size);
    absl::Status possible = CheckDirectory(ops_, directory.fd, ParentPath(path));
    if (possible.ok()) possible = CheckFile(ops_, directory, path, info);
    if (possible.ok() && size == 0)
      possible = absl::InvalidArgumentError("file is empty (0 bytes)");
    if (!possible.ok()) {
      Fail(path, size, possible);
      return absl::OkStatus();
    }
    const auto candidate = CircuitBreaker::Candidate::Of(path, /*tried=*/false);
    if (context_.breaker.Rests(candidate, Now()) && !context_.breaker.IsRefused(candidate, Now())) {
      return absl::UnavailableError(
          "the server failed one upload after another, or asked for a pause, so uploads rest; "
          "Stats().sync.paused says why and until when");
    }
    UploadOutcomes::Expectation expectation(context_.outcomes, path, direct_.get());
    const OfferEnd end = scheduler_.dispatcher().Offer({.root = root,
                                                        .path = path,
                                                        .kind = FileKind::kArbitrary,
                                                        .id = FileId::Of(info),
                                                        .version = FileVersion::Of(info)},
                                                       direct_, deadline_, stop_.get_token());
    if (end == OfferEnd::kOffline) {
      absl::Status connected = WaitForConnection(context_, stop_.get_token(), deadline_);
      if (!connected.ok()) return EndsCall() ? EndedEarly() : connected;
      continue;
    }
    if (end != OfferEnd::kTaken) return EndedEarly();
    // The caller's stop ends the try, and that is waited for.
    auto outcome = expectation.Await(deadline_, scheduler_.stop_token());
    if (!outcome.has_value() && Now() >= deadline_) {
      stop_.request_stop();
      outcome = expectation.Await(Now() + kReportLimit, scheduler_.stop_token());
    }
    if (!outcome.has_value() || outcome->verdict == Verdict::kStopped) return EndedEarly();
    return Count(path, size, *outcome);
  }
}

absl::Status DirectUploads::Count(const std::string& path, uint64_t size,
                                  const UploadOutcome& outcome) {
  if (outcome.verdict == Verdict::kGone) return absl::OkStatus();
  if (!outcome.status.ok()) {
    Fail(path, size, outcome.status);
    if (!IsLoss(outcome)) return absl::OkStatus();
    return WaitForConnection(context_, stop_.get_token(), deadline_);
  }
  ++result_.files_uploaded;
  result_.bytes_uploaded += outcome.bytes;
  result_.bytes_total += outcome.bytes;
  result_.ids.push_back(outcome.binary_data_id);
  if (!outcome.removed.ok()) {
    Say(absl::StrCat(path, ": stored, but not removed: ", outcome.removed.ToString()));
  }
  return absl::OkStatus();
}

bool DirectUploads::IsLoss(const UploadOutcome& outcome) const {
  if (outcome.verdict == Verdict::kOffline) return true;
  if (outcome.verdict != Verdict::kTransient || !absl::IsUnavailable(outcome.status)) return false;
  // The channel tells of the loss a moment after its calls have ended.
  const Uploader& uploader = *context_.options.uploader;
  const std::stop_token stop = stop_.get_token();
  const MonotonicTime limit = Clock::System().MonotonicNow() + kStateLag;
  while (uploader.Ready() && !stop.stop_requested() && Clock::System().MonotonicNow() < limit) {
    context_.WaitForWake(limit, stop);
  }
  return !uploader.Ready();
}

void DirectUploads::Fail(const std::string& path, uint64_t size, const absl::Status& status) {
  ++result_.files_failed;
  result_.bytes_total += size;
  Say(absl::StrCat(path, ": ", status.ToString()));
}

void DirectUploads::Say(std::string error) {
  context_.options.logger->Warning(absl::StrCat("upload from path: ", error));
  if (result_.errors.size() < kErrorLimit) result_.errors.push_back(std::move(error));
}

bool DirectUploads::EndsCall() const { return stop_.stop_requested() || Now() >= deadline_; }

absl::Status DirectUploads::EndedEarly() const {
  if (scheduler_.stop_token().stop_requested()) return absl::CancelledError("sync was stopped");
  if (Now() >= deadline_) return absl::DeadlineExceededError("the deadline has passed");
  return absl::CancelledError("the call was cancelled");
}

}  // namespace datamanager::sync
