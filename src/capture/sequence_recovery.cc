#include "capture/sequence_recovery.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/durable_names.h"
#include "base/strings.h"
#include "capture/sequence_file.h"
#include "capture_file/claim.h"
#include "capture_file/file_name.h"
#include "capture_file/sequence.h"

namespace datamanager::capture {
namespace {

using capture_file::Claim;
using capture_file::kOpenSequenceSuffix;
using capture_file::kSequenceSuffix;
using capture_file::kTemporarySuffix;
using capture_file::Sequence;
using capture_file::SequenceId;

// A file's stamp lies up to a tick of the kernel's clock before the write.
constexpr std::chrono::milliseconds kStampStep{10};
// How many resources have their last write remembered.
constexpr size_t kRememberedLimit = 4096;

bool IsTemporary(std::string_view name) {
  if (!name.ends_with(kTemporarySuffix)) return false;
  name.remove_suffix(kTemporarySuffix.size());
  return SequenceId(name, kSequenceSuffix).has_value() ||
         SequenceId(name, kOpenSequenceSuffix).has_value();
}

class Recovery {
 public:
  Recovery(FileOps& ops, const std::string& capture_dir, const SequenceRecovery& recovery)
      : ops_(ops),
        capture_dir_(capture_dir),
        directory_(capture_file::SequencesDirectory(capture_dir)),
        recovery_(recovery) {}

  absl::Status Run() {
    absl::Status first;
    absl::Status read = ForEachName(directory_, [&](const std::string& name) {
      if (IsTemporary(name)) {
        first.Update(Take(name, [&](const Claim&) { return Remove(name); }));
      } else if (const auto id = SequenceId(name, kOpenSequenceSuffix)) {
        first.Update(Take(name, [&](const Claim& claim) { return End(*id, name, claim); }));
      }
    });
    if (cancelled_) return absl::CancelledError("the recovery of sequences was ended");
    first.Update(read);
    return first;
  }

 private:
  // Calls `visit` with each name in `directory`, one at a time, until the recovery ends.
  template <typename Visit>
  absl::Status ForEachName(const std::string& directory, Visit visit) {
    const DirectoryStream stream = OpenDirectory(ops_, AT_FDCWD, directory.c_str(), O_NOFOLLOW);
    if (stream == nullptr) {
      if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return absl::OkStatus();
      return ErrnoStatus(errno, "open directory", directory);
    }
    while (!cancelled_) {
      const dirent* entry = ops_.ReadDirectory(stream.get());
      if (entry == nullptr) break;
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (recovery_.keep_going && !recovery_.keep_going()) cancelled_ = true;
      if (!cancelled_) visit(name);
    }
    if (!cancelled_ && errno != 0) return ErrnoStatus(errno, "read directory", directory);
    return absl::OkStatus();
  }

  std::string PathOf(std::string_view name) const {
    return absl::StrCat(directory_, "/", ToAbsl(name));
  }

  // Does `work` with the file, if it is nobody else's.
  template <typename Work>
  absl::Status Take(const std::string& name, Work work) {
    const absl::StatusOr<Claim> claim = capture_file::ClaimFile(ops_, PathOf(name));
    if (absl::IsNotFound(claim.status())) return absl::OkStatus();
    if (!claim.ok()) return claim.status();
    switch (claim->outcome) {
      case Claim::Outcome::kNone:
        return absl::OkStatus();
      case Claim::Outcome::kInUse:
        return absl::UnavailableError(absl::StrCat(PathOf(name), " is in use"));
      case Claim::Outcome::kOurs:
      case Claim::Outcome::kUnknown:  // Whoever writes them here locks them.
        break;
    }
    return Wrap(work(*claim), PathOf(name));
  }

  absl::Status Remove(const std::string& name) {
    if (ops_.Unlink(PathOf(name).c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
    return ErrnoStatus(errno, "remove", PathOf(name));
  }

  absl::Status End(const std::string& id, const std::string& name, const Claim& claim) {
    const std::string ended = PathOf(id + std::string(kSequenceSuffix));
    struct stat info {};
    // An empty file only reserves the name, for a rename that did not happen (exclusive_rename.h).
    if (ops_.Lstat(ended.c_str(), &info) == 0 && info.st_size > 0) return Remove(name);
    absl::StatusOr<Sequence> sequence =
        capture_file::ReadSequence(ops_, claim.fd.get(), static_cast<uint64_t>(claim.info.st_size));
    if (absl::IsDataLoss(sequence.status())) {
      if (ops_.RenameNoReplace(PathOf(name).c_str(), ended.c_str()) != 0) {
        return ErrnoStatus(errno, "rename", PathOf(name));
      }
      recovery_.ended(absl::StrCat("sequence ", id, ", left open by a process that ended, ",
                                   sequence.status().message()));
      return absl::OkStatus();
    }
    if (!sequence.ok()) return sequence.status();
    sequence->end = std::max({sequence->start, ModifiedAt(claim.info), LastWritten(*sequence)});
    if (cancelled_) return absl::OkStatus();  // The end is not known yet.
    absl::Status written =
        WriteSequenceFile(ops_, directory_, std::string(BaseName(ended)), *sequence, true).status();
    if (!written.ok()) return written;
    written = names_.Flush(directory_);
    if (!written.ok()) {
      ops_.Unlink(ended.c_str());
      return written;
    }
    recovery_.ended(absl::StrCat("sequence ", id,
                                 ", left open by a process that ended, ends with the last that is "
                                 "known of it"));
    return Remove(name);
  }

  // When a capture file of an earlier run was last written to.
  WallTime LastWritten(const Sequence& sequence) {
    WallTime last = WallTime::min();
    for (const auto& resource : sequence.resources) {
      last = std::max(last,
                      LastWritten(capture_file::ResourceSegments(resource.name, resource.method)));
      if (cancelled_) break;
    }
    return last;
  }
  // Returns the last write to one resource, in any API. Remembered, because thousands of sequences
  // may have the same resources.
  WallTime LastWritten(const std::string& segments) {
    const auto known = last_written_.find(segments);
    if (known != last_written_.end()) return known->second;
    WallTime last = WallTime::min();
    ForEachName(capture_dir_, [&](const std::string& api) {
      const std::string directory = absl::StrCat(capture_dir_, "/", api, "/", segments);
      // A directory that cannot be read is treated as empty.
      ForEachName(directory, [&](const std::string& file) {
        const std::optional<WallTime> begun = capture_file::ParseStamp(file);
        struct stat info {};
        if (begun.has_value() && *begun < recovery_.run_began &&
            ops_.Lstat(absl::StrCat(directory, "/", file).c_str(), &info) == 0) {
          last = std::max(last, ModifiedAt(info) + kStampStep);
        }
      }).IgnoreError();
    }).IgnoreError();
    if (!cancelled_ && last_written_.size() < kRememberedLimit) last_written_[segments] = last;
    return last;
  }

  FileOps& ops_;
  const std::string& capture_dir_;
  const std::string directory_;
  const SequenceRecovery& recovery_;
  DurableNames names_{ops_};
  std::map<std::string, WallTime> last_written_;  // Keyed by resource.
  bool cancelled_ = false;
};

}  // namespace

absl::Status RecoverSequences(FileOps& ops, const std::string& capture_dir,
                              const SequenceRecovery& recovery) {
  return Recovery(ops, capture_dir, recovery).Run();
}

}  // namespace datamanager::capture
