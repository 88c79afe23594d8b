// The capture file format.
//
//   file     = metadata record*
//   metadata = length DataCaptureMetadata
//   record   = length SensorData
//   length   = the message's size in bytes as a base-128 varint, least significant group first
//
// Both messages are those of proto/viam/app/datasync/v1/data_sync.proto. A tabular file holds any
// number of records with a `struct`, a binary file one record with a `binary` payload. There is no
// footer, checksum or index: a file is whole when its last record is. A length of 0 is no record
// but the mark of a zero-filled tail. Within a SensorData, fields ascend: `metadata` before the
// payload.
//
// Example: a Readings collector of sensor "s", one record {"readings": {"a": 1}}, times 0:
//
//   2b                                            metadata, 43 bytes
//   0a 14 "rdk:component:sensor"                    component_type
//   12 01 "s"                                       component_name
//   22 08 "Readings"                                method_name
//   28 02                                           type: DATA_TYPE_TABULAR_SENSOR
//   3a 04 ".dat"                                    file_extension
//   28                                            record, 40 bytes
//   0a 04                                           metadata
//   0a 00 12 00                                       time_requested, time_received
//   12 20                                           struct
//   0a 1e 0a 08 "readings" 12 12                      fields["readings"]
//   2a 10 0a 0e 0a 01 "a" 12 09                         struct_value.fields["a"]
//   11 00 00 00 00 00 00 f0 3f                            number_value: 1
//
// Limits, which readers enforce before they allocate anything: metadata at most 1 MiB, a tabular
// record at most 32 MiB (what a server accepts in one message, 2^25), a binary record at most 2 GiB
// less one byte, beyond which Protobuf parses no message. Writers stay below both.
#ifndef DATAMANAGER_SRC_CAPTURE_FILE_FORMAT_H_
#define DATAMANAGER_SRC_CAPTURE_FILE_FORMAT_H_

#include <bit>
#include <cstddef>
#include <cstdint>

namespace datamanager::capture_file {

inline constexpr uint64_t kMaxMetadataBytes = 1 << 20;
inline constexpr uint64_t kMaxTabularRecordBytes = 32 << 20;
inline constexpr uint64_t kMaxBinaryRecordBytes = INT32_MAX;
// The part of that limit which writers use: one write(2) takes at most 2 GiB less a page, with the
// largest metadata in front of the record.
inline constexpr uint64_t kMaxWrittenBinaryBytes = 0x7ffff000 - kMaxMetadataBytes - 4096;
inline constexpr size_t kMaxVarintBytes = 10;
// The largest tag (field number and wire type) that Protobuf accepts.
inline constexpr uint64_t kMaxTag = UINT32_MAX;

// Seven bits a byte, and a byte for 0.
inline constexpr size_t VarintSize(uint64_t value) {
  return (static_cast<size_t>(std::bit_width(value | 1)) + 6) / 7;
}

// Writes VarintSize(value) bytes and returns the end.
inline char* WriteVarint(uint64_t value, char* out) {
  while (value >= 0x80) {
    *out++ = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *out++ = static_cast<char>(value);
  return out;
}

// Reads a varint of [begin, end). Null if it is longer than that, or than 64 bits; else its end.
inline const char* ReadVarint(const char* begin, const char* end, uint64_t* value) {
  uint64_t result = 0;
  for (int shift = 0; begin < end && shift < 64; shift += 7) {
    const auto byte = static_cast<unsigned char>(*begin++);
    if (shift == 63 && byte > 1) return nullptr;
    result |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      *value = result;
      return begin;
    }
  }
  return nullptr;
}

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_FORMAT_H_
