// The memory in which a collector builds its records.
#ifndef DATAMANAGER_SRC_CAPTURE_FILE_RECORD_BUFFER_H_
#define DATAMANAGER_SRC_CAPTURE_FILE_RECORD_BUFFER_H_

#include <string_view>
#include <vector>

#include "capture_file/format.h"

namespace datamanager::capture_file {

// One message, with room before it for the length prefix, so that both leave in one write(2)
// without being copied. Keeps its memory from record to record. Not thread-safe.
class RecordBuffer {
 public:
  // Makes room for a message of `size` bytes and returns where to write it.
  char* Resize(size_t size) {
    size_ = size;
    if (bytes_.size() < kRoom + size) bytes_.resize(kRoom + size);
    return bytes_.data() + kRoom;
  }

  size_t size() const { return size_; }

  // The length prefix and the message. `tail` bytes that follow from elsewhere count into the
  // length.
  std::string_view Frame(size_t tail = 0) {
    const uint64_t length = size_ + tail;
    const size_t prefix = VarintSize(length);
    char* begin = bytes_.data() + kRoom - prefix;
    WriteVarint(length, begin);
    return {begin, prefix + size_};
  }

 private:
  static constexpr size_t kRoom = kMaxVarintBytes;

  std::vector<char> bytes_ = std::vector<char>(kRoom);
  size_t size_ = 0;
};

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_RECORD_BUFFER_H_
