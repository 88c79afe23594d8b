// A test picture with a label, as PNG.
//
//   picture = signature IHDR tEXt IDAT(label) IDAT(bars) IDAT(checksum) tail
//   tail    = [paDd] IEND
//
// The pixels lie uncompressed in the zlib stream that the three IDAT chunks carry, so that the size
// is known beforehand and a new label costs the checksums of its own rows only.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_SOURCES_TEST_PICTURE_H_
#define DATAMANAGER_EXAMPLES_ROBOT_SOURCES_TEST_PICTURE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace robot {

// Not thread-safe.
class TestPicture {
 public:
  // Room for the label "SIMULATED 00000000".
  static constexpr int kMinWidth = 116;
  static constexpr int kMinHeight = 16;

  TestPicture(int width, int height);

  // Appends the picture to `out` with `label` on it; a label that is too long is cut off.
  void Append(std::string_view label, std::string_view tail, std::string& out);

  // How many bytes Append adds before the tail.
  size_t size() const;

  // The end of a picture, `size` bytes long: from kMinTail up, a chunk that viewers skip fills it.
  // Anything less is the plain end, of 12 bytes.
  static std::string Tail(size_t size);
  static constexpr size_t kMinTail = 24;

 private:
  void EncodeLabel(std::string_view label);
  void FillDot(int column, int row);

  const int width_;
  const int scale_;           // Pixels that make a dot of the font, each way.
  std::string label_rows_;    // Scan lines, RGB.
  std::string label_stream_;  // The first part of the zlib stream.
  std::string head_;          // Up to the first IDAT.
  std::string bars_;          // The second IDAT.
  size_t bars_rows_size_;
  uint32_t bars_checksum_;
};

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_SOURCES_TEST_PICTURE_H_
