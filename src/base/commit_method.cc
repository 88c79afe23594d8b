#include "base/commit_method.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/read_file.h"
#include "base/strings.h"

namespace datamanager {
namespace {

// Mount options of ext4, without their values: those under which the anchor was traced, and those
// that do not affect a commit.
constexpr auto kTracedExt4Options = std::to_array<std::string_view>({
    "rw",
    "bsddf",
    "minixdf",
    "grpid",
    "nogrpid",
    "block_validity",
    "noblock_validity",
    "dioread_nolock",
    "dioread_lock",
    "nodioread_nolock",
    "discard",
    "nodiscard",
    "delalloc",
    "nodelalloc",
    "nowarn_on_error",
    "warn_on_error",
    "journal_checksum",
    "nojournal_checksum",
    "barrier",
    "auto_da_alloc",
    "noauto_da_alloc",
    "user_xattr",
    "nouser_xattr",
    "acl",
    "noacl",
    "noquota",
    "quota",
    "usrquota",
    "grpquota",
    "prjquota",
    "usrjquota",
    "grpjquota",
    "jqfmt",
    "lazytime",
    "nolazytime",
    "resuid",
    "resgid",
    "errors",
    "commit",
    "min_batch_time",
    "max_batch_time",
    "i_version",
    "stripe",
    "data",
    "inode_readahead_blks",
    "init_itable",
    "noinit_itable",
    "max_dir_size_kb",
    "prefetch_block_bitmaps",
    "no_prefetch_block_bitmaps",
    "mb_optimize_scan",
    "journal_ioprio",
    "sb",
    "oldalloc",
});

bool AnchorHoldsOnExt4(const MountFacts& facts) {
  if (!facts.ext4_has_journal || facts.ext4_has_fast_commits) return false;
  // Fast commits appear as an option that is not listed, but its name differs between kernels.
  bool barrier = false;
  for (const absl::string_view option :
       absl::StrSplit(facts.ext4_options, absl::ByAnyChar("\n ,"), absl::SkipEmpty())) {
    const std::string_view name = ToStd(option.substr(0, option.find('=')));
    if (std::find(kTracedExt4Options.begin(), kTracedExt4Options.end(), name) ==
        kTracedExt4Options.end()) {
      return false;
    }
    barrier = barrier || option == "barrier" || option == "barrier=1";
  }
  return barrier;
}

bool AnchorHoldsOnXfs(const MountFacts& facts) {
  // A log on another device, a real-time device and mounts without barriers were not traced.
  for (const absl::string_view option :
       absl::StrSplit(facts.super_options, ',', absl::SkipEmpty())) {
    if (option == "nobarrier" || option == "norecovery" || option == "ro" ||
        option.substr(0, 7) == "logdev=" || option.substr(0, 6) == "rtdev=") {
      return false;
    }
  }
  return true;
}

// Reads a file of /proc or /sys; empty if it cannot be read.
constexpr size_t kEnough = 1 << 20;
std::string ReadText(const std::string& path) { return ReadFile(path, kEnough).value_or(""); }

// Returns the target of a link, without its directory.
std::string LinkedName(const std::string& path) {
  std::array<char, PATH_MAX> target{};
  const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  if (size <= 0) return "";
  const std::string_view whole(target.data(), static_cast<size_t>(size));
  return std::string(whole.substr(whole.rfind('/') + 1));
}

}  // namespace

CommitMethod CommitMethodOf(const MountFacts& facts) {
  if (facts.type == "tmpfs" || facts.type == "ramfs") return CommitMethod::kInTurn;
  if (facts.type == "btrfs") return CommitMethod::kWhole;
  if (facts.type == "ext4" && AnchorHoldsOnExt4(facts)) return CommitMethod::kAnchor;
  if (facts.type == "xfs" && AnchorHoldsOnXfs(facts)) return CommitMethod::kAnchor;
  return CommitMethod::kEach;
}

int64_t MountIdOf(int fd) {
  struct statx info {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &info) == 0 &&
      (info.stx_mask & STATX_MNT_ID) != 0) {
    return static_cast<int64_t>(info.stx_mnt_id);
  }
  // Kernels before 5.8 do not know STATX_MNT_ID.
  const std::string text = ReadText(absl::StrCat("/proc/self/fdinfo/", fd));
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    int64_t id = 0;
    if (absl::StartsWith(line, "mnt_id:") && absl::SimpleAtoi(line.substr(7), &id)) return id;
  }
  return -1;
}

std::optional<MountFacts> FindMount(int fd) {
  const int64_t id = MountIdOf(fd);
  if (id < 0) return std::nullopt;
  // A line: id parent major:minor root mount-point options [optional fields] - type source
  // super-options; see proc(5). Spaces within a field are written as \040.
  const std::string mounts = ReadText("/proc/self/mountinfo");
  for (const absl::string_view line : absl::StrSplit(mounts, '\n')) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ');
    const auto separator = std::find(fields.begin(), fields.end(), "-");
    int64_t own = 0;
    if (fields.size() < 3 || fields.end() - separator < 4 || !absl::SimpleAtoi(fields[0], &own) ||
        own != id) {
      continue;
    }
    MountFacts facts{.type = std::string(separator[1]), .super_options = std::string(separator[3])};
    if (facts.type == "ext4") {
      const std::string device = LinkedName(absl::StrCat("/sys/dev/block/", fields[2]));
      if (!device.empty()) {
        facts.ext4_options = ReadText(absl::StrCat("/proc/fs/ext4/", device, "/options"));
        const std::string commits = ReadText(absl::StrCat("/proc/fs/ext4/", device, "/fc_info"));
        facts.ext4_has_fast_commits =
            !commits.empty() && commits.find("\n0 commits") == std::string::npos;
        // Inode 8 is the journal within the file system.
        facts.ext4_has_journal =
            ::access(absl::StrCat("/proc/fs/jbd2/", device, "-8").c_str(), F_OK) == 0;
      }
    }
    return facts;
  }
  return std::nullopt;
}

CommitMethod FindCommitMethod(int fd) {
  const std::optional<MountFacts> facts = FindMount(fd);
  return facts.has_value() ? CommitMethodOf(*facts) : CommitMethod::kEach;
}

}  // namespace datamanager
