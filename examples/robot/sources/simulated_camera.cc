#include <array>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "robot/sources/models.h"
#include "robot/sources/test_picture.h"

namespace robot {
namespace {

using datamanager::CaptureRequest;
using datamanager::Image;
using datamanager::Images;

constexpr char kPng[] = "image/png";
constexpr int64_t kMaxSide = 4096;
constexpr int64_t kMaxFrameBytes = 256 << 20;

// Thread-safe: a collector of GetImages and one of ReadImage share the camera.
class SimulatedCamera {
 public:
  // `tails` is not empty.
  SimulatedCamera(TestPicture picture, std::vector<std::string> tails)
      : tails_(std::move(tails)), picture_(std::move(picture)) {}

  absl::Status Capture(Images& out) {
    const std::lock_guard lock(mutex_);
    const uint64_t number = count_++;
    const std::string& tail = tails_[number % tails_.size()];
    std::array<char, 32> label;
    std::snprintf(label.data(), label.size(), "SIMULATED %08llu",
                  static_cast<unsigned long long>(number));
    Image& image = out.Add();
    image.source_name = "simulated";
    image.mime_type = kPng;
    image.data.reserve(picture_.size() + tail.size());
    picture_.Append(label.data(), tail, image.data);
    return absl::OkStatus();
  }

 private:
  const std::vector<std::string> tails_;  // Used in turn.
  std::mutex mutex_;                      // Guards what follows.
  TestPicture picture_;
  uint64_t count_ = 0;
};

}  // namespace

datamanager::SourceFunction MakeSimulatedCamera(Attributes& attributes) {
  const std::string mime_type = attributes.Text("mime_type", kPng);
  if (mime_type != kPng) {
    attributes.Fault("mime_type", "is not supported by simulated-camera: it makes image/png only");
  }
  const int64_t width = attributes.Integer("width", 320, TestPicture::kMinWidth, kMaxSide);
  const int64_t height = attributes.Integer("height", 240, TestPicture::kMinHeight, kMaxSide);
  TestPicture picture(static_cast<int>(width), static_cast<int>(height));
  const auto pixels_size = static_cast<int64_t>(picture.size());
  const int64_t min_frame = pixels_size + static_cast<int64_t>(TestPicture::kMinTail);
  std::vector<std::string> tails;
  for (const int64_t size : attributes.Integers("frame_bytes", min_frame, kMaxFrameBytes)) {
    tails.push_back(TestPicture::Tail(static_cast<size_t>(size - pixels_size)));
  }
  if (tails.empty()) tails.push_back(TestPicture::Tail(0));
  auto camera = std::make_shared<SimulatedCamera>(std::move(picture), std::move(tails));
  return datamanager::ImagesSource(
      [camera = std::move(camera)](const CaptureRequest&, Images& out) {
        return camera->Capture(out);
      });
}

}  // namespace robot
