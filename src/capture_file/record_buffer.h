// The memory in which a collector builds its records.
#ifndef DATAMANAGER_SRC_CAPTURE_FILE_RECORD_BUFFER_H_
#define DATAMANAGER_SRC_CAPTURE_FILE_RECORD_BUFFER_H_

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "capture_file/backward_writer.h"
#include "capture_file/format.h"

namespace datamanager::capture_file {

// One message, written from its end to its beginning: when the length of a part is needed, the part
// is already there and can be measured, so one pass suffices. The length prefix goes in front of it
// in the same memory, and both leave in one write(2) without a copy. Keeps its memory from record
// to record. Not thread-safe.
//
// Holds no more than a tabular record may have: anything prepended beyond that is left out,
// whatever its size, and the message cannot be used.
class RecordBuffer {
 public:
  void Clear() {
    begin_ = end_;
    overflowed_ = false;
  }
  // Whether more was prepended than the buffer holds.
  bool overflowed() const { return overflowed_; }
  // The most memory that the buffer has taken.
  size_t capacity() const { return static_cast<size_t>(end_ - bytes_.get()); }
  size_t size() const { return static_cast<size_t>(end_ - begin_); }

  // `write` prepends up to `most` bytes by the BackwardWriter that it is given.
  template <typename Write>
  void Prepend(size_t most, Write write) {
    if (static_cast<size_t>(begin_ - limit_) < most && !Grow(most)) return;
    BackwardWriter writer(begin_, end_);
    write(writer);
    assert(writer.size() - size() <= most);
    begin_ = writer.begin();
  }
  void PrependBytes(std::string_view bytes) {
    Prepend(bytes.size(), [&](BackwardWriter& out) { out.Bytes(bytes); });
  }
  // Whole fields, each with its one-byte tag.
  void PrependVarint(char tag, uint64_t value) {
    Prepend(kMaxVarintFieldBytes, [&](BackwardWriter& out) { out.Varint(tag, value); });
  }
  void PrependDouble(char tag, double number) {
    Prepend(kDoubleFieldBytes, [&](BackwardWriter& out) { out.Double(tag, number); });
  }
  void PrependText(char tag, std::string_view text) {
    Prepend(kMaxFieldHeadBytes + text.size(), [&](BackwardWriter& out) { out.Text(tag, text); });
  }
  // Closes a length-delimited field whose payload begins here and ended where size() was `end`.
  void PrependHead(char tag, size_t end) {
    Prepend(kMaxFieldHeadBytes, [&](BackwardWriter& out) { out.Head(tag, end); });
  }

  std::string_view message() const { return {begin_, size()}; }
  // The length prefix and the message. `tail` bytes that follow from elsewhere count into the
  // length.
  std::string_view Frame(size_t tail = 0) {
    if (bytes_ == nullptr && !Grow(0)) return {};
    BackwardWriter frame(begin_, end_);
    frame.Varint(size() + tail);
    return {frame.begin(), frame.size()};
  }

 private:
  // Grows the memory; the bytes written so far stay at its end. False: they would exceed the limit.
  bool Grow(size_t most) {
    constexpr size_t kLeast = 1024;
    // Parts request a little more room than they use.
    constexpr size_t kMost = kMaxTabularRecordBytes + 4096;
    const size_t size = this->size();
    if (most > kMost || size + most > kMost) {
      overflowed_ = true;
      return false;
    }
    const auto before = static_cast<size_t>(end_ - bytes_.get());
    const size_t capacity = std::max(
        {kLeast, std::min(2 * before, kMaxVarintBytes + kMost), kMaxVarintBytes + size + most});
    auto bytes = std::make_unique_for_overwrite<char[]>(capacity);
    char* const end = bytes.get() + capacity;
    if (size > 0) std::memcpy(end - size, begin_, size);
    bytes_ = std::move(bytes);
    limit_ = bytes_.get() + kMaxVarintBytes;
    end_ = end;
    begin_ = end - size;
    return true;
  }

  std::unique_ptr<char[]> bytes_;
  char* limit_ = nullptr;  // Before it is the room for a length prefix.
  char* begin_ = nullptr;  // The message is [begin_, end_).
  char* end_ = nullptr;
  bool overflowed_ = false;
};

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_RECORD_BUFFER_H_
