#include "robot/report.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "datamanager/value.h"

namespace robot {
namespace {

namespace fs = std::filesystem;
using datamanager::CollectorStats;
using datamanager::DroppedRecords;
using datamanager::ManagerStats;
using datamanager::SyncStats;
using datamanager::UploadStats;

// Counts in one directory after another: a directory that vanishes in the middle ends its own
// listing only.
void CountIn(const fs::path& directory, bool is_root, WaitingFiles& waiting) {
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::error_code gone;
    const fs::file_status status = it->symlink_status(gone);
    if (fs::is_directory(status)) {
      if (!is_root || it->path().filename() != "failed") CountIn(it->path(), false, waiting);
    } else if (fs::is_regular_file(status) && it->path().extension() == ".capture") {
      const uintmax_t size = it->file_size(gone);
      if (gone) continue;
      ++waiting.files;
      waiting.bytes += size;
    }
  }
}

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

CollectorStats SumOf(const ManagerStats& stats) {
  CollectorStats sum;
  for (const CollectorStats& collector : stats.collectors) {
    sum.ticks_due += collector.ticks_due;
    sum.captured += collector.captured;
    sum.missed += collector.missed;
    sum.failed += collector.failed;
    sum.records += collector.records;
    sum.bytes += collector.bytes;
    sum.dropped.disk_full += collector.dropped.disk_full;
    sum.dropped.io_error += collector.dropped.io_error;
    sum.dropped.no_descriptors += collector.dropped.no_descriptors;
    sum.dropped.permission += collector.dropped.permission;
    sum.dropped.read_only += collector.dropped.read_only;
    sum.dropped.no_directory += collector.dropped.no_directory;
    sum.dropped.other += collector.dropped.other;
  }
  return sum;
}

// " dropped=disk_full:3,other:1", or nothing.
std::string Dropped(const DroppedRecords& dropped) {
  std::string causes;
  for (const auto& [name, count] :
       {std::pair<const char*, uint64_t>("disk_full", dropped.disk_full),
        {"io_error", dropped.io_error},
        {"no_descriptors", dropped.no_descriptors},
        {"permission", dropped.permission},
        {"read_only", dropped.read_only},
        {"no_directory", dropped.no_directory},
        {"other", dropped.other}}) {
    if (count == 0) continue;
    absl::StrAppendFormat(&causes, "%s%s:%d", causes.empty() ? " dropped=" : ",", name, count);
  }
  return causes;
}

UploadStats UploadsOf(const ManagerStats& stats) {
  UploadStats sum;
  for (const UploadStats& kind :
       {stats.sync.tabular, stats.sync.binary, stats.sync.arbitrary, stats.sync.sequences}) {
    sum.files += kind.files;
    sum.bytes += kind.bytes;
    sum.refused += kind.refused;
    sum.retries += kind.retries;
  }
  return sum;
}

// Below failed/, by the last look at the disk.
uint64_t SetAsideFiles(const ManagerStats& stats) {
  uint64_t files = 0;
  for (const auto& directory : stats.disk.directories) files += directory.failed.files;
  return files;
}

uint64_t EvictedFiles(const ManagerStats& stats) {
  return stats.disk.evicted.files + stats.disk.evicted_failed.files;
}

std::string Counts(const CollectorStats& stats) {
  return absl::StrFormat("due=%-7d captured=%-7d missed=%-5d failed=%-5d records=%-7d bytes=%-10d",
                         stats.ticks_due, stats.captured, stats.missed, stats.failed, stats.records,
                         stats.bytes);
}

std::string Timing(const char* what, const datamanager::DurationStats& times) {
  const auto microseconds = [](std::chrono::nanoseconds time) {
    return std::chrono::duration<double, std::micro>(time).count();
  };
  return absl::StrFormat(" %s_us=p50:%.1f,p99:%.1f,max:%.1f", what, microseconds(times.p50),
                         microseconds(times.p99), microseconds(times.max));
}

// A blank would end the value.
std::string OneWord(std::string_view text) {
  std::string word(text);
  std::replace(word.begin(), word.end(), ' ', '_');
  return word;
}

std::string JsonString(const std::string& text) {
  return datamanager::ToJson(datamanager::Value(text));
}

// What the control sensor does; nothing if there is none.
std::string Control(const ManagerStats& stats) {
  const datamanager::CaptureControlStats& control = stats.control;
  if (control.sensor.empty()) return "";
  return absl::StrFormat(
      "control sensor=%s answers=%d broken_answers=%d overrides=%d open_sequences=%d "
      "ended_sequences=%d refused_sequences=%d lost_sequences=%d failed_writes=%d "
      "uploaded_sequences=%d error=%s\n",
      control.sensor, control.answers, control.broken_answers, control.overrides,
      control.open_sequences, control.ended_sequences, control.refused_sequences,
      control.lost_sequences, control.failed_writes, stats.sync.sequences.files,
      JsonString(control.last_error));
}

// The files evicted, by cause, and the room left on the volume; empty before the first look at it.
std::string Disk(const datamanager::DiskStats& disk) {
  if (disk.directories.empty()) return "";
  const datamanager::DirectorySummary& volume = disk.directories.front();
  const datamanager::EvictedByLimit& evicted = disk.evicted_by_limit;
  return absl::StrFormat(
      "disk available_bytes=%d of=%d available_inodes=%d of=%d evicted_for_bytes=%d "
      "evicted_for_inodes=%d evicted_for_quota=%d evicted_for_unknown=%d retention_passes=%d "
      "fruitless_passes=%d\n",
      volume.volume_available_bytes, volume.volume_bytes, volume.volume_available_inodes,
      volume.volume_inodes, evicted.bytes, evicted.inodes, evicted.quota, evicted.unknown,
      disk.retention_passes, disk.fruitless_passes);
}

// The counts of salvaged records and remainders; empty if no capture file was damaged.
std::string Salvaged(const ManagerStats& stats) {
  const datamanager::SalvageStats& salvage = stats.salvage;
  if (salvage.records + salvage.unfinished_records + salvage.kept_remainders.files == 0) return "";
  return absl::StrFormat(
      "salvage records=%d unfinished_records=%d remainders=%d remainder_bytes=%d "
      "removed_remainders=%d\n",
      salvage.records, salvage.unfinished_records, salvage.kept_remainders.files,
      salvage.kept_remainders.bytes, salvage.removed_remainders.files);
}

// What holds up uploads: a line of counts, and one for each file and directory that is named.
std::string Holdups(const SyncStats& sync) {
  const auto seconds = [](std::chrono::milliseconds time) {
    return std::chrono::duration<double>(time).count();
  };
  std::string lines = absl::StrFormat(
      "sync waiting_retries=%d waiting_busy=%d oldest_retry_s=%.1f resent=%d stalled=%d "
      "offline_pauses=%d refusal_pauses=%d failure_pauses=%d asked_pauses=%d hopeless=%d\n",
      sync.waiting_retries, sync.waiting_busy, seconds(sync.retries.oldest), sync.resent,
      sync.stalled, sync.offline_pauses, sync.refusal_pauses, sync.failure_pauses,
      sync.asked_pauses, sync.retries.hopeless);
  for (const datamanager::WaitingRetry& retry : sync.retries.most_tried) {
    absl::StrAppendFormat(&lines, "retry tries=%d failing_s=%.1f next_s=%.1f path=%s error=%s\n",
                          retry.tries, seconds(retry.failing_for), seconds(retry.next_due),
                          JsonString(retry.path), JsonString(retry.last_error));
    if (retry.advice.empty()) continue;
    lines.insert(lines.size() - 1, " advice=" + JsonString(retry.advice));
  }
  for (const datamanager::UploadPause& pause : sync.paused) {
    absl::StrAppendFormat(&lines,
                          "paused reason=%s state=%s failures=%d refused=%d next_s=%.1f "
                          "directory=%s error=%s\n",
                          std::string(datamanager::PauseReasonName(pause.reason)),
                          OneWord(datamanager::PauseStateName(pause.state)), pause.failures,
                          pause.refused, seconds(pause.next_try),
                          pause.directory.empty() ? "all" : JsonString(pause.directory),
                          JsonString(pause.last_error));
  }
  return lines;
}

}  // namespace

