#include "capture/collector.h"

#include <algorithm>
#include <optional>
#include <stop_token>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/repeat_filter.h"
#include "base/strings.h"
#include "base/thread.h"
#include "base/waker.h"
#include "capture/ask_source.h"
#include "capture/collector_metadata.h"
#include "capture/output.h"
#include "capture/record_encoder.h"
#include "capture_file/format.h"

namespace datamanager::capture {
namespace {

ValueMap ExtraOf(const config::CollectorSettings& settings, const Method& method) {
  ValueMap extra;
  extra.Set("fromDataManagement", true);
  if (method.params_to_source) {
    for (const ValueMap::Entry& param : settings.additional_params) {
      extra.Set(param.key, param.value);
    }
  }
  return extra;
}

absl::Status CheckImage(const Image& image) {
  if (image.data.empty()) {
    return absl::InvalidArgumentError(
        "capture result failed validation: binary results can't have empty binary payload");
  }
  if (!IsUtf8(image.source_name) || !IsUtf8(image.mime_type)) {
    return absl::InvalidArgumentError(
        "capture result failed validation: source_name and mime_type must be UTF-8");
  }
  return absl::OkStatus();
}

}  // namespace

void CollectorCounters::SetLastError(std::string error) {
  MutexLock lock(mutex);
  last_error = std::move(error);
}

void CollectorCounters::CopyTo(CollectorStats& stats) const {
  stats.ticks_due = ticks_due;
  stats.captured = captured;
  stats.missed = missed;
  stats.failed = failed;
  stats.source_errors = source_errors;
  const auto count = [this](DropCause cause) { return dropped[static_cast<size_t>(cause)].load(); };
  stats.dropped = {.disk_full = count(DropCause::kDiskFull),
                   .io_error = count(DropCause::kIoError),
                   .no_descriptors = count(DropCause::kNoDescriptors),
                   .permission = count(DropCause::kPermission),
                   .read_only = count(DropCause::kReadOnly),
                   .no_directory = count(DropCause::kNoDirectory),
                   .other = count(DropCause::kOther)};
  stats.records = records;
  stats.bytes = bytes;
  stats.files = files;
  MutexLock lock(mutex);
  stats.last_error = last_error;
}

bool CollectorOptions::SameWork(const CollectorOptions& other) const {
  return settings == other.settings && source == other.source && directory == other.directory &&
         tags == other.tags && max_file_bytes == other.max_file_bytes;
}

class Collector::Loop {
 public:
  explicit Loop(CollectorOptions collector_options)
      : options(std::move(collector_options)),
        output(std::make_shared<Output>(
            OutputOptions{.directory = options.directory,
                          .max_file_bytes = options.max_file_bytes,
                          .keeper = options.keeper,
                          .finished_files = {options.counters, &options.counters->files},
                          .ops = options.ops,
                          .clock = options.clock})),
        extra_(ExtraOf(options.settings, *options.method)) {}

  void Run(std::vector<std::shared_ptr<Loop>> predecessors);
  bool WaitUntilEnded(MonotonicTime deadline, std::stop_token cancel) DM_EXCLUDES(ended_mutex_);

  const CollectorOptions options;
  const std::shared_ptr<Output> output;
  Waker waker;
  std::stop_source stop;
  Thread thread;  // The Collector's only.

 private:
  void Tick();
  absl::Status CaptureReadings(const ReadingsSource& source);
  absl::Status CaptureImages(const ImagesSource& source);
  absl::Status CheckFilter() const;
  bool Wanted(const Image& image) const;
  absl::Status WriteImage(const RecordTimes& times, const Image& image);
  absl::Status Write(std::string_view metadata, std::string_view tail, bool finish);
  CaptureRequest Request() {
    return {.method = options.settings.method, .extra = extra_, .stop = stop.get_token()};
  }
  // Asks the source, and takes the time before and after.
  template <typename Function, typename Out>
  absl::Status Read(const Function& function, Out& out, RecordTimes* times);
  void Report(const absl::Status& status);

  // What a tick is at.
  enum class Step : uint8_t { kRead, kCheck, kWrite };

  // The thread's only; kept from tick to tick for their memory.
  const ValueMap extra_;
  Readings readings_;
  Images images_;
  RecordEncoder encoder_;
  capture_file::RecordBuffer buffer_;
  std::string metadata_;
  std::string metadata_mime_type_;
  RepeatFilter filter_;
  Step step_ = Step::kRead;

