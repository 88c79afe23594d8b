#include "robot/sources/line_splitter.h"

namespace robot {
namespace {

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xc0U) == 0x80; }

// The length of the character at the beginning of `text`; 0 if there is none.
size_t CharacterLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if (!IsContinuation(text[i])) return 0;
  }
  // What has a shorter form, surrogates, and what lies beyond the last character.
  const unsigned char second = byte(1);
  if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
      (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)) {
    return 0;
  }
  return length;
}

}  // namespace

Line FirstLine(std::string_view text, size_t longest) {
  const size_t end = text.find('\n');
  if (end != std::string_view::npos) {
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.size() <= longest) return {.text = line, .taken = end + 1};
  } else if (text.size() < longest + 2) {
    return {};  // The end, "\n" or "\r\n", may still follow.
  }
  size_t taken = longest;
  // Does not cut inside a character, where the bytes are UTF-8.
  for (int i = 0; i < 3 && taken > 0 && IsContinuation(text[taken]); ++i) --taken;
  if (taken == 0) taken = longest;
  return {.text = text.substr(0, taken), .taken = taken};
}

Line LastLine(std::string_view text, size_t longest) {
  Line line = FirstLine(text, longest);
  if (line.taken == 0) {
    line = {.text = text, .taken = text.size()};
    if (line.text.ends_with('\r')) line.text.remove_suffix(1);
  }
  return line;
}

std::string WellFormed(std::string_view text, int64_t& replaced) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    if (length == 0) {
      ++replaced;
      result += "\xef\xbf\xbd";
      text.remove_prefix(1);
    } else {
      result += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return result;
}

}  // namespace robot
