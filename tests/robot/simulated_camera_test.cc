#include <zlib.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/robot/robot_fixture.h"

namespace robot {
namespace {

using datamanager::Image;
using datamanager::Images;
using datamanager::ValueList;
using datamanager::ValueMap;

uint32_t Number(std::string_view bytes) {
  uint32_t number = 0;
  for (const char c : bytes.substr(0, 4)) number = number << 8 | static_cast<uint8_t>(c);
  return number;
}

struct DecodedPng {
  std::string chunks;  // The types, each followed by a blank.
  uint32_t width = 0;
  uint32_t height = 0;
  std::string comment;
  std::string rows;
};

// Checks what a decoder checks: the signature, every CRC, and the zlib stream with its checksum.
void Decode(std::string_view png, DecodedPng& out) {
  ASSERT_EQ(png.substr(0, 8), "\x89PNG\r\n\x1a\n");
  png.remove_prefix(8);
  std::string stream;
  while (!png.empty()) {
    ASSERT_GE(png.size(), 12);
    const uint32_t size = Number(png);
    ASSERT_LE(size, png.size() - 12);
    const std::string_view type = png.substr(4, 4);
    const std::string_view data = png.substr(8, size);
    ASSERT_EQ(Number(png.substr(8 + size)),
              ::crc32(0, reinterpret_cast<const Bytef*>(type.data()), size + 4))
        << type;
    out.chunks += std::string(type) + " ";
    if (type == "IHDR") {
      ASSERT_EQ(data.substr(8), std::string_view("\x08\x02\0\0\0", 5));
      out.width = Number(data);
      out.height = Number(data.substr(4));
    }
    if (type == "tEXt") out.comment = data;
    if (type == "IDAT") stream += data;
    png.remove_prefix(12 + size);
  }
  out.rows.resize(size_t{out.height} * (1 + 3 * out.width));
  uLongf rows_size = out.rows.size();
  ASSERT_EQ(::uncompress(reinterpret_cast<Bytef*>(out.rows.data()), &rows_size,
                         reinterpret_cast<const Bytef*>(stream.data()), stream.size()),
            Z_OK);
  ASSERT_EQ(rows_size, out.rows.size());
}

class SimulatedCameraTest : public RobotTest {
 protected:
  void Start(ValueMap attributes) {
    const absl::Status status =
        sources_.Update({Component("cam", "simulated-camera", std::move(attributes))});
    ASSERT_TRUE(status.ok()) << status;
  }
  const Image& Shoot() {
    EXPECT_TRUE(Capture(sources_, "cam", images_).ok());
    EXPECT_EQ(images_.size(), 1);
    return *images_.begin();
  }

  RobotSources sources_;
  Images images_;
};

TEST_F(SimulatedCameraTest, MakesValidPicturesOfEverySize) {
  // From the smallest on; the last needs several deflate blocks for its label alone.
  const std::vector<std::pair<int, int>> sizes = {{116, 16}, {117, 17}, {320, 240}, {4096, 40}};
  for (const auto& [width, height] : sizes) {
    ValueMap attributes = Attribute("width", width);
    attributes.Set("height", height);
    Start(attributes);
    DecodedPng png;
    Decode(Shoot().data, png);
    EXPECT_EQ(png.width, width);
    EXPECT_EQ(png.height, height);
    EXPECT_EQ(png.chunks, "IHDR tEXt IDAT IDAT IDAT IEND ");
  }
}

TEST_F(SimulatedCameraTest, LabelsEachPictureAsSimulatedAndNumbersIt) {
  Start({});
  const Image& image = Shoot();
  EXPECT_EQ(image.source_name, "simulated");
  EXPECT_EQ(image.mime_type, "image/png");
  DecodedPng first;
  Decode(image.data, first);
  EXPECT_EQ(first.comment, std::string("Comment\0simulated", 17));
  EXPECT_NE(first.rows.find('\xff'), std::string::npos);

  DecodedPng second;
  Decode(Shoot().data, second);
  EXPECT_NE(second.rows, first.rows);
  // Below the label nothing changes.
  const size_t label_size = size_t{24} * (1 + 3 * 320);
  EXPECT_EQ(second.rows.substr(label_size), first.rows.substr(label_size));
}

TEST_F(SimulatedCameraTest, MakesPicturesOfExactSizesInTurn) {
  const std::vector<size_t> sizes = {300'000, 1'500'000, 999'999, 1'000'001};
  ValueList list;
  for (const size_t size : sizes) list.Append(size);
  Start(Attribute("frame_bytes", list));
  for (int round = 0; round < 2; ++round) {
    for (const size_t size : sizes) {
      const Image& image = Shoot();
      EXPECT_EQ(image.data.size(), size);
      DecodedPng png;
      Decode(image.data, png);
      EXPECT_EQ(png.chunks, "IHDR tEXt IDAT IDAT IDAT paDd IEND ");
    }
  }
}

TEST_F(SimulatedCameraTest, TakesOneSizeAsANumber) {
  Start(Attribute("frame_bytes", 1'000'000));
  EXPECT_EQ(Shoot().data.size(), 1'000'000);
}

TEST_F(SimulatedCameraTest, RefusesFramesSmallerThanTheirPixels) {
  ValueList list;
  list.Append(1'000'000);
  list.Append(1000);
  const absl::Status status =
      sources_.Update({Component("cam", "simulated-camera", Attribute("frame_bytes", list))});
  EXPECT_EQ(std::string(status.message()),
            "component \"cam\": attribute \"frame_bytes\" = [1000000,1000] must be a whole number "
            "from 230793 to 268435456, or a list of such");
}

TEST_F(SimulatedCameraTest, ServesBothMethodsFromOneCamera) {
  Start({});
  DecodedPng first;
  Decode(Shoot().data, first);
  const auto read_image = sources_.sources().Find(kCamera, "cam", "ReadImage");
  ASSERT_NE(read_image, nullptr);
  const ValueMap extra;
  Images images;
  ASSERT_TRUE(std::get<datamanager::ImagesSource>(*read_image)(
                  {.method = "ReadImage", .extra = extra, .params = extra}, images)
                  .ok());
  DecodedPng second;
  Decode(images.begin()->data, second);
  EXPECT_NE(second.rows, first.rows);
}

}  // namespace
}  // namespace robot
