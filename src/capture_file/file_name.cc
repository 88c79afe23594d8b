#include "capture_file/file_name.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/strings.h"

namespace datamanager::capture_file {
namespace {

std::string Segment(std::string_view text) {
  std::string segment(text);
  std::replace(segment.begin(), segment.end(), ':', '_');
  return segment;
}

std::string Stamp(WallTime start) {
  const auto micros =
      std::chrono::floor<std::chrono::microseconds>(start.time_since_epoch()).count();
  int64_t fraction = micros % 1000000;
  if (fraction < 0) fraction += 1000000;
  const time_t seconds = static_cast<time_t>((micros - fraction) / 1000000);
  struct tm local {};
  localtime_r(&seconds, &local);
  std::string stamp =
      absl::StrFormat("%04d-%02d-%02dT%02d_%02d_%02d.%06d", local.tm_year + 1900, local.tm_mon + 1,
                      local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec, fraction);
  if (local.tm_gmtoff == 0) return stamp + "Z";
  const int64_t offset = local.tm_gmtoff < 0 ? -local.tm_gmtoff : local.tm_gmtoff;
  absl::StrAppendFormat(&stamp, "%c%02d_%02d", local.tm_gmtoff < 0 ? '-' : '+', offset / 3600,
                        offset / 60 % 60);
  return stamp;
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

}  // namespace

std::string CollectorDirectory(std::string_view capture_dir, std::string_view api,
                               std::string_view name, std::string_view method) {
  return absl::StrCat(ToAbsl(capture_dir), "/", Segment(api), "/", Segment(name), "/",
                      Segment(method));
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
  struct tm time {};
  int micros = 0;
  if (!TakeNumber(text, 4, time.tm_year) || !TakeChar(text, '-') ||
      !TakeNumber(text, 2, time.tm_mon) || !TakeChar(text, '-') ||
      !TakeNumber(text, 2, time.tm_mday) || !TakeChar(text, 'T') ||
      !TakeNumber(text, 2, time.tm_hour) || !TakeChar(text, '_') ||
      !TakeNumber(text, 2, time.tm_min) || !TakeChar(text, '_') ||
      !TakeNumber(text, 2, time.tm_sec) || !TakeChar(text, '.') || !TakeNumber(text, 6, micros)) {
    return std::nullopt;
  }
  int offset = 0;
  if (!TakeChar(text, 'Z')) {
    const int sign = TakeChar(text, '-') ? -1 : 1;
    if (sign > 0 && !TakeChar(text, '+')) return std::nullopt;
    int hours = 0;
    int minutes = 0;
    if (!TakeNumber(text, 2, hours) || !TakeChar(text, '_') || !TakeNumber(text, 2, minutes)) {
      return std::nullopt;
    }
    offset = sign * (hours * 3600 + minutes * 60);
  }
  if (!text.empty()) return std::nullopt;
  time.tm_year -= 1900;
  time.tm_mon -= 1;
  // A date that the calendar does not have is moved to one that it has.
  const struct tm given = time;
  const time_t seconds = timegm(&time);
  if (time.tm_year != given.tm_year || time.tm_mon != given.tm_mon ||
      time.tm_mday != given.tm_mday || time.tm_hour != given.tm_hour ||
      time.tm_min != given.tm_min || time.tm_sec != given.tm_sec) {
    return std::nullopt;
  }
  return WallTime(std::chrono::seconds(seconds - offset) + std::chrono::microseconds(micros));
}

std::string CutPath(std::string_view path, uint64_t offset) {
  return absl::StrCat(ToAbsl(path), ".cut-at-", offset, ToAbsl(kInProgressSuffix));
}

std::string FailedPath(std::string_view root, std::string_view path) {
  return absl::StrCat(ToAbsl(root), "/", ToAbsl(kFailedDirectory),
                      ToAbsl(path.substr(root.size())));
}

}  // namespace datamanager::capture_file