WaitingFiles CountWaitingFiles(const std::string& capture_dir) {
  WaitingFiles waiting;
  CountIn(capture_dir, true, waiting);
  return waiting;
}

ProcessUsage ReadProcessUsage() {
  ProcessUsage usage;
  uint64_t pages = 0;
  uint64_t resident_pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident_pages;
  usage.rss_kb = resident_pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) / 1024;
  rusage used = {};
  ::getrusage(RUSAGE_SELF, &used);
  usage.max_rss_kb = static_cast<uint64_t>(used.ru_maxrss);
  usage.cpu_s = Seconds(used.ru_utime) + Seconds(used.ru_stime);
  return usage;
}

std::string StatusLine(std::chrono::duration<double> elapsed, const ManagerStats& stats,
                       const WaitingFiles& waiting) {
  const CollectorStats sum = SumOf(stats);
  const UploadStats uploads = UploadsOf(stats);
  return absl::StrFormat(
      "status t=%.1fs captured=%d records=%d bytes=%d missed=%d failed=%d waiting_files=%d "
      "waiting_bytes=%d blocked_files=%d uploaded_files=%d uploaded_bytes=%d retries=%d "
      "set_aside_files=%d evicted_files=%d connection=%s%s",
      elapsed.count(), sum.captured, sum.records, sum.bytes, sum.missed, sum.failed, waiting.files,
      waiting.bytes, stats.sync.blocked_files, uploads.files, uploads.bytes, uploads.retries,
      SetAsideFiles(stats), EvictedFiles(stats),
      OneWord(datamanager::ConnectionStateName(stats.connection.state)), Dropped(sum.dropped));
}

