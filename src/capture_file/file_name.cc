#include "capture_file/file_name.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace datamanager::capture_file {
namespace {

constexpr std::string_view kDatasetUploadSuffix = ".upload";
constexpr size_t kDigestSize = 32;
constexpr std::string_view kCutMark = ".cut-at-";
constexpr std::string_view kUnfinishedSuffix = ".part.prog";
constexpr std::string_view kFurtherMark = ".further-at-";

std::string Segment(std::string_view text) {
  std::string segment(text);
  std::replace(segment.begin(), segment.end(), ':', '_');
  return segment;
}

// A pass reads the names of a whole backlog and makes them again: digits go to their places, and no
// time is broken down by the C library, which takes a lock for it.
constexpr std::string_view kStampShape = "YYYY-MM-DDTHH_MM_SS.uuuuuu";
constexpr std::string_view kZoneShape = "+HH_MM";
constexpr size_t kSecondAt = 17;

// The last `digits` decimal digits.
void PutDigits(uint32_t number, size_t digits, char* at) {
  for (; digits > 0; --digits, number /= 10) at[digits - 1] = static_cast<char>('0' + number % 10);
}

// Reads `digits` decimal digits; false if there are others.
bool ReadDigits(const char* at, size_t digits, uint32_t& number) {
  number = 0;
  uint32_t highest = 0;
  for (size_t i = 0; i < digits; ++i) {
    const uint32_t digit = static_cast<unsigned char>(at[i]) - uint32_t{'0'};
    highest = std::max(highest, digit);
    number = number * 10 + digit;
  }
  return highest <= 9;
}

// What a stamp shows.
struct Shown {
  uint32_t year = 0;
  uint32_t month = 0;
  uint32_t day = 0;
  uint32_t hour = 0;
  uint32_t minute = 0;
  uint32_t second = 0;
  uint32_t micros = 0;
};

void AppendShown(const Shown& shown, std::string& out) {
  char text[kStampShape.size()];
  std::copy(kStampShape.begin(), kStampShape.end(), text);
  PutDigits(shown.year, 4, text);
  PutDigits(shown.month, 2, text + 5);
  PutDigits(shown.day, 2, text + 8);
  PutDigits(shown.hour, 2, text + 11);
  PutDigits(shown.minute, 2, text + 14);
  PutDigits(shown.second, 2, text + kSecondAt);
  PutDigits(shown.micros, 6, text + 20);
  out.append(text, sizeof(text));
}

void AppendZone(int64_t minutes, std::string& out) {
  char text[kZoneShape.size()];
  std::copy(kZoneShape.begin(), kZoneShape.end(), text);
  text[0] = minutes < 0 ? '-' : '+';
  PutDigits(static_cast<uint32_t>(std::abs(minutes) / 60), 2, text + 1);
  PutDigits(static_cast<uint32_t>(std::abs(minutes) % 60), 2, text + 4);
  out.append(text, sizeof(text));
}

// Appends the stamp without a suffix.
void AppendStamp(const CompleteStamp& stamp, std::string& out) {
  const bool zulu = stamp.zone_minutes == CompleteStamp::kZulu;
  const std::chrono::sys_time<std::chrono::microseconds> local(
      std::chrono::microseconds(stamp.micros) +
      std::chrono::minutes(zulu ? 0 : stamp.zone_minutes));
  const auto day = std::chrono::floor<std::chrono::days>(local);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(local - day);
  AppendShown({.year = static_cast<uint32_t>(static_cast<int>(date.year())),
               .month = static_cast<unsigned>(date.month()),
               .day = static_cast<unsigned>(date.day()),
               .hour = static_cast<uint32_t>(time.hours().count()),
               .minute = static_cast<uint32_t>(time.minutes().count()),
               .second = static_cast<uint32_t>(time.seconds().count()),
               .micros = static_cast<uint32_t>(time.subseconds().count())},
              out);
  if (zulu) {
    out += 'Z';
  } else {
    AppendZone(stamp.zone_minutes, out);
  }
}

// Computes the local time from the offset in the name, and not with the C library: where the zone's
// offset has seconds, as before standard time, or where the zone database counts leap seconds
// ("right/..."), the library's time and an offset in whole minutes would name another instant.
std::string Stamp(WallTime start) {
  const auto since_epoch = std::chrono::floor<std::chrono::microseconds>(start.time_since_epoch());
  const auto time =
      static_cast<time_t>(std::chrono::floor<std::chrono::seconds>(since_epoch).count());
  struct tm local {};
  localtime_r(&time, &local);
  CompleteStamp shown{.micros = since_epoch.count(), .zone_minutes = CompleteStamp::kZulu};
  constexpr decltype(local.tm_gmtoff) kMostMinutes = 99 * 60 + 59;
  const auto minutes = local.tm_gmtoff / 60;
  if (minutes != 0 && std::abs(minutes) <= kMostMinutes) {
    shown.zone_minutes = static_cast<int16_t>(minutes);
  }
  std::string stamp;
  stamp.reserve(kStampShape.size() + kZoneShape.size() + kCompleteSuffix.size());
  AppendStamp(shown, stamp);
  return stamp;
}

// Of the whole of what is left behind the digits of a stamp.
std::optional<int16_t> ReadZone(std::string_view text) {
  if (text == "Z") return CompleteStamp::kZulu;
  uint32_t hours = 0;
  uint32_t minutes = 0;
  if (text.size() != kZoneShape.size() || (text[0] != '+' && text[0] != '-') || text[3] != '_' ||
      !ReadDigits(text.data() + 1, 2, hours) || !ReadDigits(text.data() + 4, 2, minutes)) {
    return std::nullopt;
  }
  const auto offset = static_cast<int16_t>(hours * 60 + minutes);
  return text[0] == '-' ? static_cast<int16_t>(-offset) : offset;
}

// Of a whole stamp.
std::optional<CompleteStamp> ReadStamp(std::string_view text) {
  if (text.size() <= kStampShape.size()) return std::nullopt;
  const char* const at = text.data();
  Shown shown;
  if (at[4] != '-' || at[7] != '-' || at[10] != 'T' || at[13] != '_' || at[16] != '_' ||
      at[19] != '.' || !ReadDigits(at, 4, shown.year) || !ReadDigits(at + 5, 2, shown.month) ||
      !ReadDigits(at + 8, 2, shown.day) || !ReadDigits(at + 11, 2, shown.hour) ||
      !ReadDigits(at + 14, 2, shown.minute) || !ReadDigits(at + kSecondAt, 2, shown.second) ||
      !ReadDigits(at + 20, 6, shown.micros)) {
    return std::nullopt;
  }
  const std::optional<int16_t> zone = ReadZone(text.substr(kStampShape.size()));
  const std::chrono::year_month_day date(std::chrono::year(static_cast<int>(shown.year)),
                                         std::chrono::month(shown.month),
                                         std::chrono::day(shown.day));
  // A leap second is read as the first second of the next minute.
  if (!zone.has_value() || !date.ok() || shown.hour > 23 || shown.minute > 59 ||
      shown.second > 60) {
    return std::nullopt;
  }
  const int offset = *zone == CompleteStamp::kZulu ? 0 : *zone;
  const std::chrono::microseconds time =
      std::chrono::sys_days(date).time_since_epoch() + std::chrono::hours(shown.hour) +
      std::chrono::minutes(static_cast<int>(shown.minute) - offset) +
      std::chrono::seconds(shown.second) + std::chrono::microseconds(shown.micros);
  return CompleteStamp{.micros = time.count(), .zone_minutes = *zone};
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
  const std::chrono::microseconds time(stamp->micros);
  if (time < std::chrono::ceil<std::chrono::microseconds>(WallTime::duration::min()) ||
      time > std::chrono::floor<std::chrono::microseconds>(WallTime::duration::max())) {
    return std::nullopt;
  }
  return WallTime(time);
}

std::optional<CompleteStamp> ParseComplete(std::string_view base_name) {
  if (!IsComplete(base_name)) return std::nullopt;
  base_name.remove_suffix(kCompleteSuffix.size());
  const std::optional<CompleteStamp> stamp = ReadStamp(base_name);
  if (!stamp.has_value()) return std::nullopt;
  if (base_name.substr(kSecondAt, 2) == "60") return std::nullopt;
  // "-00_00", which is not what would be made of it, and "+01_75".
  if (stamp->zone_minutes != CompleteStamp::kZulu &&
      (base_name.ends_with("-00_00") || base_name[base_name.size() - 2] > '5')) {
    return std::nullopt;
  }
  return stamp;
}

void AppendCompleteName(const CompleteStamp& stamp, std::string& out) {
  AppendStamp(stamp, out);
  out += kCompleteSuffix;
}

std::string CutPath(std::string_view path, uint64_t offset) {
  return absl::StrCat(ToAbsl(path), ToAbsl(kCutMark), offset, ToAbsl(kInProgressSuffix));
}

bool IsRemainder(std::string_view base_name) {
  if (!IsInProgress(base_name)) return false;
  const size_t mark = base_name.rfind(kCutMark);
  if (mark == std::string_view::npos) return false;
  base_name.remove_prefix(mark + kCutMark.size());
  return !base_name.empty() && base_name[0] >= '0' && base_name[0] <= '9';
}

std::string UnfinishedRemainderName(std::string_view remainder_name) {
  remainder_name.remove_suffix(kInProgressSuffix.size());
  return absl::StrCat(ToAbsl(remainder_name), ToAbsl(kUnfinishedSuffix));
}

bool IsUnfinishedRemainder(std::string_view base_name) {
  return base_name.ends_with(kUnfinishedSuffix) && IsRemainder(base_name);
}

std::string FurtherName(std::string_view base_name, uint64_t offset) {
  return absl::StrCat(ToAbsl(base_name), ToAbsl(kFurtherMark), offset, ToAbsl(kInProgressSuffix));
}

std::optional<FurtherOf> ParseFurther(std::string_view base_name) {
  const size_t mark = base_name.rfind(kFurtherMark);
  if (mark == std::string_view::npos || !IsInProgress(base_name)) return std::nullopt;
  FurtherOf further{.base_name = base_name.substr(0, mark)};
  std::string_view digits = base_name.substr(mark + kFurtherMark.size());
  digits.remove_suffix(kInProgressSuffix.size());
  if (!absl::SimpleAtoi(ToAbsl(digits), &further.offset) ||
      !ParseStamp(further.base_name).has_value()) {
    return std::nullopt;
  }
  return further;
}

std::string ReadBackPath(std::string_view path, int attempt) {
  return absl::StrCat(ToAbsl(path), ".read-back-", attempt, ToAbsl(kInProgressSuffix));
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

bool IsRemovedWhileOpen(std::string_view base_name) {
  constexpr size_t kFewestDigits = 16;
  for (const std::string_view prefix : {".fuse_hidden", ".nfs"}) {
    if (!base_name.starts_with(prefix)) continue;
    const std::string_view digits = base_name.substr(prefix.size());
    return digits.size() >= kFewestDigits &&
           digits.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
  }
  return false;
}

std::string FailedPath(std::string_view root, std::string_view path) {
  return absl::StrCat(ToAbsl(root), "/", ToAbsl(kFailedDirectory),
                      ToAbsl(path.substr(root.size())));
}

}  // namespace datamanager::capture_file
