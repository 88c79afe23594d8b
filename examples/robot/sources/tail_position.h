// How far a file that grows was read, in a form that outlives the process.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_SOURCES_TAIL_POSITION_H_
#define DATAMANAGER_EXAMPLES_ROBOT_SOURCES_TAIL_POSITION_H_

#include <sys/stat.h>

#include <compare>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace robot {

// A file, under any name. Inode numbers are used again, so the time of birth is a part of it where
// the file system knows one. The device is not: its number may change at each boot.
struct FileId {
  uint64_t inode = 0;
  int64_t birth = 0;  // In nanoseconds; 0: not known.

  auto operator<=>(const FileId&) const = default;
};

// Returns the id of an open file.
FileId IdOf(int fd, const struct stat& info);

// How far one file was read, and the bytes that identify it: another file may get its inode number,
// and a file may be emptied and written again.
struct TailMark {
  FileId id;
  int64_t offset = 0;  // Where the next line begins.
  int64_t size = 0;    // The file's size at the last look.
  // Length and hash of its first bytes, and of those before `offset`.
  int64_t head_size = 0;
  uint64_t head_hash = 0;
  int64_t tail_size = 0;
  uint64_t tail_hash = 0;

  auto operator<=>(const TailMark&) const = default;
};

// How many bytes a mark remembers at each end: more than the time stamp that a line begins with.
inline constexpr int64_t kMarkBytes = 256;

uint64_t HashOf(std::string_view bytes);

// Reads exactly the bytes [begin, begin + size) of the open file; false if they are not there.
bool ReadExactly(int fd, int64_t begin, int64_t size, std::string& bytes);
// Whether the open file has the bytes that `mark` remembers, and is at least as long as its offset.
bool HasMark(int fd, const TailMark& mark);
// The same; reads the first bytes into `head` and those before the offset into `tail`.
bool ReadMark(int fd, const TailMark& mark, std::string& head, std::string& tail);

struct TailPosition {
  std::string path;             // The file that is followed, as configured.
  std::string directory;        // Its directory at that time, without links.
  std::vector<TailMark> files;  // The oldest first; the last may be the one at `path`.
  std::set<FileId> known;       // Files beside it that were there already; any other is new.

  bool operator==(const TailPosition&) const = default;
};

// Two positions, as the state file holds them: `latest` counts until the machine boots again. A
// power cut may lose records that were written before it; `safe` is from before these.
struct StoredPositions {
  std::string boot;
  TailPosition latest;
  TailPosition safe;
};

std::string FormatPositions(const StoredPositions& positions);
// Parses the text. Empty, with the reason in `fault`, if it is damaged or of another version.
std::optional<StoredPositions> ParsePositions(std::string_view text, std::string& fault);

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_SOURCES_TAIL_POSITION_H_
