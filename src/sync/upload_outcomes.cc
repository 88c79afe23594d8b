#include "sync/upload_outcomes.h"

#include <utility>

namespace datamanager::sync {

UploadOutcomes::Expectation::Expectation(UploadOutcomes& outcomes, std::string path)
    : outcomes_(outcomes), path_(std::move(path)) {
  MutexLock lock(outcomes_.mutex_);
  outcomes_.expectations_.insert(this);
}

UploadOutcomes::Expectation::~Expectation() {
  MutexLock lock(outcomes_.mutex_);
  outcomes_.expectations_.erase(this);
}

std::optional<UploadOutcome> UploadOutcomes::Expectation::Await(MonotonicTime deadline,
                                                                std::stop_token stop) {
  MutexLock lock(outcomes_.mutex_);
  outcomes_.changed_.WaitUntil(outcomes_.mutex_, std::move(stop), deadline, [this] {
    outcomes_.mutex_.AssertHeld();
    return outcome_.has_value();
  });
  return outcome_;
}

void UploadOutcomes::Report(const std::string& path, const UploadOutcome& outcome) {
  MutexLock lock(mutex_);
  for (Expectation* expectation : expectations_) {
    expectation->outcomes_.mutex_.AssertHeld();
    if (expectation->path_ == path && !expectation->outcome_.has_value()) {
      expectation->outcome_ = outcome;
    }
  }
  changed_.NotifyAll();
}

}  // namespace datamanager::sync
