#include "service/stats_struct.h"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/time/time.h"
#include "base/strings.h"

namespace datamanager::service {
namespace {

std::string TimeText(WallTime time) {
  return absl::FormatTime(absl::RFC3339_full, absl::FromChrono(time), absl::UTCTimeZone());
}

void SetTime(ValueMap& map, std::string_view key, const std::optional<WallTime>& time) {
  if (time.has_value()) map.Set(key, TimeText(*time));
}

void SetMillis(ValueMap& map, std::string_view key, std::chrono::milliseconds duration) {
  map.Set(key, duration.count());
}

void SetCount(ValueMap& map, std::string_view key, const FileCount& count) {
  ValueMap& out = map.Add(key).SetMap();
  out.Set("files", count.files);
  out.Set("bytes", count.bytes);
}

void SetDurations(ValueMap& map, std::string_view key, const DurationStats& stats) {
  const auto micros = [](std::chrono::nanoseconds duration) {
    return std::chrono::duration<double, std::micro>(duration).count();
  };
  ValueMap& out = map.Add(key).SetMap();
  out.Set("p50", micros(stats.p50));
  out.Set("p99", micros(stats.p99));
  out.Set("max", micros(stats.max));
}

void SetUploads(ValueMap& map, std::string_view key, const UploadStats& stats) {
  ValueMap& out = map.Add(key).SetMap();
  out.Set("files", stats.files);
  out.Set("bytes", stats.bytes);
  out.Set("refused", stats.refused);
  out.Set("retries", stats.retries);
}

void Fill(const FlushStats& stats, ValueMap& out) {
  out.Set("rounds", stats.rounds);
  out.Set("files", stats.files);
  out.Set("bytes", stats.bytes);
  out.Set("last_files", stats.last_files);
  out.Set("last_bytes", stats.last_bytes);
  SetMillis(out, "last_duration_millis", stats.last_duration);
  out.Set("late_rounds", stats.late_rounds);
  out.Set("outstanding", stats.outstanding);
}

void Fill(const CollectorStats& stats, ValueMap& out) {
  out.Set("api", stats.api);
  out.Set("name", stats.name);
  out.Set("method", stats.method);
  out.Set("state", CollectorStateName(stats.state));
  out.Set("frequency_hz", stats.frequency_hz);
  out.Set("reason", stats.reason);
  out.Set("ticks_due", stats.ticks_due);
  out.Set("captured", stats.captured);
  out.Set("no_data", stats.no_data);
  out.Set("missed", stats.missed);
  out.Set("failed", stats.failed);
  out.Set("source_errors", stats.source_errors);
  ValueMap& dropped = out.Add("dropped").SetMap();
  dropped.Set("disk_full", stats.dropped.disk_full);
  dropped.Set("io_error", stats.dropped.io_error);
  dropped.Set("no_descriptors", stats.dropped.no_descriptors);
  dropped.Set("permission", stats.dropped.permission);
  dropped.Set("read_only", stats.dropped.read_only);
  dropped.Set("no_directory", stats.dropped.no_directory);
  dropped.Set("other", stats.dropped.other);
  out.Set("records", stats.records);
  out.Set("bytes", stats.bytes);
  out.Set("files", stats.files);
  out.Set("achieved_hz", stats.achieved_hz);
  SetDurations(out, "lateness_us", stats.lateness);
  SetDurations(out, "source_time_us", stats.source_time);
  out.Set("last_error", stats.last_error);
}

void Fill(const WaitingRetry& retry, ValueMap& out) {
  out.Set("path", retry.path);
  out.Set("tries", retry.tries);
  SetMillis(out, "failing_for_ms", retry.failing_for);
  SetMillis(out, "next_due_ms", retry.next_due);
  out.Set("last_error", retry.last_error);
  out.Set("advice", retry.advice);
}

void Fill(const UploadPause& pause, ValueMap& out) {
  out.Set("directory", pause.directory);
  out.Set("state", PauseStateName(pause.state));
  out.Set("reason", PauseReasonName(pause.reason));
  out.Set("failures", pause.failures);
  out.Set("refused", pause.refused);
  SetMillis(out, "next_try_ms", pause.next_try);
  out.Set("last_error", pause.last_error);
}

const char* RoleName(DirectorySummary::Role role) {
  switch (role) {
    case DirectorySummary::Role::kCapture:
      return "capture";
    case DirectorySummary::Role::kFormer:
      return "former";
    case DirectorySummary::Role::kAdditional:
      return "additional";
  }
  return "unknown";
}

void Fill(const DirectorySummary& summary, ValueMap& out) {
  out.Set("path", summary.path);
  out.Set("role", RoleName(summary.role));
  SetCount(out, "waiting", summary.waiting);
  SetCount(out, "in_progress", summary.in_progress);
  SetCount(out, "failed", summary.failed);
  SetCount(out, "remainders", summary.remainders);
  SetCount(out, "sequences", summary.sequences);
  SetTime(out, "oldest_waiting", summary.oldest_waiting);
  SetTime(out, "oldest_in_progress", summary.oldest_in_progress);
  SetMillis(out, "oldest_waiting_age_ms", summary.oldest_waiting_age);
  out.Set("volume_bytes", summary.volume_bytes);
  out.Set("volume_available_bytes", summary.volume_available_bytes);
  out.Set("volume_inodes", summary.volume_inodes);
  out.Set("volume_available_inodes", summary.volume_available_inodes);
  out.Set("complete", summary.complete);
}

template <typename Item>
void FillList(ValueMap& map, std::string_view key, const std::vector<Item>& items) {
  ValueList& list = map.Add(key).SetList();
  for (const Item& item : items) Fill(item, list.Add().SetMap());
}

void Fill(const SyncStats& stats, ValueMap& out) {
  SetUploads(out, "tabular", stats.tabular);
  SetUploads(out, "binary", stats.binary);
  SetUploads(out, "arbitrary", stats.arbitrary);
  SetUploads(out, "sequences", stats.sequences);
  out.Set("unreadable", stats.unreadable);
  out.Set("passes", stats.passes);
  out.Set("unselected", stats.unselected);
  out.Set("uploading", stats.uploading);
  out.Set("resent", stats.resent);
  out.Set("stalled", stats.stalled);
  out.Set("offline_pauses", stats.offline_pauses);
  out.Set("refusal_pauses", stats.refusal_pauses);
  out.Set("failure_pauses", stats.failure_pauses);
  out.Set("asked_pauses", stats.asked_pauses);
  out.Set("waiting_retries", stats.waiting_retries);
  out.Set("waiting_busy", stats.waiting_busy);
  ValueMap& retries = out.Add("retries").SetMap();
  retries.Set("offline", stats.retries.offline);
  retries.Set("hopeless", stats.retries.hopeless);
  SetMillis(retries, "oldest_ms", stats.retries.oldest);
  SetMillis(retries, "next_due_ms", stats.retries.next_due);
  FillList(retries, "most_tried", stats.retries.most_tried);
  FillList(out, "paused", stats.paused);
  out.Set("not_removed", stats.not_removed);
  out.Set("blocked_files", stats.blocked_files);
  out.Set("blocked_directories", stats.blocked_directories);
  out.Set("last_error", stats.last_error);
}

void Fill(const EvictedByLimit& stats, ValueMap& out) {
  out.Set("bytes", stats.bytes);
  out.Set("inodes", stats.inodes);
  out.Set("quota", stats.quota);
  out.Set("unknown", stats.unknown);
}

void Fill(const DiskStats& stats, ValueMap& out) {
  FillList(out, "directories", stats.directories);
  SetMillis(out, "age_ms", stats.age);
  out.Set("looks", stats.looks);
  SetCount(out, "evicted", stats.evicted);
  SetCount(out, "evicted_failed", stats.evicted_failed);
  ValueMap& collectors = out.Add("evicted_by_collector").SetMap();
  for (const auto& [name, count] : stats.evicted_by_collector) SetCount(collectors, name, count);
  Fill(stats.evicted_by_limit, out.Add("evicted_by_limit").SetMap());
  out.Set("retention_passes", stats.retention_passes);
  out.Set("fruitless_passes", stats.fruitless_passes);
}

void Fill(const SalvageStats& stats, ValueMap& out) {
  out.Set("records", stats.records);
  out.Set("unfinished_records", stats.unfinished_records);
  SetCount(out, "kept_remainders", stats.kept_remainders);
  SetCount(out, "removed_remainders", stats.removed_remainders);
}

void Fill(const CaptureControlStats& stats, ValueMap& out) {
  out.Set("sensor", stats.sensor);
  out.Set("answers", stats.answers);
  out.Set("broken_answers", stats.broken_answers);
  out.Set("overrides", stats.overrides);
  out.Set("open_sequences", stats.open_sequences);
  out.Set("ended_sequences", stats.ended_sequences);
  out.Set("failed_writes", stats.failed_writes);
  out.Set("refused_sequences", stats.refused_sequences);
  out.Set("lost_sequences", stats.lost_sequences);
  out.Set("last_error", stats.last_error);
}

std::string Utf8(std::string_view text) {
  return IsUtf8(text) ? std::string(text) : absl::CHexEscape(ToAbsl(text));
}

void ToProto(const Value& value, google::protobuf::Value& out) {
  switch (value.kind()) {
    case Value::Kind::kNull:
      out.set_null_value(google::protobuf::NULL_VALUE);
      return;
    case Value::Kind::kBool:
      out.set_bool_value(value.AsBool());
      return;
    case Value::Kind::kNumber:
      out.set_number_value(value.AsNumber());
      return;
    case Value::Kind::kString:
    case Value::Kind::kBytes:
      out.set_string_value(Utf8(value.AsString()));
      return;
    case Value::Kind::kList:
      out.mutable_list_value();
      for (const Value& item : value.AsList())
        ToProto(item, *out.mutable_list_value()->add_values());
      return;
    case Value::Kind::kMap:
      *out.mutable_struct_value() = ToStruct(value.AsMap());
      return;
  }
}

}  // namespace

ValueMap ToMap(const ManagerStats& stats) {
  ValueMap map;
  map.Set("capture_dir", stats.capture_dir);
  FillList(map, "collectors", stats.collectors);
  map.Set("published_files", stats.published_files);
  map.Set("recovered_files", stats.recovered_files);
  map.Set("unflushed_files", stats.unflushed_files);
  map.Set("failed_flushes", stats.failed_flushes);
  Fill(stats.flush, map.Add("flush").SetMap());
  map.Set("lost_files", stats.lost_files);
  Fill(stats.salvage, map.Add("salvage").SetMap());
  map.Set("dropped_log_messages", stats.dropped_log_messages);
  Fill(stats.control, map.Add("control").SetMap());
  Fill(stats.sync, map.Add("sync").SetMap());
  Fill(stats.disk, map.Add("disk").SetMap());
  ValueMap& connection = map.Add("connection").SetMap();
  connection.Set("state", ConnectionStateName(stats.connection.state));
  if (stats.connection.since != WallTime()) {
    connection.Set("since", TimeText(stats.connection.since));
  }
  connection.Set("address", stats.connection.address);
  connection.Set("last_error", stats.connection.last_error);
  return map;
}

google::protobuf::Struct ToStruct(const ValueMap& map) {
  google::protobuf::Struct out;
  for (const ValueMap::Entry& entry : map) {
    ToProto(entry.value, (*out.mutable_fields())[Utf8(entry.key)]);
  }
  return out;
}

}  // namespace datamanager::service
