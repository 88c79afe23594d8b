#include "capture/sequences.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
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
constexpr std::chrono::minutes kSequenceNewsInterval{1};
// When all sequences end, a failing disk is not tried for each of them.
constexpr int kFailuresAtEnd = 3;

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

size_t BytesOf(const capture_file::Sequence& sequence) {
  size_t bytes = sizeof(sequence);
  for (const auto& resource : sequence.resources) {
    bytes += sizeof(resource) + resource.name.size() + resource.method.size();
  }
  for (const std::string& tag : sequence.tags) bytes += sizeof(tag) + tag.size();
  return bytes;
}

}  // namespace

Sequences::Sequences(FileOps& ops, const Clock& clock, std::shared_ptr<Logger> logger,
                     std::function<void(int error)> on_disk_full)
    : ops_(ops),
      clock_(clock),
      logger_(std::move(logger)),
      names_(ops),
      next_begin_(clock.MonotonicNow() + kBeginInterval),
      on_disk_full_(std::move(on_disk_full)),
      filter_(kSequenceNewsInterval) {}

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
  WantedSequences refused;
  for (const WantedSequence& sequence : wanted) {
    if (open_.contains(sequence)) continue;
    if (!MayBegin()) {
      refused.insert(refused.end(), sequence);
      continue;
    }
    Entry entry{
        .id = NewId(),
        .directory = capture_file::SequencesDirectory(target_.capture_dir),
        .sequence = {
            .start = clock_.WallNow(), .resources = sequence.resources, .tags = sequence.tags}};
    logger_->Info(absl::StrCat("sequence started: ", Describe(entry.id, entry.sequence)));
    open_.emplace(sequence, std::move(entry));
  }
  Refuse(std::move(refused));
  TryWrites(kWritesAtOnce, 1);
}

bool Sequences::MayBegin() {
  const MonotonicTime now = clock_.MonotonicNow();
  if (now >= next_begin_) {
    const auto more = (now - next_begin_) / kBeginInterval + 1;
    may_begin_ = static_cast<int>(std::min<int64_t>(kBurst, may_begin_ + more));
    next_begin_ += kBeginInterval * more;
  }
  if (open_.size() >= kOpenLimit || may_begin_ == 0) return false;
  --may_begin_;
  return true;
}

void Sequences::Refuse(WantedSequences refused) {
  // A sequence that stays refused from reading to reading counts once.
  uint64_t more = 0;
  auto known = refused_.begin();
  for (const WantedSequence& sequence : refused) {
    while (known != refused_.end() && *known < sequence) ++known;
    if (known == refused_.end() || sequence < *known) ++more;
  }
  refused_ = std::move(refused);
  if (more == 0) return;
  refused_count_ += more;
  auto text = filter_.Pass(
      "refused",
      absl::StrCat(more, " sequences not started, the first of them ",
                   Describe("", {.resources = refused_.begin()->resources}), ": at most ",
                   kOpenLimit, " are open at a time, and after ", kBurst,
                   " one more may start each second; a counter or a time among sequence_tags makes "
                   "each reading another sequence"),
      clock_.MonotonicNow());
  if (text.has_value()) logger_->Warning(*std::move(text));
}

void Sequences::EndAll(const char* why) {
  for (auto& [key, entry] : open_) End(std::move(entry), why);
  open_.clear();
  next_try_ = MonotonicTime();
  TryWrites(unwritten_.size(), kFailuresAtEnd);
}

void Sequences::End(Entry entry, const char* why) {
  logger_->Info(absl::StrCat("sequence ended", why, ": ", Describe(entry.id, entry.sequence)));
  // The wall clock may have been set back.
  entry.sequence.end = std::max(entry.sequence.start, clock_.WallNow());
  entry.named = false;
  entry.tries = 0;
  unwritten_.push_back(std::move(entry));
  DropUnwritten();
}