  Mutex ended_mutex_;
  CondVar ended_changed_;
  bool ended_ DM_GUARDED_BY(ended_mutex_) = false;
  MonotonicTime next_due_ DM_GUARDED_BY(ended_mutex_);  // Of the tick after the last.
};

void Collector::Loop::Run(std::vector<std::shared_ptr<Loop>> predecessors) {
  UseFinestTimers();
  const auto interval = options.settings.interval;
  std::optional<MonotonicTime> phase;
  for (const std::shared_ptr<Loop>& predecessor : predecessors) {
    Loop& old = *predecessor;
    MutexLock lock(old.ended_mutex_);
    const bool ended = old.ended_changed_.Wait(old.ended_mutex_, stop.get_token(), [&old] {
      old.ended_mutex_.AssertHeld();
      return old.ended_;
    });
    if (ended && old.options.settings == options.settings) phase = old.next_due_;
  }
  predecessors.clear();
  const MonotonicTime begin = options.clock->MonotonicNow();
  MonotonicTime due = phase.value_or(begin + interval);
  // Of the ticks that came due in between, the last one is made up for.
  if (begin > due) {
    const auto passed = static_cast<uint64_t>((begin - due) / interval);
    options.counters->ticks_due += passed;
    options.counters->missed += passed;
    due += interval * static_cast<int64_t>(passed);
  }
  while (waker.WaitUntil(due)) {
    ++options.counters->ticks_due;
    Tick();
    due += interval;
    const MonotonicTime now = options.clock->MonotonicNow();
    if (now >= due) {
      const auto passed = static_cast<uint64_t>((now - due) / interval) + 1;
      options.counters->ticks_due += passed;
      options.counters->missed += passed;
      due += interval * static_cast<int64_t>(passed);
    }
  }
  output->Close(MonotonicTime::max());
  MutexLock lock(ended_mutex_);
  next_due_ = due;
  ended_ = true;
  ended_changed_.NotifyAll();
}

bool Collector::Loop::WaitUntilEnded(MonotonicTime deadline, std::stop_token cancel) {
  MutexLock lock(ended_mutex_);
  return ended_changed_.WaitUntil(ended_mutex_, std::move(cancel), deadline, [this] {
    ended_mutex_.AssertHeld();
    return ended_;
  });
}

void Collector::Loop::Tick() {
  step_ = Step::kCheck;
  absl::Status status;
  if (const auto* readings = std::get_if<ReadingsSource>(options.source.get())) {
    status = CaptureReadings(*readings);
  } else {
    status = CaptureImages(std::get<ImagesSource>(*options.source));
  }
  if (status.ok()) {
    ++options.counters->captured;
  } else {
    // Told before it is counted: whoever sees the count finds the reason.
    Report(status);
    ++options.counters->failed;
  }
}

template <typename Function, typename Out>
absl::Status Collector::Loop::Read(const Function& function, Out& out, RecordTimes* times) {
  out.Clear();
  step_ = Step::kRead;
  times->requested = options.clock->WallNow();
  absl::Status status = absl::CancelledError("stopped while somebody else asked the source");
  if (options.turn->Enter(stop.get_token())) {
    status = AskSource(function, Request(), out);
    options.turn->Leave();
  }
  times->received = options.clock->WallNow();
  if (status.ok()) {
    step_ = Step::kCheck;
    return status;
  }
  ++options.counters->source_errors;
  return Wrap(status, absl::StrCat("failed to get reading of method ", options.settings.method,
                                   " of component ", options.settings.name));
}

absl::Status Collector::Loop::CaptureReadings(const ReadingsSource& source) {
  RecordTimes times;
  if (absl::Status status = Read(source, readings_, &times); !status.ok()) return status;
  absl::Status status = encoder_.EncodeTabular(times, "readings", readings_, buffer_);
  if (!status.ok()) return Wrap(status, "capture result failed validation");
  if (buffer_.size() > capture_file::kMaxTabularRecordBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "capture result failed validation: a record of ", buffer_.size(),
        " bytes is larger than the ", capture_file::kMaxTabularRecordBytes, " a server accepts"));
  }
  if (metadata_.empty()) {
    absl::StatusOr<std::string> metadata =
        CollectorMetadata(options.settings, *options.method, options.tags, "");
    if (!metadata.ok()) return metadata.status();
    metadata_ = *std::move(metadata);
  }
  return Write(metadata_, {}, false);
}

absl::Status Collector::Loop::CaptureImages(const ImagesSource& source) {
  if (absl::Status status = CheckFilter(); !status.ok()) return status;
  RecordTimes times;
  if (absl::Status status = Read(source, images_, &times); !status.ok()) return status;
  if (options.method->rule == PayloadRule::kOneImage) {
    if (images_.empty()) return absl::InternalError("no images returned from camera");
    const Value* wanted = options.settings.additional_params.Find("mime_type");
    const std::string_view mime_type = wanted == nullptr ? "image/jpeg" : wanted->AsString();
    const auto* match = std::find_if(images_.begin(), images_.end(), [&](const Image& image) {
      return image.mime_type == mime_type;
    });
    const Image& image = match == images_.end() ? *images_.begin() : *match;
    if (absl::Status status = CheckImage(image); !status.ok()) return status;
    return WriteImage(times, image);
  }
  // As in the reference, one empty picture voids the tick.
  size_t wanted = 0;
  for (const Image& image : images_) {
    if (!Wanted(image)) continue;
    ++wanted;
    if (absl::Status status = CheckImage(image); !status.ok()) return status;
  }
  if (wanted == 0) {
    return absl::InternalError(
        "capture result failed validation: binary result must have non empty binary data");
  }
  // The others may fit where one did not.
  absl::Status first;
  for (const Image& image : images_) {
    if (Wanted(image)) first.Update(WriteImage(times, image));
  }
  return first;
}

