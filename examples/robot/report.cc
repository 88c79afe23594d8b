#include "robot/report.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>

#include "absl/strings/str_format.h"
#include "datamanager/value.h"

namespace robot {
namespace {

namespace fs = std::filesystem;
using datamanager::CollectorStats;
using datamanager::ManagerStats;
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
  }
  return sum;
}

UploadStats UploadsOf(const ManagerStats& stats) {
  UploadStats sum;
  for (const UploadStats& kind : {stats.sync.tabular, stats.sync.binary, stats.sync.arbitrary}) {
    sum.files += kind.files;
    sum.bytes += kind.bytes;
    sum.refused += kind.refused;
    sum.retries += kind.retries;
  }
  return sum;
}

std::string Counts(const CollectorStats& stats) {
  return absl::StrFormat("due=%-7d captured=%-7d missed=%-5d failed=%-5d records=%-7d bytes=%-10d",
                         stats.ticks_due, stats.captured, stats.missed, stats.failed, stats.records,
                         stats.bytes);
}

// A blank would end the value.
std::string OneWord(std::string_view text) {
  std::string word(text);
  std::replace(word.begin(), word.end(), ' ', '_');
  return word;
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
      "connection=%s",
      elapsed.count(), sum.captured, sum.records, sum.bytes, sum.missed, sum.failed, waiting.files,
      waiting.bytes, stats.sync.blocked_files, uploads.files, uploads.bytes, uploads.retries,
      OneWord(datamanager::ConnectionStateName(stats.connection.state)));
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
    if (!collector.reason.empty()) {
      table += " reason=" + datamanager::ToJson(datamanager::Value(collector.reason));
    }
    table += '\n';
  }
  const UploadStats uploads = UploadsOf(stats);
  absl::StrAppendFormat(
      &table,
      "total %s uploaded_files=%d uploaded_bytes=%d refused=%d retries=%d waiting_files=%d "
      "waiting_bytes=%d\n",
      Counts(SumOf(stats)), uploads.files, uploads.bytes, uploads.refused, uploads.retries,
      waiting.files, waiting.bytes);
  absl::StrAppendFormat(&table, "process rss_kb=%d max_rss_kb=%d cpu_s=%.2f wall_s=%.2f\n",
                        usage.rss_kb, usage.max_rss_kb, usage.cpu_s, elapsed.count());
  return table;
}

}  // namespace robot
