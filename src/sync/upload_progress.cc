#include "sync/upload_progress.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace datamanager::sync {
namespace {

double Seconds(MonotonicTime::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

std::string BytesText(uint64_t bytes) {
  if (bytes < 1000) return absl::StrCat(bytes, " Bytes");
  constexpr const char* kUnits[] = {"KB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes) / 1000;
  const char* const* unit = kUnits;
  while (value >= 1000 && unit + 1 != std::end(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return absl::StrFormat("%.2f %s", value, *unit);
}

UploadProgress::UploadProgress(std::string path, uint64_t total, const Clock& clock, Logger& logger)
    : path_(std::move(path)),
      total_(total),
      clock_(clock),
      logger_(logger),
      begin_(clock.MonotonicNow()),
      last_told_(begin_) {}

void UploadProgress::Add(uint64_t bytes) {
  sent_ += bytes;
  const MonotonicTime now = clock_.MonotonicNow();
  if (now - last_told_ < kInterval) return;
  last_told_ = now;
  told_ = true;
  const double percent =
      total_ == 0 ? 100 : static_cast<double>(sent_) / static_cast<double>(total_) * 100;
  logger_.Info(absl::StrFormat("uploading %s: %s / %s (%.0f%%), rate: %s", path_, BytesText(sent_),
                               BytesText(total_), percent, RateText(now)));
}

std::string UploadProgress::Summary() const {
  const MonotonicTime now = clock_.MonotonicNow();
  return absl::StrFormat("%s in %.1fs (avg rate: %s)", BytesText(sent_), Seconds(now - begin_),
                         RateText(now));
}

std::string UploadProgress::RateText(MonotonicTime now) const {
  const double seconds = Seconds(now - begin_);
  const double rate = seconds <= 0 ? 0 : static_cast<double>(sent_) / seconds;
  return absl::StrCat(BytesText(static_cast<uint64_t>(rate)), "/s");
}

}  // namespace datamanager::sync
