#include "capture/sequence_recovery.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

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

absl::StatusOr<std::vector<std::string>> Names(FileOps& ops, const std::string& directory) {
  std::vector<std::string> names;
  const DirectoryStream stream = OpenDirectory(ops, AT_FDCWD, directory.c_str(), O_NOFOLLOW);
  if (stream == nullptr) {
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return names;
    return ErrnoStatus(errno, "open directory", directory);
  }
  while (const dirent* entry = ops.ReadDirectory(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return ErrnoStatus(errno, "read directory", directory);
  return names;
}

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
    const absl::StatusOr<std::vector<std::string>> names = Names(ops_, directory_);
    if (!names.ok()) return names.status();
    absl::Status first;
    for (const std::string& name : *names) {
      if (IsTemporary(name)) {
        first.Update(Take(name, [&](const Claim&) { return Remove(name); }));
      } else if (const auto id = SequenceId(name, kOpenSequenceSuffix)) {
        first.Update(Take(name, [&](const Claim& claim) { return End(*id, name, claim); }));
      }
    }
    return first;
  }

 private:
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
    if (ops_.Lstat(ended.c_str(), &info) == 0) return Remove(name);
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
    DurableNames names(ops_);
    absl::Status written =
        WriteSequenceFile(ops_, directory_, std::string(BaseName(ended)), *sequence, &names)
            .status();
    if (!written.ok()) return written;
    recovery_.ended(absl::StrCat("sequence ", id,
                                 ", left open by a process that ended, ends with the last that is "
                                 "known of it"));
    return Remove(name);
  }

  // When a capture file of an earlier run was last written to.
  WallTime LastWritten(const Sequence& sequence) {
    WallTime last = WallTime::min();
    const absl::StatusOr<std::vector<std::string>> apis = Names(ops_, capture_dir_);
    if (!apis.ok()) return last;
    for (const std::string& api : *apis) {
      for (const auto& resource : sequence.resources) {
        const std::string directory =
            absl::StrCat(capture_dir_, "/", api, "/",
                         capture_file::ResourceSegments(resource.name, resource.method));
        const absl::StatusOr<std::vector<std::string>> files = Names(ops_, directory);
        if (!files.ok()) continue;
        for (const std::string& file : *files) {
          const std::optional<WallTime> begun = capture_file::ParseStamp(file);
          struct stat info {};
          if (begun.has_value() && *begun < recovery_.run_began &&
              ops_.Lstat(absl::StrCat(directory, "/", file).c_str(), &info) == 0) {
            last = std::max(last, ModifiedAt(info) + kStampStep);
          }
        }
      }
    }
    return last;
  }

  FileOps& ops_;
  const std::string& capture_dir_;
  const std::string directory_;
  const SequenceRecovery& recovery_;
};

}  // namespace

absl::Status RecoverSequences(FileOps& ops, const std::string& capture_dir,
                              const SequenceRecovery& recovery) {
  return Recovery(ops, capture_dir, recovery).Run();
}

}  // namespace datamanager::capture
