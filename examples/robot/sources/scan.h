// Cutting up the text of /proc and /sys.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_SOURCES_SCAN_H_
#define DATAMANAGER_EXAMPLES_ROBOT_SOURCES_SCAN_H_

#include <charconv>
#include <string_view>

namespace robot {

// Takes the next line off `text` into `line`; false at the end.
inline bool NextLine(std::string_view& text, std::string_view& line) {
  if (text.empty()) return false;
  const size_t end = text.find('\n');
  line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return true;
}

// Takes the next of the fields that blanks separate off `line`; empty at the end.
inline std::string_view NextField(std::string_view& line) {
  constexpr std::string_view kBlanks = " \t\n";
  const size_t begin = line.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) {
    line = {};
    return {};
  }
  const size_t end = line.find_first_of(kBlanks, begin);
  const std::string_view field = line.substr(begin, end - begin);
  line.remove_prefix(end == std::string_view::npos ? line.size() : end);
  return field;
}

inline void SkipFields(std::string_view& line, int count) {
  for (int i = 0; i < count; ++i) NextField(line);
}

// The number that `field` begins with; 0 if it begins with none.
template <typename T>
T ToNumber(std::string_view field) {
  T number{};
  std::from_chars(field.data(), field.data() + field.size(), number);
  return number;
}

// Takes the next field off `line` as a number.
template <typename T>
T NextNumber(std::string_view& line) {
  return ToNumber<T>(NextField(line));
}

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_SOURCES_SCAN_H_
