// Audio chunks as files.
#ifndef DATAMANAGER_SRC_CAPTURE_AUDIO_H_
#define DATAMANAGER_SRC_CAPTURE_AUDIO_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace datamanager::capture {

struct AudioFormat {
  std::string codec;
  int32_t sample_rate_hz = 0;
  int32_t channels = 0;

  friend bool operator==(const AudioFormat&, const AudioFormat&) = default;
};

// The MIME type of what is stored.
std::string_view AudioMimeType(const AudioFormat& format);

// Bytes to leave before the samples for FinishAudio.
size_t AudioHeadBytes(const AudioFormat& format);
// Makes a file of them: PCM gets the header of a WAV file, the rest stays as it is.
// INVALID_ARGUMENT if the format cannot be told in one.
absl::Status FinishAudio(const AudioFormat& format, std::string& audio);

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_AUDIO_H_
