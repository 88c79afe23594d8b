// Hand-made pieces of requests: length-delimited fields around bytes that come from a file.
#ifndef DATAMANAGER_SRC_SYNC_WIRE_FIELD_H_
#define DATAMANAGER_SRC_SYNC_WIRE_FIELD_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "capture_file/format.h"

namespace datamanager::sync {

// The tag of a length-delimited field with a number below 16.
constexpr char LengthTag(int field) { return static_cast<char>(field << 3 | 2); }

// Appends the tag and length of a field whose `size` bytes the caller appends.
inline void AppendFieldHead(int field, uint64_t size, std::string& out) {
  char head[1 + capture_file::kMaxVarintBytes];
  head[0] = LengthTag(field);
  const char* end = capture_file::WriteVarint(size, head + 1);
  out.append(head, static_cast<size_t>(end - head));
}

inline void AppendField(int field, std::string_view bytes, std::string& out) {
  AppendFieldHead(field, bytes.size(), out);
  out.append(bytes);
}

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_WIRE_FIELD_H_
