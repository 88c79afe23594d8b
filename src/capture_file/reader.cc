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

// The largest tag that Protobuf knows.
constexpr uint64_t kMaxTag = UINT32_MAX;

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
  auto length = reader.VarintAt(position, size);
  if (!length.ok()) return length.status();
  if (!length->has_value())
    return absl::DataLossError("the file ends inside its metadata's length");
  if (**length > kMaxMetadataBytes) {
    return absl::DataLossError(
        absl::StrCat("not a capture file: metadata of ", **length, " bytes"));
  }
  if (**length > size - position) {
    return absl::DataLossError(absl::StrCat("the file ends inside its metadata: ", **length,
                                            " bytes announced, ", size - position, " there"));
  }
  reader.metadata_.resize(**length);
  absl::Status status = reader.Read({position, **length}, reader.metadata_.data());
  if (!status.ok()) return status;
  if (!IsMessage(reader.metadata_)) {
    return absl::DataLossError("not a capture file: its metadata is no message");
  }
  reader.position_ = position + **length;
  reader.metadata_frame_ = {0, reader.position_};
  return reader;
}

absl::StatusOr<std::optional<uint64_t>> Reader::VarintAt(uint64_t& position, uint64_t limit) {
  const uint64_t available = std::min<uint64_t>(limit - position, kMaxVarintBytes);
  if (!window_extent_.Contains({position, available})) {
    if (window_ == nullptr) window_ = std::make_unique_for_overwrite<char[]>(window_bytes_);
    const ssize_t count =
        ops_->Pread(fd_, window_.get(), window_bytes_, static_cast<off_t>(position));
    window_extent_ = {position, count < 0 ? 0 : static_cast<uint64_t>(count)};
    if (count < 0) return absl::ErrnoToStatus(errno, "read");
    // Somebody cut the file after its size was taken.
    if (window_extent_.size < available) {
      return absl::DataLossError("read: the file has become shorter");
    }
  }
  const char* begin = window_.get() + (position - window_extent_.offset);
  uint64_t value = 0;
  const char* end = ReadVarint(begin, begin + available, &value);
  if (end == nullptr) return std::nullopt;
  position += static_cast<uint64_t>(end - begin);
  return value;
}

absl::Status Reader::Read(Extent extent, char* out) const {
  if (!window_extent_.Contains(extent)) {
    return ReadExactly(*ops_, fd_, static_cast<off_t>(extent.offset), extent.size, out);
  }
  std::memcpy(out, window_.get() + (extent.offset - window_extent_.offset), extent.size);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Record>> Reader::Next() {
  if (position_ >= size_) return std::nullopt;
  Record record;
  uint64_t position = position_;
  auto length = VarintAt(position, size_);
  if (!length.ok()) return length.status();
  if (!length->has_value()) return Tear("the length of a record is cut or no number");
  if (**length == 0) return Tear("zeros where a record should begin");
  if (**length > size_ - position) {
    return Tear(absl::StrCat("a record of ", **length, " bytes has only ", size_ - position));
  }
  record.frame = {position_, position - position_ + **length};
  record.message = {position, **length};
  auto whole = Dissect(record);
  if (!whole.ok()) return whole.status();
  if (!*whole) return Tear("a record is no SensorData");
  if (record.payload_kind == Record::Payload::kStruct &&
      record.message.size > kMaxTabularRecordBytes) {
    return Tear("a tabular record is larger than any server accepts");
  }
  position_ = record.frame.end();
  return record;
}

std::optional<Record> Reader::Tear(std::string_view why) {
  torn_ =
      absl::DataLossError(absl::StrCat("at byte ", position_, " of ", size_, ": ", ToAbsl(why)));
  return std::nullopt;
}

absl::StatusOr<bool> Reader::Dissect(Record& record) {
  const uint64_t end = record.message.end();
  uint64_t position = record.message.offset;
  bool has_payload = false;
  while (position < end) {
    auto tag = VarintAt(position, end);
    if (!tag.ok()) return tag.status();
    if (!tag->has_value() || **tag > kMaxTag || **tag >> 3 == 0) return false;
    uint64_t size = 0;
    switch (**tag & 7) {
      case kWireVarint: {
        auto skipped = VarintAt(position, end);
        if (!skipped.ok()) return skipped.status();
        if (!skipped->has_value()) return false;
        break;
      }
      case kWireFixed64:
        size = 8;
        break;
      case kWireFixed32:
        size = 4;
        break;
      case kWireLength: {
        auto length = VarintAt(position, end);
        if (!length.ok()) return length.status();
        if (!length->has_value()) return false;
        size = **length;
        break;
      }
      default:
        return false;
    }
    if (size > end - position) return false;
    if ((**tag & 7) == kWireLength) {
      const Extent extent{position, size};
      switch (**tag >> 3) {
        case kMetadataField:
          // A streamed upload sends the metadata first.
          if (has_payload) return false;
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
  return has_payload;
}

}  // namespace datamanager::capture_file
