#include "capture_file/reader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture_file/format.h"

namespace datamanager::capture_file {
namespace {

// Protobuf's wire types.
constexpr uint64_t kWireVarint = 0;
constexpr uint64_t kWireFixed64 = 1;
constexpr uint64_t kWireLength = 2;
constexpr uint64_t kWireFixed32 = 5;

// Fields of SensorData.
constexpr uint64_t kMetadataField = 1;
constexpr uint64_t kStructField = 2;
constexpr uint64_t kBinaryField = 3;

// Whether `bytes` are fields one after another, as every message is.
bool IsMessage(std::string_view bytes) {
  const char* p = bytes.data();
  const char* const end = p + bytes.size();
  while (p < end) {
    uint64_t tag = 0;
    p = ReadVarint(p, end, &tag);
    if (p == nullptr || tag > kMaxTag || tag >> 3 == 0) return false;
    uint64_t size = 0;
    switch (tag & 7) {
      case kWireVarint:
        p = ReadVarint(p, end, &size);
        size = 0;
        break;
      case kWireFixed64:
        size = 8;
        break;
      case kWireFixed32:
        size = 4;
        break;
      case kWireLength:
        p = ReadVarint(p, end, &size);
        break;
      default:
        return false;
    }
    if (p == nullptr || size > static_cast<uint64_t>(end - p)) return false;
    p += size;
  }
  return true;
}

}  // namespace

absl::StatusOr<Reader> Reader::Open(FileOps& ops, int fd, uint64_t size, uint64_t window_bytes) {
  Reader reader(ops, fd, size, window_bytes);
  uint64_t position = 0;
  uint64_t length = 0;
  const Found found = reader.Varint(position, size, length);
  if (found == Found::kUnreadable) return reader.read_error_;
  if (found != Found::kIt) {
    return absl::DataLossError("the file ends inside its metadata's length");
  }
  if (length > kMaxMetadataBytes) {
    return absl::DataLossError(absl::StrCat("not a capture file: metadata of ", length, " bytes"));
  }
  if (length > size - position) {
    return absl::DataLossError(absl::StrCat("the file ends inside its metadata: ", length,
                                            " bytes announced, ", size - position, " there"));
  }
  reader.metadata_.resize(length);
  absl::Status status = reader.Read({position, length}, reader.metadata_.data());
  if (!status.ok()) return status;
  if (!IsMessage(reader.metadata_)) {
    return absl::DataLossError("not a capture file: its metadata is no message");
  }
  reader.position_ = position + length;
  reader.metadata_frame_ = {0, reader.position_};
  return reader;
}

Reader::Found Reader::Varint(uint64_t& position, uint64_t limit, uint64_t& value) {
  const uint64_t available = std::min<uint64_t>(limit - position, kMaxVarintBytes);
  const char* begin = View({position, available});
  if (begin == nullptr) {
    if (!MoveWindow(position, available)) return Found::kUnreadable;
    begin = window_.get();
  }
  const char* end = ReadVarint(begin, begin + available, &value);
  if (end == nullptr) return Found::kSomethingElse;
  position += static_cast<uint64_t>(end - begin);
  return Found::kIt;
}

bool Reader::MoveWindow(uint64_t position, uint64_t size) {
  if (window_ == nullptr) window_ = std::make_unique_for_overwrite<char[]>(window_bytes_);
  const ssize_t count =
      ops_->Pread(fd_, window_.get(), window_bytes_, static_cast<off_t>(position));
  window_extent_ = {position, count < 0 ? 0 : static_cast<uint64_t>(count)};
  if (count < 0) {
    read_error_ = absl::ErrnoToStatus(errno, "read");
    return false;
  }
  if (window_extent_.size >= size) return true;
  // Somebody cut the file after its size was taken.
  read_error_ = absl::DataLossError("read: the file has become shorter");
  return false;
}

absl::Status Reader::Read(Extent extent, char* out) const {
  const char* const bytes = View(extent);
  if (bytes == nullptr) {
    return ReadExactly(*ops_, fd_, static_cast<off_t>(extent.offset), extent.size, out);
  }
  std::memcpy(out, bytes, extent.size);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Record>> Reader::Next() {
  if (position_ >= size_) return std::nullopt;
  Record record;
  uint64_t position = position_;
  uint64_t length = 0;
  Found found = Varint(position, size_, length);
  if (found == Found::kUnreadable) return read_error_;
  if (found != Found::kIt) return Tear("the length of a record is cut or no number");
  if (length == 0) return Tear("zeros where a record should begin");
  if (length > size_ - position) {
    return Tear(absl::StrCat("a record of ", length, " bytes has only ", size_ - position));
  }
  record.frame = {position_, position - position_ + length};
  record.message = {position, length};
  found = Dissect(record);
  if (found == Found::kUnreadable) return read_error_;
  if (found != Found::kIt) return Tear("a record is no SensorData");
  if (record.payload_kind == Record::Payload::kStruct &&
      record.message.size > kMaxTabularRecordBytes) {
    return Tear("a tabular record is larger than any server accepts");
  }
  if (record.message.size > kMaxBinaryRecordBytes) {
    return Tear("a record of 2 GiB or more is larger than any message can be");
  }
  position_ = record.frame.end();
  return record;
}

std::optional<Record> Reader::Tear(std::string_view why) {
  torn_ =
      absl::DataLossError(absl::StrCat("at byte ", position_, " of ", size_, ": ", ToAbsl(why)));
  return std::nullopt;
}

Reader::Found Reader::Dissect(Record& record) {
  const uint64_t end = record.message.end();
  uint64_t position = record.message.offset;
  bool has_payload = false;
  while (position < end) {
    uint64_t tag = 0;
    Found found = Varint(position, end, tag);
    if (found != Found::kIt) return found;
    if (tag > kMaxTag || tag >> 3 == 0) return Found::kSomethingElse;
    uint64_t size = 0;
    uint64_t skipped = 0;
    switch (tag & 7) {
      case kWireVarint:
        found = Varint(position, end, skipped);
        break;
      case kWireFixed64:
        size = 8;
        break;
      case kWireFixed32:
        size = 4;
        break;
      case kWireLength:
        found = Varint(position, end, size);
        break;
      default:
        return Found::kSomethingElse;
    }
    if (found != Found::kIt) return found;
    if (size > end - position) return Found::kSomethingElse;
    if ((tag & 7) == kWireLength) {
      const Extent extent{position, size};
      switch (tag >> 3) {
        case kMetadataField:
          // A streamed upload sends the metadata first.
          if (has_payload) return Found::kSomethingElse;
          record.metadata = extent;
          break;
        case kStructField:
          record.payload_kind = Record::Payload::kStruct;
          record.payload = extent;
          has_payload = true;
          break;
        case kBinaryField:
          record.payload_kind = Record::Payload::kBinary;
          record.payload = extent;
          has_payload = true;
          break;
        default:
          break;
      }
    }
    position += size;
  }
  return has_payload ? Found::kIt : Found::kSomethingElse;
}

}  // namespace datamanager::capture_file
