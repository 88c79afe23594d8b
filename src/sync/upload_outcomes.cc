#include "sync/upload_outcomes.h"

#include <utility>

namespace datamanager::sync {

UploadOutcomes::Expectation::Expectation(UploadOutcomes& outcomes, std::string path,
                                         const void* caller)
    : outcomes_(outcomes), path_(std::move(path)), caller_(caller) {
  MutexLock lock(outcomes_.mutex_);
  outcomes_.expectations_.insert(this);
}

UploadOutcomes::Expectation::~Expectation() {
  MutexLock lock(outcomes_.mutex_);
  outcomes_.expectations_.erase(this);
}

void UploadOutcomes::Expectation::AboutToName() {
  MutexLock lock(outcomes_.mutex_);
  told_before_ = told_.size();
}

void UploadOutcomes::Expectation::OnlyOf(FileId file) {
  MutexLock lock(outcomes_.mutex_);
  file_ = file;
  told_.erase(told_.begin(), told_.begin() + static_cast<std::ptrdiff_t>(told_before_));
  std::erase_if(told_, [file](const UploadOutcome& outcome) { return outcome.file != file; });
}

std::optional<UploadOutcome> UploadOutcomes::Expectation::Await(MonotonicTime deadline,
                                                                std::stop_token stop) {
  MutexLock lock(outcomes_.mutex_);
  outcomes_.changed_.WaitUntil(outcomes_.mutex_, std::move(stop), deadline, [this] {
    outcomes_.mutex_.AssertHeld();
    return !told_.empty();
  });
  if (told_.empty()) return std::nullopt;
  return told_.front();
}

void UploadOutcomes::Report(const std::string& path, const void* caller,
                            const UploadOutcome& outcome) {
  MutexLock lock(mutex_);
  for (Expectation* expectation : expectations_) {
    expectation->outcomes_.mutex_.AssertHeld();
    if (expectation->path_ == path && expectation->caller_ == caller &&
        (!expectation->file_.has_value() || *expectation->file_ == outcome.file)) {
      expectation->told_.push_back(outcome);
    }
  }
  changed_.NotifyAll();
}

}  // namespace datamanager::sync
