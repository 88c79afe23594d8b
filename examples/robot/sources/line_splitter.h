// Splits a text that grows into lines.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_SOURCES_LINE_SPLITTER_H_
#define DATAMANAGER_EXAMPLES_ROBOT_SOURCES_LINE_SPLITTER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace robot {

// The line at the beginning of a text.
struct Line {
  std::string_view text;  // Without its end.
  size_t taken = 0;       // Bytes of the text, with the end; 0: the text has no whole line.
};

// Returns the first line. A line ends with "\n" or "\r\n", and the end is not part of it; one
// longer than `longest` is split, never inside a character. The lines of a text do not depend on
// how much of it is there already.
Line FirstLine(std::string_view text, size_t longest);
// As FirstLine, for a text that does not grow: the rest without an end is a line.
Line LastLine(std::string_view text, size_t longest);

// `text` with U+FFFD in place of each byte that is no part of UTF-8; counts these in `replaced`.
std::string WellFormed(std::string_view text, int64_t& replaced);

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_SOURCES_LINE_SPLITTER_H_
