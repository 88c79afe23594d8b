// The worked example of capture_file/format.h, byte by byte.
#ifndef DATAMANAGER_TESTS_SUPPORT_WORKED_EXAMPLE_H_
#define DATAMANAGER_TESTS_SUPPORT_WORKED_EXAMPLE_H_

#include <string>

namespace datamanager::testing {

// The DataCaptureMetadata of a Readings collector of sensor "s", without its length.
inline const std::string kExampleMetadata =
    "\x0a\x14"
    "rdk:component:sensor"
    "\x12\x01s"
    "\x22\x08Readings"
    "\x28\x02"
    "\x3a\x04.dat";

// Its record {"readings": {"a": 1}} with times 0, without its length.
inline const std::string kExampleRecord = std::string("\x0a\x04\x0a\x00\x12\x00", 6) +
                                          "\x12\x20"
                                          "\x0a\x1e\x0a\x08readings\x12\x12"
                                          "\x2a\x10\x0a\x0e\x0a\x01"
                                          "a"
                                          "\x12\x09" +
                                          std::string("\x11\x00\x00\x00\x00\x00\x00\xf0\x3f", 9);

inline const std::string kExampleFile = "\x2b" + kExampleMetadata + "\x28" + kExampleRecord;

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_WORKED_EXAMPLE_H_