// Drops the oldest. If it is on disk as an open sequence, recovery ends it.
void Sequences::DropUnwritten() {
  size_t bytes = 0;
  for (const Entry& entry : unwritten_) bytes += BytesOf(entry.sequence);
  while (unwritten_.size() > kUnwrittenLimit || bytes > kUnwrittenBytes) {
    const Entry& oldest = unwritten_.front();
    bytes -= BytesOf(oldest.sequence);
    if (!oldest.in_progress.valid()) {
      ++lost_;
      auto text = filter_.Pass(
          "lost",
          absl::StrCat("sequence lost, since the disk has not taken it and ", kUnwrittenLimit,
                       " after it: ", Describe(oldest.id, oldest.sequence)),
          clock_.MonotonicNow());
      if (text.has_value()) logger_->Error(*std::move(text));
    }
    unwritten_.pop_front();
  }
}

std::vector<Sequences::Entry*> Sequences::Unwritten() {
  std::vector<Entry*> entries;
  for (Entry& entry : unwritten_) entries.push_back(&entry);
  for (auto& [key, entry] : open_) {
    if (!entry.in_progress.valid()) entries.push_back(&entry);
  }
  // A sequence that keeps failing for a reason of its own must not block the others.
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry* a, const Entry* b) { return a->tries < b->tries; });
  return entries;
}

void Sequences::TryWrites(size_t most, int most_failures) {
  if (clock_.MonotonicNow() < next_try_) return;
  std::map<std::string, std::vector<Written>> written;
  int failures = 0;
  size_t count = 0;
  for (Entry* entry : Unwritten()) {
    if (count++ == most) break;
    absl::StatusOr<UniqueFd> fd = Write(*entry);
    if (fd.ok()) {
      written[entry->directory].push_back({entry, *std::move(fd)});
      continue;
    }
    Failed(*entry, fd.status());
    if (++failures == most_failures) break;
  }
  for (auto& [directory, entries] : written) Settle(directory, entries);
  unwritten_.remove_if([](const Entry& entry) { return entry.done; });
}

std::string Sequences::PathOf(const Entry& entry, std::string_view suffix) {
  return absl::StrCat(entry.directory, "/", entry.id, ToAbsl(suffix));
}

absl::StatusOr<UniqueFd> Sequences::Write(Entry& entry) {
  const std::string_view suffix = entry.sequence.end.has_value()
                                      ? capture_file::kSequenceSuffix
                                      : capture_file::kOpenSequenceSuffix;
  if (std::exchange(entry.named, true)) ops_.Unlink(PathOf(entry, suffix).c_str());
  return WriteSequenceFile(ops_, entry.directory, absl::StrCat(entry.id, ToAbsl(suffix)),
                           entry.sequence, target_.durability != Durability::kProcess);
}

void Sequences::Settle(const std::string& directory, std::vector<Written>& written) {
  if (target_.durability != Durability::kProcess) {
    if (absl::Status status = names_.Flush(directory); !status.ok()) {
      for (Written& file : written) {
        ops_.Unlink(PathOf(*file.entry, file.entry->sequence.end.has_value()
                                            ? capture_file::kSequenceSuffix
                                            : capture_file::kOpenSequenceSuffix)
                        .c_str());
        Failed(*file.entry, status);
      }
      return;
    }
  }
  for (Written& file : written) {
    Entry& entry = *file.entry;
    entry.tries = 0;
    if (!entry.sequence.end.has_value()) {
      entry.in_progress = std::move(file.fd);
      continue;
    }
    // If this fails, recovery removes the file.
    ops_.Unlink(PathOf(entry, capture_file::kOpenSequenceSuffix).c_str());
    entry.done = true;
    ++ended_;
  }
}

void Sequences::Failed(Entry& entry, const absl::Status& status) {
  ++failed_writes_;
  ++entry.tries;
  next_try_ = clock_.MonotonicNow() + kRetryInterval;
  const int error = ErrnoOf(status);
  if (on_disk_full_ && (error == ENOSPC || error == EDQUOT)) on_disk_full_(error);
  const std::string key = absl::StrCat("write ", static_cast<int>(status.code()));
  auto text =
      filter_.Pass(key,
                   absl::StrCat("sequence not written: ",
                                status.ToString(absl::StatusToStringMode::kWithNoExtraData)),
                   clock_.MonotonicNow());
  if (text.has_value()) logger_->Error(*std::move(text));
}

}  // namespace datamanager::capture
