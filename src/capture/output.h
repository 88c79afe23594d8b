// The open file of a collector, and who has it.
#ifndef DATAMANAGER_SRC_CAPTURE_OUTPUT_H_
#define DATAMANAGER_SRC_CAPTURE_OUTPUT_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "base/mutex.h"
#include "capture/keeper.h"
#include "capture_file/writer.h"
#include "datamanager/clock.h"

namespace datamanager::capture {

struct OutputOptions {
  std::string directory;
  int64_t max_file_bytes = 0;
  std::shared_ptr<Keeper> keeper;
  std::shared_ptr<std::atomic<uint64_t>> finished_files;  // Counts what the keeper gets.
  FileOps* ops = &FileOps::System();
  const Clock* clock = &Clock::System();
};

// Where records go. One thread appends; any thread may have the file finished meanwhile. The lock
// only says who has the file: nobody writes under it, so a flush never waits for the source, and
// waits for the disk only while a record is being written.
//
// Owned by a shared_ptr: the keeper has a file finished that lost its name.
class Output : public std::enable_shared_from_this<Output> {
 public:
  explicit Output(OutputOptions options);

  // Appends a record to the open file, or to a new one if there is none or it is full. A full file
  // is handed to the keeper, and so is this one if `finish` is set. If no new file can be made, a
  // full one continues to grow. A file that takes no record, although the disk has room, is
  // finished. One that has reached the largest size that a file may have is finished at once, and
  // the record goes into a new file. `metadata` is the start of a new file; `head` and `tail` are
  // the record's frame. FAILED_PRECONDITION once closed.
  absl::Status Append(std::string_view metadata, std::string_view head, std::string_view tail,
                      bool finish) DM_EXCLUDES(mutex_);

  // Hands the open file, if any, to the keeper; waits until `deadline` for a record in progress.
  // False: it is still in progress, and the file is handed over after it.
  bool Finish(MonotonicTime deadline) DM_EXCLUDES(mutex_);
  // The same, and refuses every later record.
  void Close(MonotonicTime deadline) DM_EXCLUDES(mutex_);

 private:
  // Appends to `file`, or to a new file that replaces it; then `full` receives the previous one.
  absl::Status WriteTo(std::unique_ptr<capture_file::Writer>& file,
                       std::unique_ptr<capture_file::Writer>& full, std::string_view metadata,
                       std::string_view head, std::string_view tail);
  absl::StatusOr<std::unique_ptr<capture_file::Writer>> NewFile(std::string_view metadata);
  // After EFBIG: finishes `file`, and replaces it by a new file that receives the record. Another
  // EFBIG reports the record's size and the limit.
  absl::Status AppendToSmallerFile(std::unique_ptr<capture_file::Writer>& file,
                                   std::string_view metadata, std::string_view head,
                                   std::string_view tail);
  void EndWriting() DM_REQUIRES(mutex_);
  void HandOver(std::unique_ptr<capture_file::Writer> file);
  bool TakeAndPublish(MonotonicTime deadline, bool close) DM_EXCLUDES(mutex_);

  const OutputOptions options_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::unique_ptr<capture_file::Writer> file_ DM_GUARDED_BY(mutex_);
  bool writing_ DM_GUARDED_BY(mutex_) = false;
  uint64_t writes_ DM_GUARDED_BY(mutex_) = 0;  // The number of finished writes.
  bool finish_requested_ DM_GUARDED_BY(mutex_) = false;
  bool closed_ DM_GUARDED_BY(mutex_) = false;
};

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_OUTPUT_H_
