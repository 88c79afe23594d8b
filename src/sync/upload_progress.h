// Tells of the progress of a long upload.
#ifndef DATAMANAGER_SRC_SYNC_UPLOAD_PROGRESS_H_
#define DATAMANAGER_SRC_SYNC_UPLOAD_PROGRESS_H_

#include <chrono>
#include <cstdint>
#include <string>

#include "base/logger.h"
#include "datamanager/clock.h"

namespace datamanager::sync {

// "512 Bytes", "1.50 MB": decimal units, as in the reference. Pure.
std::string BytesText(uint64_t bytes);

// One file's. Logs a line when bytes move and none was logged for 30 s, the reference's figure. One
// thread.
class UploadProgress {
 public:
  static constexpr std::chrono::seconds kInterval{30};

  // Begins to count. Both must outlive it.
  UploadProgress(std::string path, uint64_t total, const Clock& clock, Logger& logger);

  // So many more have been taken by the transport.
  void Add(uint64_t bytes);
  // The upload is repeated from its start.
  void Restart() { sent_ = 0; }
  // Whether a line was logged.
  bool told() const { return told_; }
  // "a in d (avg rate: r/s)", for the end.
  std::string Summary() const;

 private:
  std::string RateText(MonotonicTime now) const;

  const std::string path_;
  const uint64_t total_;
  const Clock& clock_;
  Logger& logger_;
  const MonotonicTime begin_;
  uint64_t sent_ = 0;
  MonotonicTime last_told_;
  bool told_ = false;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_UPLOAD_PROGRESS_H_
