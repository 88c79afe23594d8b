// The memory in which a collector builds its records.
#ifndef DATAMANAGER_SRC_CAPTURE_FILE_RECORD_BUFFER_H_
#define DATAMANAGER_SRC_CAPTURE_FILE_RECORD_BUFFER_H_

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "capture_file/format.h"

namespace datamanager::capture_file {

// One message, written from its end to its beginning: when the length of a part is due, the part is
// there to be measured, so one pass does. The length prefix goes before it in the same memory, and
// both leave in one write(2) without being copied. Keeps its memory from record to record. Not
// thread-safe.
class RecordBuffer {
 public:
  void Clear() { size_ = 0; }
  size_t size() const { return size_; }

  // Makes room for `count` bytes before what is there, and returns where they begin.
  char* Prepend(size_t count) {
    if (capacity_ < kMaxVarintBytes + size_ + count) Grow(count);
    size_ += count;
    return begin();
  }
  void PrependByte(char byte) { *Prepend(1) = byte; }
  void PrependBytes(std::string_view bytes) {
    // Of an empty view, data() may be null.
    if (!bytes.empty()) std::memcpy(Prepend(bytes.size()), bytes.data(), bytes.size());
  }
  void PrependVarint(uint64_t value) { WriteVarint(value, Prepend(VarintSize(value))); }
  // Whole fields, each with its one-byte tag.
  void PrependVarint(char tag, uint64_t value) {
    PrependVarint(value);
    PrependByte(tag);
  }
  void PrependDouble(char tag, double number) {
    char* p = Prepend(9);
    *p++ = tag;
    for (auto bits = std::bit_cast<uint64_t>(number); p != begin() + 9; bits >>= 8) {
      *p++ = static_cast<char>(bits);
    }
  }
  void PrependText(char tag, std::string_view text) {
    PrependBytes(text);
    PrependVarint(text.size());
    PrependByte(tag);
  }
  // Closes a length-delimited field whose payload begins here and ended where size() was `end`.
  void PrependHead(char tag, size_t end) {
    PrependVarint(size_ - end);
    PrependByte(tag);
  }

  std::string_view message() const { return {begin(), size_}; }
  // The length prefix and the message. `tail` bytes that follow from elsewhere count into the
  // length.
  std::string_view Frame(size_t tail = 0) {
    if (capacity_ == 0) Grow(0);
    const uint64_t length = size_ + tail;
    const size_t prefix = VarintSize(length);
    WriteVarint(length, begin() - prefix);
    return {begin() - prefix, prefix + size_};
  }

 private:
  char* begin() const { return bytes_.get() + capacity_ - size_; }

  // What is there stays at the end; before it, there is always room for a length prefix.
  void Grow(size_t count) {
    constexpr size_t kLeast = 1024;
    const size_t capacity = std::max({kLeast, 2 * capacity_, kMaxVarintBytes + size_ + count});
    auto bytes = std::make_unique_for_overwrite<char[]>(capacity);
    if (size_ > 0) std::memcpy(bytes.get() + capacity - size_, begin(), size_);
    bytes_ = std::move(bytes);
    capacity_ = capacity;
  }

  std::unique_ptr<char[]> bytes_;
  size_t capacity_ = 0;
  size_t size_ = 0;
};

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_RECORD_BUFFER_H_
