#include "robot/sources/test_picture.h"

#include <zlib.h>

#include <algorithm>

#include "robot/sources/label_font.h"

namespace robot {
namespace {

constexpr size_t kChunkFrame = 12;  // Length, type and CRC.
constexpr size_t kMaxStored = 65535;
constexpr int kMargin = 4;  // Pixels around the label.
constexpr int kPixel = 3;   // Bytes.

// Of a scan line: a byte that says how it is filtered, and the pixels.
size_t LineSize(int pixels) { return 1 + kPixel * static_cast<size_t>(pixels); }

const Bytef* Bytes(std::string_view text) { return reinterpret_cast<const Bytef*>(text.data()); }

uint32_t Adler(std::string_view bytes) {
  return static_cast<uint32_t>(::adler32_z(1, Bytes(bytes), bytes.size()));
}

// Big-endian, as everything in PNG.
void AppendNumber(uint32_t number, std::string& out) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(number >> shift);
}

void AppendChunk(std::string_view type, std::string_view data, std::string& out) {
  AppendNumber(static_cast<uint32_t>(data.size()), out);
  const size_t begin = out.size();
  out.append(type).append(data);
  const std::string_view checked = std::string_view(out).substr(begin);
  AppendNumber(static_cast<uint32_t>(::crc32_z(0, Bytes(checked), checked.size())), out);
}

// Appends `bytes` in blocks that are not compressed; the last one ends the stream if `is_end`.
void AppendStored(std::string_view bytes, bool is_end, std::string& out) {
  while (!bytes.empty()) {
    const size_t size = std::min(bytes.size(), kMaxStored);
    out += static_cast<char>(is_end && size == bytes.size() ? 1 : 0);
    for (const size_t half : {size, ~size}) {  // Little-endian, as everything in deflate.
      out += static_cast<char>(half);
      out += static_cast<char>(half >> 8);
    }
    out.append(bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
}

// A scan line of eight colour bars; they grow darker towards the bottom.
void AppendBars(int width, int y, int height, std::string& out) {
  const int light = 255 - 160 * y / height;
  out += '\0';  // No filter.
  for (int x = 0; x < width; ++x) {
    const int bar = 7 - 8 * x / width;
    for (const int channel : {2, 4, 1}) out += static_cast<char>((bar & channel) != 0 ? light : 16);
  }
}

}  // namespace

TestPicture::TestPicture(int width, int height)
    : width_(width), scale_(width >= 2 * kMinWidth && height >= 2 * kMinHeight ? 2 : 1) {
  const int label_height = scale_ * kGlyphHeight + 2 * kMargin;
  label_rows_.resize(static_cast<size_t>(label_height) * LineSize(width));

  std::string header;
  AppendNumber(static_cast<uint32_t>(width), header);
  AppendNumber(static_cast<uint32_t>(height), header);
  header += '\x08';  // Bits per channel.
  header += '\x02';  // RGB.
  header.append(3, '\0');
  head_ = "\x89PNG\r\n\x1a\n";
  AppendChunk("IHDR", header, head_);
  AppendChunk("tEXt", std::string_view("Comment\0simulated", 17), head_);

  std::string rows;
  for (int y = label_height; y < height; ++y) AppendBars(width, y, height, rows);
  bars_rows_size_ = rows.size();
  bars_checksum_ = Adler(rows);
  std::string stream;
  AppendStored(rows, true, stream);
  AppendChunk("IDAT", stream, bars_);
  EncodeLabel("");
}

void TestPicture::FillDot(int column, int row) {
  const int left = kMargin + column * scale_;
  const int top = kMargin + row * scale_;
  for (int y = top; y < top + scale_; ++y) {
    const size_t begin = static_cast<size_t>(y) * LineSize(width_) + LineSize(left);
    std::fill_n(label_rows_.begin() + static_cast<ptrdiff_t>(begin), kPixel * scale_, '\xff');
  }
}

void TestPicture::EncodeLabel(std::string_view label) {
  std::fill(label_rows_.begin(), label_rows_.end(), '\0');
  constexpr int kAdvance = kGlyphWidth + 1;
  const int room = (width_ - 2 * kMargin) / scale_ / kAdvance;
  for (int i = 0; i < std::min(room, static_cast<int>(label.size())); ++i) {
    const Glyph glyph = GlyphOf(label[static_cast<size_t>(i)]);
    for (int row = 0; row < kGlyphHeight; ++row) {
      for (int x = 0; x < kGlyphWidth; ++x) {
        const int bit = kGlyphWidth - 1 - x;
        if ((glyph[static_cast<size_t>(row)] >> bit & 1) != 0) FillDot(i * kAdvance + x, row);
      }
    }
  }
  label_stream_ = "\x78\x01";  // Deflate, 32 KiB window, no dictionary.
  AppendStored(label_rows_, false, label_stream_);
}

void TestPicture::Append(std::string_view label, std::string_view tail, std::string& out) {
  EncodeLabel(label);
  out += head_;
  AppendChunk("IDAT", label_stream_, out);
  out += bars_;
  std::string checksum;
  AppendNumber(static_cast<uint32_t>(::adler32_combine(Adler(label_rows_), bars_checksum_,
                                                       static_cast<z_off_t>(bars_rows_size_))),
               checksum);
  AppendChunk("IDAT", checksum, out);
  out += tail;
}

size_t TestPicture::size() const {
  return head_.size() + kChunkFrame + label_stream_.size() + bars_.size() + kChunkFrame + 4;
}

std::string TestPicture::Tail(size_t size) {
  std::string tail;
  // The case of its letters says: not needed to show the picture, and not in the standard.
  if (size >= kMinTail) AppendChunk("paDd", std::string(size - kMinTail, '\0'), tail);
  AppendChunk("IEND", "", tail);
  return tail;
}

}  // namespace robot
