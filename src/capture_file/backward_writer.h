// Writes Protobuf's wire form from its end to its beginning.
#ifndef DATAMANAGER_SRC_CAPTURE_FILE_BACKWARD_WRITER_H_
#define DATAMANAGER_SRC_CAPTURE_FILE_BACKWARD_WRITER_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "capture_file/format.h"

namespace datamanager::capture_file {

// What fields take, with their one-byte tags.
inline constexpr size_t kMaxVarintFieldBytes = 1 + kMaxVarintBytes;
inline constexpr size_t kDoubleFieldBytes = 1 + sizeof(double);
// Of a length-delimited field, what comes before the payload: the tag and a length.
inline constexpr size_t kMaxFieldHeadBytes = kMaxVarintFieldBytes;

// Puts fields before what is written of a message, into room that is there: RecordBuffer makes it
// for several at a time. A local object, whose pointers stay in registers: those of RecordBuffer
// would be read again after each byte, which for all a compiler knows was stored into one of them.
class BackwardWriter {
 public:
  // What is written is [begin, end).
  BackwardWriter(char* begin, const char* end) : begin_(begin), end_(end) {}

  char* begin() const { return begin_; }
  size_t size() const { return static_cast<size_t>(end_ - begin_); }

  void Byte(char byte) { *--begin_ = byte; }
  void Bytes(std::string_view bytes) {
    begin_ -= bytes.size();
    // Of an empty view, data() may be null.
    if (!bytes.empty()) std::memcpy(begin_, bytes.data(), bytes.size());
  }
  void Varint(uint64_t value) {
    if (value < 0x80) return Byte(static_cast<char>(value));
    begin_ -= VarintSize(value);
    WriteVarint(value, begin_);
  }
  // Whole fields, each with its one-byte tag.
  void Varint(char tag, uint64_t value) {
    Varint(value);
    Byte(tag);
  }
  void Double(char tag, double number) {
    const auto bits = std::bit_cast<uint64_t>(number);
    begin_ -= sizeof(bits);
    // Spelled out, compilers make one store of it.
    begin_[0] = static_cast<char>(bits);
    begin_[1] = static_cast<char>(bits >> 8);
    begin_[2] = static_cast<char>(bits >> 16);
    begin_[3] = static_cast<char>(bits >> 24);
    begin_[4] = static_cast<char>(bits >> 32);
    begin_[5] = static_cast<char>(bits >> 40);
    begin_[6] = static_cast<char>(bits >> 48);
    begin_[7] = static_cast<char>(bits >> 56);
    Byte(tag);
  }
  void Text(char tag, std::string_view text) {
    Bytes(text);
    Varint(tag, text.size());
  }
  // Closes a length-delimited field whose payload begins here and ended where size() was `end`.
  void Head(char tag, size_t end) { Varint(tag, size() - end); }

 private:
  char* begin_;
  const char* end_;
};

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_BACKWARD_WRITER_H_
