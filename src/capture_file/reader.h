// Reads a capture file, trusting none of its bytes.
#ifndef DATAMANAGER_SRC_CAPTURE_FILE_READER_H_
#define DATAMANAGER_SRC_CAPTURE_FILE_READER_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"

namespace datamanager::capture_file {

// A stretch of a file, in bytes.
struct Extent {
  uint64_t offset = 0;
  uint64_t size = 0;

  uint64_t end() const { return offset + size; }
  bool Contains(const Extent& other) const {
    return other.offset >= offset && other.end() <= end();
  }
};

// Where the parts of one record lie.
struct Record {
  enum class Payload : uint8_t { kStruct, kBinary };

  Extent frame;     // Length prefix and message.
  Extent message;   // The SensorData.
  Extent metadata;  // Its SensorMetadata; empty if there is none.
  Payload payload_kind = Payload::kStruct;
  Extent payload;  // The serialized Struct, or the bytes.
};

// Finds the records of a file one after another, without reading large payloads. Memory does not
// grow with the file. One thread at a time.
class Reader {
 public:
  // Small records come many to a read; large payloads are skipped.
  static constexpr uint64_t kWindowBytes = 64 << 10;

  // Reads the metadata of the first `size` bytes of `fd`, which must stay open. DATA_LOSS if the
  // file does not begin with a message; whether that is metadata is the caller's to see. At most
  // `window_bytes` are read, and kept, at a time.
  static absl::StatusOr<Reader> Open(FileOps& ops, int fd, uint64_t size,
                                     uint64_t window_bytes = kWindowBytes);

  // The serialized DataCaptureMetadata, and where it lies with its length prefix.
  const std::string& metadata() const { return metadata_; }
  Extent metadata_frame() const { return metadata_frame_; }

  // The next record; nullopt after the last whole one. An error is the disk's.
  absl::StatusOr<std::optional<Record>> Next();
  // Where the next record begins; after Next returned nullopt, where the last whole record ends.
  uint64_t position() const { return position_; }
  // DATA_LOSS if Next ended before the end of the file, and why.
  const absl::Status& torn() const { return torn_; }
  // Goes on from `position`, where a record's frame must begin.
  void Seek(uint64_t position) { position_ = position; }
  // Reads the bytes of `extent`, which lies within the file; what was just read is not read again.
  // DATA_LOSS if the file has become shorter.
  absl::Status Read(Extent extent, char* out) const;
  // Those bytes, where they were just read, until more is read; else null.
  const char* View(Extent extent) const {
    if (!window_extent_.Contains(extent)) return nullptr;
    return window_.get() + (extent.offset - window_extent_.offset);
  }

 private:
  Reader(FileOps& ops, int fd, uint64_t size, uint64_t window_bytes)
      : ops_(&ops), fd_(fd), size_(size), window_bytes_(std::min(window_bytes, size)) {}

  // What looking at bytes comes to. kUnreadable: read_error_ is set.
  enum class Found : uint8_t { kIt, kSomethingElse, kUnreadable };
  // Reads the varint at `position`, which ends before `limit`, and moves past it.
  Found Varint(uint64_t& position, uint64_t limit, uint64_t& value);
  // Finds the parts of `record.message`, if it is a SensorData with a payload.
  Found Dissect(Record& record);
  // Has the window begin at `position` and hold `size` bytes. False: it cannot.
  bool MoveWindow(uint64_t position, uint64_t size);
  std::optional<Record> Tear(std::string_view why);

  FileOps* ops_;
  int fd_;
  uint64_t size_;
  uint64_t window_bytes_;
  uint64_t position_ = 0;
  std::string metadata_;
  Extent metadata_frame_;
  absl::Status torn_;
  absl::Status read_error_;
  // What was last read of the file.
  std::unique_ptr<char[]> window_;
  Extent window_extent_;
};

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_READER_H_
