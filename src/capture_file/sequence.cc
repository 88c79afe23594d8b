#include "capture_file/sequence.h"

#include <chrono>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/strings.h"
#include "config/json.h"
#include "datamanager/value.h"

namespace datamanager::capture_file {
namespace {

constexpr char kNoEnd[] = "0001-01-01T00:00:00Z";

std::string TimeText(WallTime time) {
  return absl::FormatTime("%E4Y-%m-%dT%H:%M:%E*SZ", absl::FromChrono(time), absl::UTCTimeZone());
}

std::string Quoted(const std::string& text) { return ToJson(Value(text)); }

absl::Status Fault(const char* key, const char* what) {
  return absl::DataLossError(absl::StrCat("is no sequence: ", key, " ", what));
}

absl::StatusOr<std::string> Text(const ValueMap& map, const char* key) {
  const Value* value = map.Find(key);
  if (value == nullptr) return Fault(key, "is missing");
  if (value->kind() != Value::Kind::kString) return Fault(key, "is no text");
  return std::string(value->AsString());
}

absl::StatusOr<std::optional<WallTime>> Time(const ValueMap& map, const char* key) {
  const absl::StatusOr<std::string> text = Text(map, key);
  if (!text.ok()) return text.status();
  absl::Time time;
  if (!absl::ParseTime(absl::RFC3339_full, *text, &time, nullptr)) {
    return Fault(key, "is no time");
  }
  const absl::TimeZone utc = absl::UTCTimeZone();
  if (utc.At(time).cs.year() == 1) return std::nullopt;
  // What nanoseconds since the epoch can tell.
  if (time < absl::FromCivil(absl::CivilYear(1678), utc) ||
      time >= absl::FromCivil(absl::CivilYear(2262), utc)) {
    return Fault(key, "is out of range");
  }
  return WallTime(std::chrono::nanoseconds(absl::ToUnixNanos(time)));
}

absl::StatusOr<std::vector<SequenceResource>> Resources(const ValueMap& map) {
  constexpr char kKey[] = "resources";
  const Value* list = map.Find(kKey);
  if (list == nullptr || list->kind() != Value::Kind::kList) return Fault(kKey, "is no list");
  std::vector<SequenceResource> resources;
  for (const Value& entry : list->AsList()) {
    const absl::StatusOr<std::string> name = Text(entry.AsMap(), "resource_name");
    const absl::StatusOr<std::string> method = Text(entry.AsMap(), "method_name");
    if (!name.ok()) return name.status();
    if (!method.ok()) return method.status();
    resources.push_back({*name, *method});
  }
  return resources;
}

absl::StatusOr<std::vector<std::string>> Tags(const ValueMap& map) {
  constexpr char kKey[] = "sequence_tags";
  const Value* list = map.Find(kKey);
  std::vector<std::string> tags;
  if (list == nullptr || list->is_null()) return tags;
  if (list->kind() != Value::Kind::kList) return Fault(kKey, "is no list");
  for (const Value& tag : list->AsList()) {
    if (tag.kind() != Value::Kind::kString) return Fault(kKey, "holds what is no text");
    tags.emplace_back(tag.AsString());
  }
  return tags;
}

}  // namespace

std::string ToText(const Sequence& sequence) {
  std::string text = absl::StrCat(
      "{\n  \"start_time\": \"", TimeText(sequence.start), "\",\n  \"end_time\": \"",
      sequence.end.has_value() ? TimeText(*sequence.end) : kNoEnd, "\",\n  \"resources\": [");
  const char* separator = "\n";
  for (const SequenceResource& resource : sequence.resources) {
    absl::StrAppend(&text, separator, "    {\n      \"resource_name\": ", Quoted(resource.name),
                    ",\n      \"method_name\": ", Quoted(resource.method), "\n    }");
    separator = ",\n";
  }
  absl::StrAppend(&text, "\n  ]");
  separator = ",\n  \"sequence_tags\": [\n    ";
  for (const std::string& tag : sequence.tags) {
    absl::StrAppend(&text, separator, Quoted(tag));
    separator = ",\n    ";
  }
  if (!sequence.tags.empty()) absl::StrAppend(&text, "\n  ]");
  absl::StrAppend(&text, "\n}");
  return text;
}

absl::StatusOr<Sequence> ParseSequence(std::string_view text) {
  const absl::StatusOr<Value> json = config::ParseJson(text);
  if (!json.ok()) {
    return absl::DataLossError(absl::StrCat("is no sequence: ", json.status().message()));
  }
  const ValueMap& map = json->AsMap();
  const auto start = Time(map, "start_time");
  if (!start.ok()) return start.status();
  if (!start->has_value()) return Fault("start_time", "is missing");
  const auto end = Time(map, "end_time");
  if (!end.ok()) return end.status();
  auto resources = Resources(map);
  if (!resources.ok()) return resources.status();
  auto tags = Tags(map);
  if (!tags.ok()) return tags.status();
  return Sequence{
      .start = **start, .end = *end, .resources = *std::move(resources), .tags = *std::move(tags)};
}

absl::StatusOr<Sequence> ReadSequence(FileOps& ops, int fd, uint64_t size) {
  if (size > kMaxSequenceBytes) {
    return absl::DataLossError("is no sequence: it is too large for one");
  }
  std::string text(size, '\0');
  absl::Status status = ReadExactly(ops, fd, 0, size, text.data());
  if (absl::IsDataLoss(status)) return absl::AbortedError("it became shorter while it was read");
  if (!status.ok()) return status;
  return ParseSequence(text);
}

}  // namespace datamanager::capture_file
