#include "capture/sequences.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/strings.h"
#include "capture/sequence_file.h"
#include "capture_file/file_name.h"

namespace datamanager::capture {
namespace {

constexpr std::chrono::seconds kRetryInterval{1};
constexpr std::chrono::minutes kNewsInterval{1};

// A random UUID.
std::string NewId() {
  std::array<unsigned char, 16> bytes{};
  // A request this small is never cut short.
  static_cast<void>(::getrandom(bytes.data(), bytes.size(), 0));
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0fU) | 0x40U);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3fU) | 0x80U);
  const std::string hex = absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-", hex.substr(12, 4), "-",
                      hex.substr(16, 4), "-", hex.substr(20));
}

std::string Describe(const std::string& id, const capture_file::Sequence& sequence) {
  const auto name = [](std::string* out, const capture_file::SequenceResource& resource) {
    absl::StrAppend(out, resource.name, " ", resource.method);
  };
  constexpr size_t kNamed = 5;
  const auto& all = sequence.resources;
  const auto end = all.begin() + static_cast<std::ptrdiff_t>(std::min(kNamed, all.size()));
  return absl::StrCat(
      id, " of ", absl::StrJoin(all.begin(), end, ", ", name),
      all.size() > kNamed ? absl::StrCat(" and ", all.size() - kNamed, " more") : "");
}

}  // namespace

Sequences::Sequences(FileOps& ops, const Clock& clock, std::shared_ptr<Logger> logger)
    : ops_(ops), clock_(clock), logger_(std::move(logger)), names_(ops), filter_(kNewsInterval) {}

void Sequences::SetTarget(const SequenceTarget& target) {
  if (target_.capture_dir != target.capture_dir) EndAll(" (capture_dir changes)");
  target_ = target;
}

void Sequences::Want(const WantedSequences& wanted) {
  for (auto entry = open_.begin(); entry != open_.end();) {
    if (wanted.contains(entry->first)) {
      ++entry;
    } else {
      End(std::move(entry->second), "");
      entry = open_.erase(entry);
    }
  }
  for (const WantedSequence& sequence : wanted) {
    if (open_.contains(sequence)) continue;
    Entry entry{
        .id = NewId(),
        .directory = capture_file::SequencesDirectory(target_.capture_dir),
        .sequence = {
            .start = clock_.WallNow(), .resources = sequence.resources, .tags = sequence.tags}};
    logger_->Info(absl::StrCat("sequence started: ", Describe(entry.id, entry.sequence)));
    open_.emplace(sequence, std::move(entry));
  }
  TryWrites();
}

void Sequences::EndAll(const char* why) {
  for (auto& [key, entry] : open_) End(std::move(entry), why);
  open_.clear();
  for (Entry& entry : unwritten_) entry.next_try = MonotonicTime();
  TryWrites();
}

void Sequences::End(Entry entry, const char* why) {
  logger_->Info(absl::StrCat("sequence ended", why, ": ", Describe(entry.id, entry.sequence)));
  // The wall clock may have been set back.
  entry.sequence.end = std::max(entry.sequence.start, clock_.WallNow());
  entry.next_try = MonotonicTime();
  unwritten_.push_back(std::move(entry));
}

void Sequences::TryWrites() {
  for (auto& [key, entry] : open_) {
    if (!entry.in_progress.valid()) WriteInProgress(entry);
  }
  unwritten_.remove_if([this](Entry& entry) { return WriteEnded(entry); });
}

bool Sequences::WriteInProgress(Entry& entry) {
  if (clock_.MonotonicNow() < entry.next_try) return false;
  absl::StatusOr<UniqueFd> written = Write(entry, capture_file::kOpenSequenceSuffix);
  if (!written.ok()) return Failed(entry, written.status());
  entry.in_progress = *std::move(written);
  return true;
}

bool Sequences::WriteEnded(Entry& entry) {
  if (clock_.MonotonicNow() < entry.next_try) return false;
  absl::StatusOr<UniqueFd> written = Write(entry, capture_file::kSequenceSuffix);
  if (!written.ok()) return Failed(entry, written.status());
  // If it stays, recovery removes it.
  ops_.Unlink(
      absl::StrCat(entry.directory, "/", entry.id, ToAbsl(capture_file::kOpenSequenceSuffix))
          .c_str());
  ++ended_;
  return true;
}

absl::StatusOr<UniqueFd> Sequences::Write(const Entry& entry, std::string_view suffix) {
  const bool flush = target_.durability != Durability::kProcess;
  return WriteSequenceFile(ops_, entry.directory, absl::StrCat(entry.id, ToAbsl(suffix)),
                           entry.sequence, flush ? &names_ : nullptr);
}

bool Sequences::Failed(Entry& entry, const absl::Status& status) {
  ++failed_writes_;
  entry.next_try = clock_.MonotonicNow() + kRetryInterval;
  const std::string key = absl::StrCat("write ", static_cast<int>(status.code()));
  if (auto text = filter_.Pass(key, absl::StrCat("sequence not written: ", status.ToString()),
                               clock_.MonotonicNow())) {
    logger_->Error(*std::move(text));
  }
  return false;
}

}  // namespace datamanager::capture
