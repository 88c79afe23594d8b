#include "robot/sources/tail_position.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace robot {
namespace {

constexpr char kFirstLine[] = "file-tail state 1";

void Append(const TailPosition& position, const char* kind, std::string& text) {
  absl::StrAppend(&text, kind, "\npath ", absl::CEscape(position.path), "\ndirectory ",
                  absl::CEscape(position.directory), "\n");
  for (const TailMark& mark : position.files) {
    absl::StrAppend(&text, "file ", mark.id.inode, " ", mark.id.birth, " ", mark.offset, " ",
                    mark.size, " ", mark.head_size, " ", mark.head_hash, " ");
    absl::StrAppend(&text, mark.tail_size, " ", mark.tail_hash, "\n");
  }
  for (const FileId& id : position.known) {
    absl::StrAppend(&text, "known ", id.inode, " ", id.birth, "\n");
  }
}

bool ParseFile(const std::vector<std::string>& words, TailPosition& position) {
  TailMark mark;
  if (words.size() != 9 || !absl::SimpleAtoi(words[1], &mark.id.inode) ||
      !absl::SimpleAtoi(words[2], &mark.id.birth) || !absl::SimpleAtoi(words[3], &mark.offset) ||
      !absl::SimpleAtoi(words[4], &mark.size) || !absl::SimpleAtoi(words[5], &mark.head_size) ||
      !absl::SimpleAtoi(words[6], &mark.head_hash) ||
      !absl::SimpleAtoi(words[7], &mark.tail_size) ||
      !absl::SimpleAtoi(words[8], &mark.tail_hash)) {
    return false;
  }
  const bool sound = mark.offset >= 0 && mark.head_size >= 0 && mark.head_size <= kMarkBytes &&
                     mark.tail_size >= 0 && mark.tail_size <= kMarkBytes &&
                     mark.tail_size <= mark.offset;
  position.files.push_back(mark);
  return sound;
}

// Adds the facts of one line to the position that it belongs to.
bool ParseLine(std::string_view line, TailPosition& position) {
  const std::vector<std::string> words =
      absl::StrSplit(absl::string_view(line.data(), line.size()), ' ');
  if (words[0] == "file") return ParseFile(words, position);
  if (words[0] == "known") {
    FileId id;
    if (words.size() != 3 || !absl::SimpleAtoi(words[1], &id.inode) ||
        !absl::SimpleAtoi(words[2], &id.birth)) {
      return false;
    }
    position.known.insert(id);
    return true;
  }
  const size_t space = line.find(' ');
  if (space == std::string_view::npos) return false;
  const absl::string_view value(line.data() + space + 1, line.size() - space - 1);
  if (words[0] == "path") return absl::CUnescape(value, &position.path);
  if (words[0] == "directory") return absl::CUnescape(value, &position.directory);
  return false;
}

}  // namespace

FileId IdOf(int fd, const struct stat& info) {
  FileId id{.inode = info.st_ino};
  struct statx more = {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &more) == 0 &&
      (more.stx_mask & STATX_BTIME) != 0) {
    id.birth = static_cast<int64_t>(more.stx_btime.tv_sec) * 1'000'000'000 +
               static_cast<int64_t>(more.stx_btime.tv_nsec);
  }
  return id;
}

uint64_t HashOf(std::string_view bytes) {
  // FNV-1a.
  uint64_t hash = 14695981039346656037U;
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 1099511628211U;
  return hash;
}

bool ReadExactly(int fd, int64_t begin, int64_t size, std::string& bytes) {
  bytes.resize(static_cast<size_t>(size));
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::pread(fd, bytes.data() + done, bytes.size() - done,
                              static_cast<off_t>(begin) + static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

bool HasMark(int fd, const TailMark& mark) {
  std::string head;
  std::string tail;
  return ReadMark(fd, mark, head, tail);
}

bool ReadMark(int fd, const TailMark& mark, std::string& head, std::string& tail) {
  struct stat info = {};
  return ::fstat(fd, &info) == 0 && info.st_size >= mark.offset &&
         ReadExactly(fd, 0, mark.head_size, head) && HashOf(head) == mark.head_hash &&
         ReadExactly(fd, mark.offset - mark.tail_size, mark.tail_size, tail) &&
         HashOf(tail) == mark.tail_hash;
}

std::string FormatPositions(const StoredPositions& positions) {
  std::string text = absl::StrCat(kFirstLine, "\nboot ", positions.boot, "\n");
  Append(positions.latest, "latest", text);
  Append(positions.safe, "safe", text);
  absl::StrAppend(&text, "end ", HashOf(text), "\n");
  return text;
}

std::optional<StoredPositions> ParsePositions(std::string_view text, std::string& fault) {
  const size_t end = text.rfind("end ");
  uint64_t hash = 0;
  if (!text.starts_with("file-tail state ")) {
    fault = "it is no state of a file-tail";
    return std::nullopt;
  }
  if (!text.starts_with(absl::StrCat(kFirstLine, "\n"))) {
    fault = "it is of another version";
    return std::nullopt;
  }
  if (end == std::string_view::npos || text[end - 1] != '\n' || text.back() != '\n' ||
      !absl::SimpleAtoi(absl::string_view(text.data() + end + 4, text.size() - end - 5), &hash) ||
      hash != HashOf(text.substr(0, end))) {
    fault = "its checksum is wrong";
    return std::nullopt;
  }
  StoredPositions positions;
  TailPosition* position = nullptr;
  size_t begin = text.find('\n') + 1;
  while (begin < end) {
    const size_t next = text.find('\n', begin) + 1;
    const std::string_view line = text.substr(begin, next - begin - 1);
    begin = next;
    bool sound = true;
    if (line.starts_with("boot ")) {
      positions.boot = line.substr(5);
    } else if (line == "latest") {
      position = &positions.latest;
    } else if (line == "safe") {
      position = &positions.safe;
    } else {
      sound = position != nullptr && ParseLine(line, *position);
    }
    if (!sound) {
      fault = absl::StrCat("a line of it is wrong: ", absl::string_view(line.data(), line.size()));
      return std::nullopt;
    }
  }
  return positions;
}

}  // namespace robot
