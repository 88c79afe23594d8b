#include "sync/message_limit.h"

#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace datamanager::sync {
namespace {

// How a text tells the figures: `before`, one number, `between`, the other, and `after`.
struct Wording {
  std::string_view before;
  std::string_view between;
  std::string_view after;
  bool limit_first;
};
constexpr Wording kWordings[] = {
    {"message larger than max (", " vs. ", ")", false},
    {"message after decompression larger than max (", " vs. ", ")", false},
    {"message larger than max (", " vs ", ")", false},
    {"message exceeds maximum size ", ": ", "", true},
    {"message length too large: found ", " bytes, the limit is: ", " bytes", false},
};

// Takes a number of at most 18 digits from the front of `text`.
std::optional<uint64_t> TakeNumber(std::string_view& text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  uint64_t number = 0;
  if (digits == 0 || digits > 18 || !absl::SimpleAtoi(ToAbsl(text.substr(0, digits)), &number)) {
    return std::nullopt;
  }
  text.remove_prefix(digits);
  return number;
}

bool Take(std::string_view expected, std::string_view& text) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(expected.size());
  return true;
}

std::optional<TooLarge> Parse(std::string_view text, const Wording& wording) {
  const size_t at = text.find(wording.before);
  if (at == std::string_view::npos) return std::nullopt;
  text.remove_prefix(at + wording.before.size());
  const auto first = TakeNumber(text);
  if (!first.has_value() || !Take(wording.between, text)) return std::nullopt;
  const auto second = TakeNumber(text);
  if (!second.has_value() || !Take(wording.after, text)) return std::nullopt;
  const TooLarge found{.size = wording.limit_first ? *second : *first,
                       .limit = wording.limit_first ? *first : *second};
  if (found.size <= found.limit) return std::nullopt;
  return found;
}

}  // namespace

std::optional<TooLarge> ParseTooLarge(const absl::Status& status) {
  if (!absl::IsResourceExhausted(status) && !absl::IsOutOfRange(status)) return std::nullopt;
  for (const Wording& wording : kWordings) {
    if (const auto found = Parse(ToStd(status.message()), wording)) return found;
  }
  return std::nullopt;
}

absl::Status MessageLimit::Check(uint64_t bytes) const {
  const uint64_t limit = limit_;
  if (bytes <= limit) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("not sent: message larger than max (", bytes, " vs. ", limit, ")"));
}

bool MessageLimit::Learn(const absl::Status& status) {
  const std::optional<TooLarge> told = ParseTooLarge(status);
  if (!told.has_value() || told->limit < kSmallest) return false;
  uint64_t before = limit_;
  while (told->limit < before) {
    if (limit_.compare_exchange_weak(before, told->limit)) return true;
  }
  return false;
}

}  // namespace datamanager::sync
