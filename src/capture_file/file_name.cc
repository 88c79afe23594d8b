#include "capture_file/file_name.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace datamanager::capture_file {
namespace {

constexpr std::string_view kDatasetUploadSuffix = ".upload";
constexpr size_t kDigestSize = 32;

std::string Segment(std::string_view text) {
  std::string segment(text);
  std::replace(segment.begin(), segment.end(), ':', '_');
  return segment;
}

// The last `digits` decimal digits. A pass makes the names of a whole backlog, for which a format
// string takes too long.
void AppendDigits(int64_t number, size_t digits, std::string& out) {
  out.append(digits, '0');
  for (char* at = out.data() + out.size(); digits > 0; --digits, number /= 10) {
    *--at = static_cast<char>('0' + number % 10);
  }
}

std::string Stamp(const struct tm& local, int64_t micros) {
  std::string stamp;
  stamp.reserve(sizeof("YYYY-MM-DDTHH_MM_SS.uuuuuu+HH_MM.capture"));
  AppendDigits(local.tm_year + 1900, 4, stamp);
  stamp += '-';
  AppendDigits(local.tm_mon + 1, 2, stamp);
  stamp += '-';
  AppendDigits(local.tm_mday, 2, stamp);
  stamp += 'T';
  AppendDigits(local.tm_hour, 2, stamp);
  stamp += '_';
  AppendDigits(local.tm_min, 2, stamp);
  stamp += '_';
  AppendDigits(local.tm_sec, 2, stamp);
  stamp += '.';
  AppendDigits(micros, 6, stamp);
  return stamp;
}

std::string Zone(int64_t minutes) {
  std::string zone(1, minutes < 0 ? '-' : '+');
  AppendDigits(std::abs(minutes) / 60, 2, zone);
  zone += '_';
  AppendDigits(std::abs(minutes) % 60, 2, zone);
  return zone;
}

// The whole seconds, and what is left, of microseconds since the epoch.
std::pair<time_t, int64_t> Split(int64_t micros) {
  int64_t fraction = micros % 1000000;
  if (fraction < 0) fraction += 1000000;
  return {static_cast<time_t>((micros - fraction) / 1000000), fraction};
}

std::string Stamp(WallTime start) {
  const auto [seconds, fraction] =
      Split(std::chrono::floor<std::chrono::microseconds>(start.time_since_epoch()).count());
  struct tm local {};
  localtime_r(&seconds, &local);
  return Stamp(local, fraction) + (local.tm_gmtoff == 0 ? "Z" : Zone(local.tm_gmtoff / 60));
}

// Reads `digits` decimal digits at `text`, and moves it past them.
bool TakeNumber(std::string_view& text, size_t digits, int& number) {
  if (text.size() < digits) return false;
  number = 0;
  for (size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    number = number * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return true;
}

bool TakeChar(std::string_view& text, char c) {
  if (text.empty() || text[0] != c) return false;
  text.remove_prefix(1);
  return true;
}

// Of a whole stamp.
std::optional<CompleteStamp> ReadStamp(std::string_view text) {
  int year = 0;
  int month = 0;
  int day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
  int micros = 0;
  if (!TakeNumber(text, 4, year) || !TakeChar(text, '-') || !TakeNumber(text, 2, month) ||
      !TakeChar(text, '-') || !TakeNumber(text, 2, day) || !TakeChar(text, 'T') ||
      !TakeNumber(text, 2, hour) || !TakeChar(text, '_') || !TakeNumber(text, 2, minute) ||
      !TakeChar(text, '_') || !TakeNumber(text, 2, second) || !TakeChar(text, '.') ||
      !TakeNumber(text, 6, micros)) {
    return std::nullopt;
  }
  CompleteStamp stamp{.zone_minutes = CompleteStamp::kZulu};
  int offset = 0;
  if (!TakeChar(text, 'Z')) {
    const int sign = TakeChar(text, '-') ? -1 : 1;
    if (sign > 0 && !TakeChar(text, '+')) return std::nullopt;
    int hours = 0;
    int minutes = 0;
    if (!TakeNumber(text, 2, hours) || !TakeChar(text, '_') || !TakeNumber(text, 2, minutes)) {
      return std::nullopt;
    }
    offset = sign * (hours * 60 + minutes);
    stamp.zone_minutes = static_cast<int16_t>(offset);
  }
  const std::chrono::year_month_day date(std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day)));
  if (!text.empty() || !date.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  const std::chrono::microseconds time =
      std::chrono::sys_days(date).time_since_epoch() + std::chrono::hours(hour) +
      std::chrono::minutes(minute - offset) + std::chrono::seconds(second) +
      std::chrono::microseconds(micros);
  stamp.micros = time.count();
  return stamp;
}

}  // namespace

std::string CollectorDirectory(std::string_view capture_dir, std::string_view api,
                               std::string_view name, std::string_view method) {
  return absl::StrCat(ToAbsl(capture_dir), "/", Segment(api), "/", ResourceSegments(name, method));
}

std::string ResourceSegments(std::string_view name, std::string_view method) {
  return absl::StrCat(Segment(name), "/", Segment(method));
}

