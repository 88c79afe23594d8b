// Lines of a text that grows.
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

// A line ends with "\n", before which an "\r" goes too; one that is longer than `longest` comes in
// several, of which none cuts a character. What a text yields does not depend on how much of it is
// there already.
Line FirstLine(std::string_view text, size_t longest);
// The same for a text that nothing follows: what has no end is a line.
Line LastLine(std::string_view text, size_t longest);

// `text` with U+FFFD in place of each byte that is no part of UTF-8; counts these in `replaced`.
std::string WellFormed(std::string_view text, int64_t& replaced);

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_SOURCES_LINE_SPLITTER_H_
