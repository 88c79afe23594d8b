#include "sync/failure_log.h"

#include <algorithm>
#include <cctype>

#include "absl/strings/str_cat.h"

namespace datamanager::sync {
namespace {

constexpr size_t kCauseBytes = 200;

bool IsWordCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::string CauseOf(std::string_view error, std::string_view path) {
  std::string cause;
  while (!error.empty() && cause.size() < kCauseBytes) {
    if (!path.empty() && error.starts_with(path)) {
      cause += '#';
      error.remove_prefix(path.size());
      continue;
    }
    const auto word_end = std::find_if_not(error.begin(), error.end(), IsWordCharacter);
    const auto length = static_cast<size_t>(word_end - error.begin());
    if (length == 0) {
      cause += error.front();
      error.remove_prefix(1);
      continue;
    }
    const std::string_view word = error.substr(0, length);
    if (std::any_of(word.begin(), word.end(), IsDigit)) {
      cause += '#';
    } else {
      cause += word;
    }
    error.remove_prefix(length);
  }
  cause.resize(std::min(cause.size(), kCauseBytes));
  return cause;
}

std::optional<std::string> FailureLog::Pass(std::string_view cause, std::string_view line,
                                            MonotonicTime now) {
  MutexLock lock(mutex_);
  if (!interval_begin_.has_value() || now - *interval_begin_ >= kInterval) {
    interval_begin_ = now;
    lines_ = 0;
  }
  if (lines_ >= kLines) {
    ++held_back_;
    return std::nullopt;
  }
  std::optional<std::string> passed = filter_.Pass(cause, line, now);
  if (!passed.has_value()) return std::nullopt;
  ++lines_;
  if (held_back_ > 0) {
    absl::StrAppend(&*passed, " (and ", held_back_, " failures of too many causes to log each)");
    held_back_ = 0;
  }
  return passed;
}

}  // namespace datamanager::sync