std::string SequencesDirectory(std::string_view capture_dir) {
  return absl::StrCat(ToAbsl(capture_dir), "/", ToAbsl(kSequencesDirectory));
}

std::optional<std::string> SequenceId(std::string_view base_name, std::string_view suffix) {
  constexpr std::string_view kShape = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  if (!base_name.ends_with(suffix)) return std::nullopt;
  base_name.remove_suffix(suffix.size());
  const bool fits = std::equal(
      base_name.begin(), base_name.end(), kShape.begin(), kShape.end(), [](char c, char shape) {
        return shape == '-' ? c == '-' : (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
      });
  if (!fits) return std::nullopt;
  return std::string(base_name);
}

std::string InProgressName(WallTime start) {
  return absl::StrCat(Stamp(start), ToAbsl(kInProgressSuffix));
}

std::string CompleteName(WallTime start) {
  return absl::StrCat(Stamp(start), ToAbsl(kCompleteSuffix));
}

std::string CompletePath(std::string_view in_progress_path) {
  in_progress_path.remove_suffix(kInProgressSuffix.size());
  return absl::StrCat(ToAbsl(in_progress_path), ToAbsl(kCompleteSuffix));
}

bool IsInProgress(std::string_view base_name) { return base_name.ends_with(kInProgressSuffix); }

bool IsComplete(std::string_view base_name) { return base_name.ends_with(kCompleteSuffix); }

std::optional<WallTime> ParseStamp(std::string_view base_name) {
  std::string_view text = base_name;
  if (IsInProgress(text)) {
    text.remove_suffix(kInProgressSuffix.size());
  } else if (IsComplete(text)) {
    text.remove_suffix(kCompleteSuffix.size());
  } else {
    return std::nullopt;
  }
  const std::optional<CompleteStamp> stamp = ReadStamp(text);
  if (!stamp.has_value()) return std::nullopt;
  return WallTime(std::chrono::microseconds(stamp->micros));
}

std::optional<CompleteStamp> ParseComplete(std::string_view base_name) {
  if (!IsComplete(base_name)) return std::nullopt;
  base_name.remove_suffix(kCompleteSuffix.size());
  const std::optional<CompleteStamp> stamp = ReadStamp(base_name);
  // "-00_00", which is not what would be made of it, and "+01_75".
  if (stamp.has_value() && stamp->zone_minutes != CompleteStamp::kZulu &&
      (base_name.ends_with("-00_00") || base_name[base_name.size() - 2] > '5')) {
    return std::nullopt;
  }
  return stamp;
}

std::string CompleteName(const CompleteStamp& stamp) {
  const bool zulu = stamp.zone_minutes == CompleteStamp::kZulu;
  const auto [seconds, fraction] = Split(stamp.micros);
  const time_t shifted = seconds + (zulu ? 0 : stamp.zone_minutes * 60);
  struct tm local {};
  gmtime_r(&shifted, &local);
  return absl::StrCat(Stamp(local, fraction), zulu ? "Z" : Zone(stamp.zone_minutes),
                      ToAbsl(kCompleteSuffix));
}

std::string CutPath(std::string_view path, uint64_t offset) {
  return absl::StrCat(ToAbsl(path), ".cut-at-", offset, ToAbsl(kInProgressSuffix));
}

std::string DatasetUploadName(std::string_view digest, std::string_view extension) {
  return absl::StrCat(ToAbsl(digest), ToAbsl(extension), ToAbsl(kDatasetUploadSuffix));
}

std::string DatasetContentName(std::string_view upload_name) {
  return std::string(upload_name.substr(0, upload_name.size() - kDatasetUploadSuffix.size()));
}

std::string DatasetInProgressName(std::string_view upload_name, int attempt) {
  return absl::StrCat(ToAbsl(upload_name), ".", attempt, ToAbsl(kInProgressSuffix));
}

bool IsDatasetUpload(std::string_view base_name) {
  if (!base_name.ends_with(kDatasetUploadSuffix)) return false;
  base_name.remove_suffix(kDatasetUploadSuffix.size());
  if (base_name.find_first_not_of("0123456789abcdef") < kDigestSize) return false;
  const std::string_view extension = base_name.substr(std::min(kDigestSize, base_name.size()));
  return base_name.size() == kDigestSize ||
         (base_name.size() > kDigestSize + 1 && extension.rfind('.') == 0);
}

bool IsDatasetInProgress(std::string_view base_name) {
  if (!IsInProgress(base_name)) return false;
  base_name.remove_suffix(kInProgressSuffix.size());
  const size_t dot = base_name.rfind('.');
  if (dot == std::string_view::npos || dot + 1 == base_name.size()) return false;
  return base_name.find_first_not_of("0123456789", dot + 1) == std::string_view::npos &&
         IsDatasetUpload(base_name.substr(0, dot));
}

std::string FailedPath(std::string_view root, std::string_view path) {
  return absl::StrCat(ToAbsl(root), "/", ToAbsl(kFailedDirectory),
                      ToAbsl(path.substr(root.size())));
}

}  // namespace datamanager::capture_file
