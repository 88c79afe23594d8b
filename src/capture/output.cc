#include "capture/output.h"

#include <sys/resource.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture/drop_cause.h"

namespace datamanager::capture {

Output::Output(OutputOptions options) : options_(std::move(options)) {}

absl::Status Output::Append(std::string_view metadata, std::string_view head, std::string_view tail,
                            bool finish) {
  std::unique_ptr<capture_file::Writer> file;
  {
    MutexLock lock(mutex_);
    if (closed_) return absl::FailedPreconditionError("the collector has ended");
    file = std::move(file_);
    writing_ = true;
  }
  // As in the reference, a file is full when the record before went past its limit.
  std::unique_ptr<capture_file::Writer> full;
  absl::Status status;
  try {
    status = WriteTo(file, full, metadata, head, tail);
  } catch (...) {
    // No memory. Callers that wait for the end of this write must not wait for ever.
    {
      MutexLock lock(mutex_);
      file_ = std::move(file);
      EndWriting();
    }
    if (full != nullptr) HandOver(std::move(full));
    throw;
  }
  if (full != nullptr) HandOver(std::move(full));
  // It may be this file only that takes no more.
  if (file != nullptr && !status.ok() && file->has_records() &&
      CauseOf(status) != DropCause::kDiskFull) {
    finish = true;
  }

  std::unique_ptr<capture_file::Writer> given_up;
  std::unique_ptr<capture_file::Writer> finished;
  {
    MutexLock lock(mutex_);
    const bool done = finish || finish_requested_ || closed_;
    if (file != nullptr && (file->broken() || (done && !file->has_records()))) {
      given_up = std::move(file);
    } else if (file != nullptr && done) {
      finished = std::move(file);
    } else {
      file_ = std::move(file);
      EndWriting();
      return status;
    }
  }
  // Who waits for the file to be finished waits until the keeper has it.
  if (finished != nullptr) HandOver(std::move(finished));
  if (given_up != nullptr) options_.keeper->Abandon(std::move(given_up));
  MutexLock lock(mutex_);
  EndWriting();
  return status;
}

absl::Status Output::AppendToSmallerFile(std::unique_ptr<capture_file::Writer>& file,
                                         std::string_view metadata, std::string_view head,
                                         std::string_view tail) {
  if (file->has_records()) {
    absl::StatusOr<std::unique_ptr<capture_file::Writer>> created = NewFile(metadata);
    if (!created.ok()) return created.status();
    HandOver(std::exchange(file, *std::move(created)));
    absl::Status status = file->Append(head, tail);
    if (ErrnoOf(status) != EFBIG) return status;
  }
  rlimit limit{};
  const bool limited = ::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  return DiskError(
      EFBIG,
      absl::StrCat("a record of ", head.size() + tail.size(), " bytes does not fit into a file of ",
                   limited ? absl::StrCat("the ", limit.rlim_cur, " bytes that RLIMIT_FSIZE allows")
                           : "the largest size that the file system allows",
                   "; write it to"),
      options_.directory);
}

absl::Status Output::WriteTo(std::unique_ptr<capture_file::Writer>& file,
                             std::unique_ptr<capture_file::Writer>& full, std::string_view metadata,
                             std::string_view head, std::string_view tail) {
  absl::Status status;
  if (file == nullptr || file->size() > static_cast<uint64_t>(options_.max_file_bytes)) {
    absl::StatusOr<std::unique_ptr<capture_file::Writer>> created = NewFile(metadata);
    if (created.ok()) {
      full = std::exchange(file, *std::move(created));
    } else {
      status = created.status();
    }
  }
  if (file != nullptr) status = file->Append(head, tail);
  if (file != nullptr && !file->broken() && ErrnoOf(status) == EFBIG) {
    return AppendToSmallerFile(file, metadata, head, tail);
  }
  return status;
}

void Output::EndWriting() {
  writing_ = false;
  ++writes_;
  // Nobody waits who has not asked for the file.
  if (std::exchange(finish_requested_, false)) changed_.NotifyAll();
}

absl::StatusOr<std::unique_ptr<capture_file::Writer>> Output::NewFile(std::string_view metadata) {
  const auto create = [&] {
    return capture_file::Writer::Create(*options_.ops, options_.directory,
                                        options_.clock->WallNow(), metadata);
  };
  auto file = create();
  // The directory is made by the first record, and made again if somebody removes it.
  if (absl::IsNotFound(file.status())) {
    absl::Status made = MakeDirectories(*options_.ops, options_.directory);
    if (!made.ok()) return made;
    file = create();
  }
  if (file.ok()) {
    options_.keeper->Announce(**file, [self = weak_from_this()] {
      if (const std::shared_ptr<Output> output = self.lock()) output->Finish(MonotonicTime::min());
    });
  }
  return file;
}

bool Output::Finish(MonotonicTime deadline) { return TakeAndPublish(deadline, false); }

void Output::Close(MonotonicTime deadline) { TakeAndPublish(deadline, true); }

bool Output::TakeAndPublish(MonotonicTime deadline, bool close) {
  std::unique_ptr<capture_file::Writer> file;
  {
    MutexLock lock(mutex_);
    if (close) closed_ = true;
    if (writing_) {
      finish_requested_ = true;
      // When this thread has the lock again, the next record may already be in progress.
      const bool ended = changed_.WaitUntil(mutex_, deadline, [this, write = writes_] {
        mutex_.AssertHeld();
        return writes_ != write;
      });
      if (!ended) return false;
    }
    if (!writing_) file = std::move(file_);
  }
  if (file == nullptr) return true;
  if (file->has_records()) {
    HandOver(std::move(file));
  } else {
    options_.keeper->Abandon(std::move(file));
  }
  return true;
}

void Output::HandOver(std::unique_ptr<capture_file::Writer> file) {
  ++*options_.finished_files;
  options_.keeper->Publish(std::move(file));
}

}  // namespace datamanager::capture
