// Lines from pieces of a text.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_SOURCES_LINE_SPLITTER_H_
#define DATAMANAGER_EXAMPLES_ROBOT_SOURCES_LINE_SPLITTER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace robot {

// Keeps the line that has no end yet. A line ends with "\n", before which an "\r" goes too; one
// that is longer than the limit comes in several. Not thread-safe.
class LineSplitter {
 public:
  explicit LineSplitter(size_t longest) : longest_(longest) {}

  // The lines that `text` completes are added to `lines`.
  void Add(std::string_view text, std::vector<std::string>& lines);
  // The line without an end, if there is one: nothing will follow.
  void End(std::vector<std::string>& lines);

 private:
  const size_t longest_;
  std::string partial_;
};

// `text` with U+FFFD in place of each byte that is no part of UTF-8; counts these in `replaced`.
std::string WellFormed(std::string_view text, int64_t& replaced);

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_SOURCES_LINE_SPLITTER_H_
