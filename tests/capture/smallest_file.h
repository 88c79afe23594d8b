// The smallest capture file that is whole.
#ifndef DATAMANAGER_TESTS_CAPTURE_SMALLEST_FILE_H_
#define DATAMANAGER_TESTS_CAPTURE_SMALLEST_FILE_H_

#include <string>
#include <string_view>

namespace datamanager::capture {

// A SensorData with one byte of payload, behind its length.
inline constexpr std::string_view kRecord = "\x03\x1a\x01x";
// A file with that record, after empty metadata.
inline const std::string kFile = std::string(1, '\0') + std::string(kRecord);

}  // namespace datamanager::capture

#endif  // DATAMANAGER_TESTS_CAPTURE_SMALLEST_FILE_H_
