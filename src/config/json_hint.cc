#include "config/json_hint.h"

#include <algorithm>

#include "base/strings.h"

namespace datamanager::config {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

}  // namespace

std::string_view JsonHint(std::string_view text, std::optional<size_t> offset) {
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return "the file is empty";
  if (text[first] == '<') {
    return "it looks like HTML: perhaps a login or error page was saved in place of the config";
  }
  if (!offset.has_value()) return "";
  std::string_view rest = text.substr(std::min(*offset, text.size()));
  rest.remove_prefix(std::min(rest.find_first_not_of(kBlanks), rest.size()));
  std::string_view before = text.substr(0, text.size() - rest.size());
  before = before.substr(0, before.find_last_not_of(kBlanks) + 1);
  if (rest.starts_with("//") || rest.starts_with("/*") || rest.starts_with('#')) {
    return "JSON has no comments: remove them";
  }
  if (rest.starts_with('$')) {
    return "a variable stands in quotes, also where a number is due: \"${NAME}\"";
  }
  if (rest.starts_with('}') || rest.starts_with(']')) {
    if (before.ends_with(',')) return "there is a comma too many before it";
  }
  const bool begins_value = rest.starts_with('"') || rest.starts_with('{') || rest.starts_with('[');
  const bool ended_value = before.ends_with('"') || before.ends_with('}') ||
                           before.ends_with(']') || before.ends_with("true") ||
                           before.ends_with("false") || before.ends_with("null") ||
                           (!before.empty() && before.back() >= '0' && before.back() <= '9');
  if (begins_value && ended_value) return "a comma is missing before it";
  if (rest.empty()) return "the text ends too early: a bracket or a quote is not closed";
  return "";
}

std::optional<size_t> FirstNotUtf8(std::string_view text) {
  if (IsUtf8(text)) return std::nullopt;
  constexpr size_t kLongest = 4;
  for (size_t at = 0; at < text.size();) {
    size_t size = 1;
    while (size <= kLongest && !IsUtf8(text.substr(at, size))) ++size;
    if (size > kLongest) return at;
    at += std::min(size, text.size() - at);
  }
  return std::nullopt;
}

}  // namespace datamanager::config
