// What the first bytes of a picture say about it.
#ifndef DATAMANAGER_SRC_CAPTURE_IMAGE_HEADER_H_
#define DATAMANAGER_SRC_CAPTURE_IMAGE_HEADER_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace datamanager::capture {

struct ImageHeader {
  std::string_view mime_type;
  uint64_t width = 0;  // Pixels. 0: it does not say.
  uint64_t height = 0;
};

// Of JPEG, PNG, GIF, BMP and QOI pictures, and of Viam's raw colours and depths; nullopt for
// others.
std::optional<ImageHeader> ReadImageHeader(std::string_view image);

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_IMAGE_HEADER_H_
