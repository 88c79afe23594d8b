#include "capture/audio.h"

#include <limits>

#include "absl/strings/str_cat.h"

namespace datamanager::capture {
namespace {

constexpr size_t kWavHeadBytes = 44;

// Of a sample; 0 for what is no PCM.
int BytesPerSample(std::string_view codec) {
  if (codec == "pcm16") return 2;
  return codec == "pcm32" || codec == "pcm32_float" ? 4 : 0;
}

void AppendLittleEndian(uint64_t value, int bytes, std::string& out) {
  for (; bytes > 0; --bytes, value >>= 8) out += static_cast<char>(value);
}

}  // namespace

std::string_view AudioMimeType(const AudioFormat& format) {
  if (BytesPerSample(format.codec) > 0) return "audio/wav";
  return format.codec == "mp3" ? "audio/mpeg" : "application/octet-stream";
}

size_t AudioHeadBytes(const AudioFormat& format) {
  return BytesPerSample(format.codec) > 0 ? kWavHeadBytes : 0;
}

absl::Status FinishAudio(const AudioFormat& format, std::string& audio) {
  const int sample = BytesPerSample(format.codec);
  if (sample == 0) return absl::OkStatus();
  const size_t size = audio.size() - kWavHeadBytes;
  // What the fields of the header can hold.
  constexpr int32_t kMaxBlock = std::numeric_limits<uint16_t>::max();
  constexpr int64_t kMaxBytes = std::numeric_limits<uint32_t>::max();
  if (format.sample_rate_hz <= 0 || format.channels <= 0 || format.channels > kMaxBlock / sample ||
      int64_t{format.sample_rate_hz} * format.channels * sample > kMaxBytes ||
      size > static_cast<size_t>(kMaxBytes) - 36) {
    return absl::InvalidArgumentError(absl::StrCat("no WAV file can have ", format.sample_rate_hz,
                                                   " Hz, ", format.channels, " channels and ", size,
                                                   " bytes"));
  }
  const auto block = static_cast<uint64_t>(format.channels) * static_cast<uint64_t>(sample);
  const auto rate = static_cast<uint64_t>(format.sample_rate_hz);
  std::string head = "RIFF";
  AppendLittleEndian(36 + size, 4, head);
  head += "WAVEfmt ";
  AppendLittleEndian(16, 4, head);
  AppendLittleEndian(format.codec == "pcm32_float" ? 3 : 1, 2, head);
  AppendLittleEndian(static_cast<uint64_t>(format.channels), 2, head);
  AppendLittleEndian(rate, 4, head);
  AppendLittleEndian(rate * block, 4, head);
  AppendLittleEndian(block, 2, head);
  AppendLittleEndian(static_cast<uint64_t>(sample) * 8, 2, head);
  head += "data";
  AppendLittleEndian(size, 4, head);
  audio.replace(0, kWavHeadBytes, head);
  return absl::OkStatus();
}

}  // namespace datamanager::capture