absl::Status Collector::Loop::CheckFilter() const {
  const Value* filter = options.settings.additional_params.Find("filter_source_names");
  if (filter == nullptr || options.method->rule != PayloadRule::kEveryImage) {
    return absl::OkStatus();
  }
  if (filter->kind() == Value::Kind::kList &&
      std::all_of(filter->AsList().begin(), filter->AsList().end(),
                  [](const Value& name) { return name.kind() == Value::Kind::kString; })) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("filter_source_names must be a list of strings, but got ", ToJson(*filter)));
}

bool Collector::Loop::Wanted(const Image& image) const {
  const Value* filter = options.settings.additional_params.Find("filter_source_names");
  return filter == nullptr || filter->AsList().empty() ||
         std::any_of(filter->AsList().begin(), filter->AsList().end(),
                     [&](const Value& name) { return name.AsString() == image.source_name; });
}

absl::Status Collector::Loop::WriteImage(const RecordTimes& times, const Image& image) {
  const bool labelled = options.method->rule == PayloadRule::kEveryImage;
  encoder_.EncodeBinaryHead(times, labelled ? &image.source_name : nullptr, image.data.size(),
                            buffer_);
  if (metadata_.empty() || metadata_mime_type_ != image.mime_type) {
    absl::StatusOr<std::string> metadata =
        CollectorMetadata(options.settings, *options.method, options.tags, image.mime_type);
    if (!metadata.ok()) return metadata.status();
    metadata_ = *std::move(metadata);
    metadata_mime_type_ = image.mime_type;
  }
  return Write(metadata_, image.data, true);
}

absl::Status Collector::Loop::Write(std::string_view metadata, std::string_view tail, bool finish) {
  step_ = Step::kWrite;
  const std::string_view head = buffer_.Frame(tail.size());
  absl::Status status = output->Append(metadata, head, tail, finish);
  if (!status.ok()) {
    ++options.counters->dropped[static_cast<size_t>(CauseOf(status))];
    return status;
  }
  ++options.counters->records;
  options.counters->bytes += head.size() + tail.size();
  return status;
}

void Collector::Loop::Report(const absl::Status& status) {
  const std::string text = absl::StrCat(
      "error while capturing data: ", options.settings.api, "/", options.settings.name, " ",
      options.settings.method, ": ", status.ToString(absl::StatusToStringMode::kWithNoExtraData));
  options.counters->SetLastError(status.ToString(absl::StatusToStringMode::kWithNoExtraData));
  // A source that gives up because it was told to is no news.
  if (stop.stop_requested() && step_ == Step::kRead) return;
  // A failed write may name a new file each time.
  const std::string key =
      step_ == Step::kWrite ? absl::StrCat("write: ", static_cast<int>(status.code())) : text;
  if (auto message = filter_.Pass(key, text, options.clock->MonotonicNow())) {
    options.logger->Log(step_ == Step::kRead ? LogLevel::kWarning : LogLevel::kError,
                        *std::move(message));
  }
}

absl::StatusOr<std::unique_ptr<Collector>> Collector::Start(
    CollectorOptions options, const std::vector<std::shared_ptr<Collector>>& predecessors) {
  const bool readings = std::holds_alternative<ReadingsSource>(*options.source);
  if (readings == options.method->binary()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the source of ", options.settings.api, "/", options.settings.name, " gives ",
        readings ? "readings" : "pictures", ", which ", options.settings.method, " cannot take"));
  }
  const std::string name = absl::StrCat("dm:", options.settings.name);
  auto loop = std::make_shared<Loop>(std::move(options));
  std::vector<std::shared_ptr<Loop>> before;
  for (const std::shared_ptr<Collector>& old : predecessors) before.push_back(old->loop_);
  absl::StatusOr<Thread> thread =
      Thread::Start(name, kSystemStackBytes,
                    [loop, before = std::move(before)]() mutable { loop->Run(std::move(before)); });
  if (!thread.ok()) return thread.status();
  loop->thread = *std::move(thread);
  return std::unique_ptr<Collector>(new Collector(std::move(loop)));
}

Collector::Collector(std::shared_ptr<Loop> loop) : loop_(std::move(loop)) {}

Collector::~Collector() {
  RequestStop();
  loop_->thread.Join();
}

const CollectorOptions& Collector::options() const { return loop_->options; }

void Collector::Flush(MonotonicTime deadline) { loop_->output->Finish(deadline); }

void Collector::RequestStop() {
  loop_->stop.request_stop();
  loop_->waker.Wake();
}

bool Collector::JoinUntil(MonotonicTime deadline) { return loop_->thread.JoinUntil(deadline); }

bool Collector::ended() const { return loop_->WaitUntilEnded(MonotonicTime::min(), {}); }

bool Collector::WaitUntilEnded(MonotonicTime deadline, std::stop_token cancel) const {
  return loop_->WaitUntilEnded(deadline, std::move(cancel));
}

void Collector::Abandon() {
  // A thread that hangs in a write keeps the file; it is not waited for.
  loop_->output->Close(loop_->options.clock->MonotonicNow());
  loop_->thread.Detach();
}

}  // namespace datamanager::capture
