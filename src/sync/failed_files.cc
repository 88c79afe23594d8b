#include "sync/failed_files.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture_file/file_name.h"
#include "capture_file/reader.h"
#include "sync/directory_walker.h"

namespace datamanager::sync {
namespace {

// Of the reasons for which files stay, so many are told.
constexpr size_t kErrorLimit = 100;
constexpr int kNameAttempts = 1000;
// Whoever sets a file aside lets go of it right after.
constexpr std::chrono::milliseconds kHandOverLimit{100};

// "x.capture.2", as a name that was taken under failed/ became, is "x.capture" again, and so with
// uploads to datasets. Other files keep their number: it may always have been part of their names.
std::string FormerName(std::string_view name) {
  const size_t end = name.find_last_not_of("0123456789");
  if (end == std::string_view::npos || end + 1 == name.size() || name[end] != '.') {
    return std::string(name);
  }
  const std::string_view plain = name.substr(0, end);
  const bool ours = capture_file::IsComplete(plain) || capture_file::IsDatasetUpload(plain);
  return std::string(ours ? plain : name);
}

std::string FailedDirectory(const Root& root) {
  return absl::StrCat(root.path == "/" ? "" : root.path, "/",
                      ToAbsl(capture_file::kFailedDirectory));
}

class Mover {
 public:
  Mover(SyncContext& context, std::stop_token stop, RetriedFiles& result)
      : context_(context), ops_(*context.options.ops), stop_(std::move(stop)), result_(result) {}

  void Move(const DirectoryWalker::Entry& file) {
    absl::Status status = TryMove(file);
    if (status.ok()) {
      ++result_.moved;
      return;
    }
    ++result_.left;
    context_.disk_full.RaiseFor(status);
    if (result_.errors.size() < kErrorLimit) {
      result_.errors.push_back(absl::StrCat(file.Path(), ": ", status.ToString()));
    }
  }

 private:
  absl::Status TryMove(const DirectoryWalker::Entry& file) {
    if (capture_file::IsRemainder(file.name)) {
      return absl::FailedPreconditionError(
          "is what is left of a damaged file, without a whole record");
    }
    const UniqueFd fd(ops_.OpenAt(file.parent, file.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0));
    struct stat info {};
    if (!fd.valid() || ops_.Fstat(fd.get(), &info) != 0) return absl::ErrnoToStatus(errno, "open");
    if (!S_ISREG(info.st_mode)) return absl::FailedPreconditionError("is no regular file");
    const FileId id = FileId::Of(info);
    context_.tracker.WaitUntilFree(id, context_.options.clock->MonotonicNow() + kHandOverLimit,
                                   stop_);
    const std::optional<FileTracker::Claim> claim = context_.tracker.TryClaim(id);
    if (!claim.has_value() || ops_.TryLock(fd.get()) != 0) {
      return absl::UnavailableError("is in use");
    }
    struct stat named {};
    if (ops_.LstatAt(file.parent, file.name, &named) != 0 || FileId::Of(named) != id) {
      return absl::NotFoundError("is another file now");
    }
    const std::string name = FormerName(file.name);
    if (capture_file::IsComplete(name)) {
      if (absl::Status status = CheckRecord(fd.get(), info); !status.ok()) return status;
    }
    // <root>/failed/<directory>
    const std::string_view directory =
        std::string_view(*file.directory).substr(FailedDirectory(*file.root).size());
    absl::StatusOr<UniqueFd> target = MakeDirectoriesBelow(ops_, file.root->path, directory);
    if (!target.ok()) return target.status();
    if (absl::Status status = Rename(file, target->get(), name); !status.ok()) return status;
    // A power cut that undoes the move has it under failed/ once more, where nothing is lost.
    ops_.Fsync(target->get());
    return absl::OkStatus();
  }

  absl::Status CheckRecord(int fd, const struct stat& info) {
    auto reader = capture_file::Reader::Open(ops_, fd, static_cast<uint64_t>(info.st_size));
    if (!reader.ok()) return Wrap(reader.status(), "is no capture file");
    const absl::StatusOr<std::optional<capture_file::Record>> record = reader->Next();
    if (!record.ok()) return record.status();
    if (record->has_value()) return absl::OkStatus();
    return absl::FailedPreconditionError(
        "holds no whole record; what it held is stored, or it never held one");
  }

  absl::Status Rename(const DirectoryWalker::Entry& file, int target, std::string name) {
    const std::optional<WallTime> stamp = capture_file::ParseStamp(name);
    for (int attempt = 1; attempt <= kNameAttempts; ++attempt) {
      if (ops_.RenameNoReplaceAt(file.parent, file.name, target, name.c_str()) == 0) {
        return absl::OkStatus();
      }
      if (errno != EEXIST) return absl::ErrnoToStatus(errno, "move");
      if (!stamp.has_value()) break;
      name = capture_file::CompleteName(*stamp + std::chrono::microseconds(attempt));
    }
    return absl::AlreadyExistsError(absl::StrCat("its place is taken: there is another ", name));
  }

  SyncContext& context_;
  FileOps& ops_;
  const std::stop_token stop_;
  RetriedFiles& result_;
};

}  // namespace

RetriedFiles RetryFailedFiles(SyncContext& context, const std::vector<Root>& roots,
                              const std::stop_token& stop) {
  RetriedFiles result;
  const Complain complain = [&result](const absl::Status& status) {
    if (result.errors.size() < kErrorLimit) result.errors.push_back(status.ToString());
  };
  Mover mover(context, stop, result);
  DirectoryWalker walker(*context.options.ops, roots, complain, stop, {.what = WalkOf::kFailed});
  while (const DirectoryWalker::Entry* file = walker.Next()) mover.Move(*file);
  return result;
}

}  // namespace datamanager::sync
