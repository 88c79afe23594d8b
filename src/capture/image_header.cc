#include "capture/image_header.h"

#include <cstddef>

namespace datamanager::capture {
namespace {

uint64_t BigEndian(std::string_view image, size_t offset, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) {
    value = value << 8 | static_cast<unsigned char>(image[offset + i]);
  }
  return value;
}

uint64_t LittleEndian(std::string_view image, size_t offset, size_t size) {
  uint64_t value = 0;
  for (size_t i = size; i > 0; --i) {
    value = value << 8 | static_cast<unsigned char>(image[offset + i - 1]);
  }
  return value;
}

// A JPEG is a row of segments; the size stands in the one that begins the frame.
ImageHeader ReadJpeg(std::string_view image) {
  ImageHeader header{.mime_type = "image/jpeg"};
  size_t at = 2;
  while (at + 4 <= image.size() && static_cast<unsigned char>(image[at]) == 0xFF) {
    const uint64_t marker = BigEndian(image, at + 1, 1);
    if (marker == 0xFF) {  // Padding.
      ++at;
      continue;
    }
    if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD7)) {  // No length follows.
      at += 2;
      continue;
    }
    if (marker == 0xD9 || marker == 0xDA) break;  // The end, or the picture itself.
    // SOF0 to SOF15, but for the three that share the numbers.
    if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC) {
      if (at + 9 > image.size()) break;
      header.height = BigEndian(image, at + 5, 2);
      header.width = BigEndian(image, at + 7, 2);
      break;
    }
    at += 2 + BigEndian(image, at + 2, 2);
  }
  return header;
}

}  // namespace

std::optional<ImageHeader> ReadImageHeader(std::string_view image) {
  const auto begins = [image](std::string_view magic, size_t header_size) {
    return image.size() >= header_size && image.substr(0, magic.size()) == magic;
  };
  if (begins("\xFF\xD8\xFF", 3)) return ReadJpeg(image);
  if (begins("\x89PNG\r\n\x1a\n", 24)) {
    return ImageHeader{"image/png", BigEndian(image, 16, 4), BigEndian(image, 20, 4)};
  }
  if (begins("GIF87a", 10) || begins("GIF89a", 10)) {
    return ImageHeader{"image/gif", LittleEndian(image, 6, 2), LittleEndian(image, 8, 2)};
  }
  if (begins("BM", 26)) {
    // A negative height means rows from the top.
    const auto height = static_cast<int32_t>(LittleEndian(image, 22, 4));
    return ImageHeader{"image/bmp", LittleEndian(image, 18, 4),
                       static_cast<uint64_t>(height < 0 ? -int64_t{height} : height)};
  }
  if (begins("qoif", 14)) {
    return ImageHeader{"image/qoi", BigEndian(image, 4, 4), BigEndian(image, 8, 4)};
  }
  if (begins("RGBA", 12)) {
    return ImageHeader{"image/vnd.viam.rgba", BigEndian(image, 4, 4), BigEndian(image, 8, 4)};
  }
  if (begins("DEPTHMAP", 24)) {
    return ImageHeader{"image/vnd.viam.dep", BigEndian(image, 8, 8), BigEndian(image, 16, 8)};
  }
  return std::nullopt;
}

}  // namespace datamanager::capture
