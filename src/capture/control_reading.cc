#include "capture/control_reading.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "config/findings.h"
#include "config/resource_name.h"
#include "datamanager/value.h"

namespace datamanager::capture {
namespace {

constexpr char kSequences[] = "sequences";
constexpr char kShouldSync[] = "should_sync";
// Of a sequence, so that its file stays below capture_file::kMaxSequenceBytes however much of it
// has to be escaped there.
constexpr size_t kMaxSequence = 128 << 10;
constexpr size_t kEntryBytes = 32;
// The limit on all sequences of a reading together.
constexpr size_t kMaxSequencesBytes = 1 << 20;

absl::Status Broken(std::string_view where, std::string_view what, const Value& got) {
  return absl::InvalidArgumentError(
      absl::StrCat(ToAbsl(where), " ", ToAbsl(what), " (got ", config::Describe(got), ")"));
}

// What stands under `key`; null for what is absent or null.
const Value* Find(const ValueMap& map, std::string_view key) {
  const Value* value = map.Find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

absl::Status CheckList(const std::string& where, const Value& value) {
  if (value.kind() != Value::Kind::kList) return Broken(where, "must be a list", value);
  if (value.AsList().size() <= kMaxControlEntries) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(where, " has ", value.AsList().size(),
                                                 " entries, of which at most ", kMaxControlEntries,
                                                 " are taken"));
}

absl::Status ReadText(const std::string& where, const Value& value, std::string& out) {
  if (value.kind() != Value::Kind::kString) return Broken(where, "must be a text", value);
  if (!IsUtf8(value.AsString())) {
    return absl::InvalidArgumentError(absl::StrCat(where, " must be UTF-8"));
  }
  out = value.AsString();
  return absl::OkStatus();
}

absl::Status ReadName(const std::string& where, const ValueMap& entry, std::string_view key,
                      std::string& out) {
  const std::string place = absl::StrCat(where, ".", ToAbsl(key));
  const Value* value = Find(entry, key);
  if (value == nullptr) return absl::InvalidArgumentError(absl::StrCat(place, " is missing"));
  if (absl::Status status = ReadText(place, *value, out); !status.ok()) return status;
  if (out.empty()) return absl::InvalidArgumentError(absl::StrCat(place, " is empty"));
  return absl::OkStatus();
}

absl::Status ReadTags(const std::string& where, const Value& value, std::vector<std::string>& out) {
  if (absl::Status status = CheckList(where, value); !status.ok()) return status;
  for (const Value& tag : value.AsList()) {
    if (absl::Status status = ReadText(where, tag, out.emplace_back()); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// Calls `read(where, map)` for each entry of the list under `key`, until it fails.
template <typename Read>
absl::Status ForEachEntry(const std::string& where, const Value& list, Read read) {
  if (absl::Status status = CheckList(where, list); !status.ok()) return status;
  for (size_t i = 0; i < list.AsList().size(); ++i) {
    const Value& entry = list.AsList()[i];
    const std::string place = absl::StrCat(where, "[", i, "]");
    if (entry.kind() != Value::Kind::kMap) return Broken(place, "must be a map", entry);
    if (absl::Status status = read(place, entry.AsMap()); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ReadOverride(const std::string& where, const ValueMap& entry,
                          config::Overrides& overrides) {
  config::OverrideKey key;
  if (absl::Status status = ReadName(where, entry, "resource_name", key.first); !status.ok()) {
    return status;
  }
  if (absl::Status status = ReadName(where, entry, "method", key.second); !status.ok()) {
    return status;
  }
  config::Override change;
  if (const Value* hz = Find(entry, "capture_frequency_hz")) {
    if (hz->kind() != Value::Kind::kNumber || !std::isfinite(static_cast<float>(hz->AsNumber()))) {
      return Broken(where + ".capture_frequency_hz", "must be a finite number", *hz);
    }
    change.hz = static_cast<float>(hz->AsNumber());
  }
  if (const Value* tags = Find(entry, "tags")) {
    absl::Status status = ReadTags(where + ".tags", *tags, change.tags.emplace());
    if (!status.ok()) return status;
  }
  overrides[std::move(key)] = std::move(change);
  return absl::OkStatus();
}

// Adds the size of the sequence to `total`.
absl::Status ReadSequence(const std::string& where, const ValueMap& entry,
                          WantedSequences& sequences, size_t& total,
                          std::vector<std::string>& complaints) {
  WantedSequence sequence;
  if (const Value* tags = Find(entry, "sequence_tags")) {
    absl::Status status = ReadTags(where + ".sequence_tags", *tags, sequence.tags);
    if (!status.ok()) return status;
  }
  if (const Value* resources = Find(entry, "resources")) {
    absl::Status status = ForEachEntry(
        where + ".resources", *resources, [&](const std::string& place, const ValueMap& resource) {
          capture_file::SequenceResource& read = sequence.resources.emplace_back();
          absl::Status named = ReadName(place, resource, "resource_name", read.name);
          if (named.ok()) named = ReadName(place, resource, "method", read.method);
          if (const auto full = config::ParseFullName(read.name)) read.name = full->name;
          return named;
        });
    if (!status.ok()) return status;
  }
  size_t bytes = 0;
  for (const auto& resource : sequence.resources) {
    bytes += kEntryBytes + resource.name.size() + resource.method.size();
  }
  for (const std::string& tag : sequence.tags) bytes += kEntryBytes + tag.size();
  if (bytes > kMaxSequence) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, " says more than the ", kMaxSequence, " bytes that a sequence may"));
  }
  total += bytes;
  if (total > kMaxSequencesBytes) {
    return absl::InvalidArgumentError(absl::StrCat(where, " and those before it say more than the ",
                                                   kMaxSequencesBytes,
                                                   " bytes that the sequences of a reading may"));
  }
  if (sequence.resources.empty()) {
    complaints.push_back(absl::StrCat(where, " names no resources, and is dropped"));
    return absl::OkStatus();
  }
  std::sort(sequence.resources.begin(), sequence.resources.end());
  sequence.resources.erase(std::unique(sequence.resources.begin(), sequence.resources.end()),
                           sequence.resources.end());
  std::sort(sequence.tags.begin(), sequence.tags.end());
  sequences.insert(std::move(sequence));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<config::Overrides> ParseOverrides(const Readings& readings, std::string_view key) {
  config::Overrides overrides;
  const Value* list = readings.Find(key);
  if (list == nullptr) return overrides;
  absl::Status status =
      ForEachEntry(std::string(key), *list, [&](const std::string& where, const ValueMap& entry) {
        return ReadOverride(where, entry, overrides);
      });
  if (!status.ok()) return status;
  return overrides;
}

absl::StatusOr<WantedSequences> ParseSequences(const Readings& readings,
                                               std::vector<std::string>& complaints) {
  WantedSequences sequences;
  const Value* list = readings.Find(kSequences);
  if (list == nullptr) return sequences;
  size_t total = 0;
  absl::Status status =
      ForEachEntry(kSequences, *list, [&](const std::string& where, const ValueMap& entry) {
        return ReadSequence(where, entry, sequences, total, complaints);
      });
  if (!status.ok()) return status;
  return sequences;
}

absl::StatusOr<bool> ParseShouldSync(const Readings& readings) {
  const Value* value = readings.Find(kShouldSync);
  if (value == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("its reading has no ", kShouldSync));
  }
  if (value->kind() != Value::Kind::kBool) return Broken(kShouldSync, "must be a bool", *value);
  return value->AsBool();
}

}  // namespace datamanager::capture
