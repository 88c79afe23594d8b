#include "config/resource_name.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace datamanager::config {
namespace {

bool IsWordCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
}

bool IsWord(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsWordCharacter);
}

}  // namespace

bool IsApi(std::string_view text) {
  const size_t first = text.find(':');
  const size_t last = text.rfind(':');
  return first != last && IsWord(text.substr(0, first)) &&
         IsWord(text.substr(first + 1, last - first - 1)) && IsWord(text.substr(last + 1));
}

bool IsShortName(std::string_view text) {
  constexpr size_t kMaxLength = 60;
  return IsWord(text) && text.size() <= kMaxLength &&
         absl::ascii_isalnum(static_cast<unsigned char>(text[0]));
}

std::optional<FullName> ParseFullName(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos || slash + 1 == text.size()) return std::nullopt;
  if (!IsApi(text.substr(0, slash))) return std::nullopt;
  return FullName{std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
}

}  // namespace datamanager::config
