#include "base/repeat_filter.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace datamanager {
namespace {

// A source whose every error has a text of its own must not grow memory.
constexpr size_t kRemembered = 8;

}  // namespace

std::optional<std::string> RepeatFilter::Pass(std::string_view key, std::string_view text,
                                              MonotonicTime now) {
  const auto found =
      std::find_if(seen_.begin(), seen_.end(), [&](const Seen& seen) { return seen.key == key; });
  if (found == seen_.end()) {
    if (seen_.size() == kRemembered) {
      seen_.erase(std::min_element(seen_.begin(), seen_.end(), [](const Seen& a, const Seen& b) {
        return a.passed < b.passed;
      }));
    }
    seen_.push_back({.key = std::string(key), .passed = now});
    return std::string(text);
  }
  if (now - found->passed < interval_) {
    ++found->held_back;
    return std::nullopt;
  }
  std::string message(text);
  if (found->held_back > 0) {
    absl::StrAppend(&message, " (and ", found->held_back, " times since it was last logged)");
  }
  found->passed = now;
  found->held_back = 0;
  return message;
}

}  // namespace datamanager
