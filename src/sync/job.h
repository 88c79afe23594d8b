// A file that is about to be uploaded.
#ifndef DATAMANAGER_SRC_SYNC_JOB_H_
#define DATAMANAGER_SRC_SYNC_JOB_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <utility>

#include "datamanager/data_manager.h"
#include "sync/file_tracker.h"
#include "sync/found_file.h"
#include "sync/retry.h"

namespace datamanager::sync {

// What a caller asks for with a file of their own, and waits for: one try, after which the file is
// removed if it was stored, and else left as it is.
struct DirectUpload {
  UploadLabels labels;   // In place of the config's tags.
  std::stop_token stop;  // Ends the try.
};

// Counts for one upload, as long as it lives.
class CountedUpload {
 public:
  // `count` must outlive it.
  explicit CountedUpload(std::atomic<uint64_t>& count) : count_(&count) { ++*count_; }
  CountedUpload(CountedUpload&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
  CountedUpload& operator=(CountedUpload&& other) noexcept {
    std::swap(count_, other.count_);
    return *this;
  }
  ~CountedUpload() {
    if (count_ != nullptr) --*count_;
  }

 private:
  std::atomic<uint64_t>* count_;
};

// A file that was drawn, with its ownership and what is known of earlier tries.
struct Job {
  // Before the claim, so that never more files are claimed than uploads counted.
  CountedUpload counted;
  FoundFile file;
  FileTracker::Claim claim;
  RetryState state;
  std::shared_ptr<const DirectUpload> direct = nullptr;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_JOB_H_