std::string SummaryTable(std::chrono::duration<double> elapsed, const ManagerStats& stats,
                         const WaitingFiles& waiting, const ProcessUsage& usage) {
  std::array<size_t, 3> widths = {};
  for (const CollectorStats& collector : stats.collectors) {
    widths[0] = std::max(widths[0], collector.api.size());
    widths[1] = std::max(widths[1], collector.name.size());
    widths[2] = std::max(widths[2], collector.method.size());
  }
  std::string table = absl::StrFormat("summary t=%.1fs collectors=%d capture_dir=%s\n",
                                      elapsed.count(), stats.collectors.size(), stats.capture_dir);
  for (const CollectorStats& collector : stats.collectors) {
    absl::StrAppendFormat(
        &table, "collector %-*s %-*s %-*s %s state=%s", static_cast<int>(widths[0]), collector.api,
        static_cast<int>(widths[1]), collector.name, static_cast<int>(widths[2]), collector.method,
        Counts(collector), std::string(datamanager::CollectorStateName(collector.state)));
    if (collector.no_data > 0) absl::StrAppend(&table, " no_data=", collector.no_data);
    table += Dropped(collector.dropped);
    if (!collector.reason.empty()) {
      table += " reason=" + datamanager::ToJson(datamanager::Value(collector.reason));
    }
    table += '\n';
  }
  for (const CollectorStats& collector : stats.collectors) {
    if (collector.ticks_due == 0) continue;
    absl::StrAppendFormat(&table, "timing    %-*s %-*s %-*s achieved_hz=%.3f",
                          static_cast<int>(widths[0]), collector.api, static_cast<int>(widths[1]),
                          collector.name, static_cast<int>(widths[2]), collector.method,
                          collector.achieved_hz);
    table += Timing("late", collector.lateness) + Timing("source", collector.source_time) + '\n';
  }
  const UploadStats uploads = UploadsOf(stats);
  absl::StrAppendFormat(
      &table,
      "total %s uploaded_files=%d uploaded_bytes=%d refused=%d retries=%d waiting_files=%d "
      "waiting_bytes=%d set_aside_files=%d evicted_files=%d%s\n",
      Counts(SumOf(stats)), uploads.files, uploads.bytes, uploads.refused, uploads.retries,
      waiting.files, waiting.bytes, SetAsideFiles(stats), EvictedFiles(stats),
      Dropped(SumOf(stats).dropped));
  table += Salvaged(stats) + Control(stats) + Disk(stats.disk) + Holdups(stats.sync);
  absl::StrAppendFormat(&table, "process rss_kb=%d max_rss_kb=%d cpu_s=%.2f wall_s=%.2f\n",
                        usage.rss_kb, usage.max_rss_kb, usage.cpu_s, elapsed.count());
  return table;
}

}  // namespace robot
