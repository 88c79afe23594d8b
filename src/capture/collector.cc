#include "capture/collector.h"

#include <google/protobuf/message.h>

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
#include "capture/binary_answer.h"
#include "capture/collector_metadata.h"
#include "capture/kept_memory.h"
#include "capture/message_fields.h"
#include "capture/output.h"
#include "capture/record_encoder.h"
#include "capture/source_stop.h"
#include "capture/struct_encoder.h"
#include "capture/tabular_answer.h"
#include "capture_file/format.h"

namespace datamanager::capture {
namespace {

ValueMap ExtraOf(const config::CollectorSettings& settings, const Method& method) {
  ValueMap extra;
  if (method.extra == Extra::kNone) return extra;
  extra.Set("fromDataManagement", true);
  if (method.extra == Extra::kParameters) {
    for (const ValueMap::Entry& param : settings.additional_params) {
      extra.Set(param.key, param.value);
    }
  }
  return extra;
}

// Whether the method takes what the source gives; fills `fields` for messages.
absl::Status CheckSource(const CollectorOptions& options, MessageFields& fields) {
  const PayloadRule rule = options.method->rule;
  const std::string source =
      absl::StrCat("the source of ", options.settings.api, "/", options.settings.name, " gives ");
  const std::string method = absl::StrCat(", which ", options.settings.method, " cannot take");
  if (const auto* messages = std::get_if<MessageSource>(options.source.get())) {
    const auto given = MakeMessage(*messages);
    if (!given.ok()) return Wrap(given.status(), source + "no messages");
    if (*given == nullptr) return absl::InvalidArgumentError(source + "no messages");
    const google::protobuf::Descriptor& known = *options.method->response().GetDescriptor();
    const google::protobuf::Descriptor& theirs = *(*given)->GetDescriptor();
    absl::StatusOr<MessageFields> bound = BindFields(known, theirs);
    if (!bound.ok()) {
      return Wrap(bound.status(),
                  absl::StrCat(source, theirs.full_name(), method, " for a ", known.name()));
    }
    fields = *std::move(bound);
    return absl::OkStatus();
  }
  if (std::holds_alternative<ReadingsSource>(*options.source)) {
    if (rule == PayloadRule::kReadings || rule == PayloadRule::kDoCommand) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(source, "readings", method));
  }
  if (rule == PayloadRule::kEveryImage || rule == PayloadRule::kOneImage) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(source, "pictures", method));
}

// Estimates the memory of an answer to within a small factor. Readings count with their encoded
// size.
uint64_t SizeOf(const Readings& readings) { return EncodedSize(readings); }

uint64_t SizeOf(const Images& images) {
  uint64_t size = 0;
  for (const Image& image : images) {
    size += image.source_name.size() + image.mime_type.size() + image.data.size();
    for (const BoundingBox& box : image.annotations.bboxes) {
      size += sizeof(box) + box.id.size() + box.label.size();
    }
    for (const Classification& classification : image.annotations.classifications) {
      size += sizeof(classification) + classification.id.size() + classification.label.size();
    }
  }
  return size;
}

uint64_t SizeOf(const Messages& messages) {
  uint64_t size = 0;
  for (size_t i = 0; i < messages.size(); ++i) size += messages[i].ByteSizeLong();
  return size;
}

// Cuts an error's text to a useful length: a source may return a text of any length, which would be
// kept as the last error, logged, and remembered by the filter of repeats.
absl::Status Shortened(absl::Status status) {
  constexpr size_t kMaxBytes = 4096;
  if (status.message().size() <= kMaxBytes) return status;
  size_t size = kMaxBytes;
  const auto text = ToStd(status.message());
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  return absl::Status(status.code(),
                      absl::StrCat(ToAbsl(text.substr(0, size)), "... (", text.size(), " bytes)"));
}

absl::Status TooLarge(uint64_t size, size_t metadata_size) {
  return absl::InvalidArgumentError(
      absl::StrCat("capture result failed validation: a record of ", size, " bytes, with ",
                   metadata_size, " of metadata beside it, is larger than the ",
                   capture_file::kMaxTabularRecordBytes, " a server accepts"));
}

}  // namespace

void CollectorCounters::SetLastError(std::string error) {
  MutexLock lock(mutex);
  last_error = std::move(error);
}

void CollectorCounters::CopyTo(CollectorStats& stats, MonotonicTime now) const {
  stats.ticks_due = ticks_due;
  stats.captured = captured;
  stats.no_data = no_data;
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
  stats.lateness = lateness.Summary();
  stats.source_time = source_time.Summary();
  if (const MonotonicTime begin = started; now > begin) {
    stats.achieved_hz =
        static_cast<double>(captured_since) / std::chrono::duration<double>(now - begin).count();
  }
  MutexLock lock(mutex);
  stats.last_error = last_error;
}

bool CollectorOptions::SameWork(const CollectorOptions& other) const {
  return settings == other.settings && source == other.source && directory == other.directory &&
         tags == other.tags && max_file_bytes == other.max_file_bytes;
}

class Collector::Loop {
 public:
  Loop(CollectorOptions collector_options, MessageFields message_fields)
      : options(std::move(collector_options)),
        output(std::make_shared<Output>(
            OutputOptions{.directory = options.directory,
                          .max_file_bytes = options.max_file_bytes,
                          .keeper = options.keeper,
                          .finished_files = {options.counters, &options.counters->files},
                          .ops = options.ops,
                          .clock = options.clock})),
        stop(std::make_shared<SourceStop>(options.stack_bytes)),
        extra_(ExtraOf(options.settings, *options.method)),
        fields_(std::move(message_fields)) {
    if (const auto* source = std::get_if<MessageSource>(options.source.get())) {
      messages_.emplace(source->make);
    }
  }

  void Run(std::vector<std::shared_ptr<Loop>> predecessors);
  bool WaitUntilEnded(MonotonicTime deadline, std::stop_token cancel) DM_EXCLUDES(ended_mutex_);

  const CollectorOptions options;
  const std::shared_ptr<Output> output;
  Waker waker;
  const std::shared_ptr<SourceStop> stop;
  Thread thread;  // The Collector's only.

 private:
  void Tick();
  // Releases memory that a burst left, if it is time.
  void EndTick();
  void TryTick();
  absl::Status Capture();
  absl::Status CaptureReadings(const ReadingsSource& source);
  absl::Status CaptureImages(const ImagesSource& source);
  absl::Status CaptureMessages(const MessageSource& source);
  // Completes the record whose Struct is in `buffer_`, if `encoded` is OK, and writes it.
  absl::Status WriteTabular(const RecordTimes& times, const absl::Status& encoded);
  absl::Status WriteBinary(RecordTimes times, const BinaryAnswer& answer);
  absl::Status SetMetadata(std::string_view mime_type);
  absl::Status Write(std::string_view tail, bool finish);
  // Asks the source, and takes the time before and after.
  template <typename Function, typename Out>
  absl::Status Read(const Function& function, Out& out, RecordTimes* times);
  void Report(const absl::Status& status);

  // What a tick is at.
  enum class Step : uint8_t { kRead, kCheck, kWrite };

  // The thread's only; kept from tick to tick for their memory.
  const ValueMap extra_;
  const MessageFields fields_;  // Of what a source of messages gives.
  Readings readings_;
  Images images_;
  std::optional<Messages> messages_;
  KeptMemory kept_;
  uint64_t answer_size_ = 0;   // The size of the answer in the current tick.
  AnswerResult when_written_;  // Left by the source in the current tick.
  int64_t audio_end_ = 0;      // The end of the audio that was written.
  capture_file::RecordBuffer buffer_;
  std::string metadata_;
  std::string metadata_mime_type_;
  RepeatFilter filter_;
  Step step_ = Step::kRead;
  MonotonicTime due_;  // Of the tick under way, or the next.

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
    const bool ended = old.ended_changed_.Wait(old.ended_mutex_, stop->own(), [&old] {
      old.ended_mutex_.AssertHeld();
      return old.ended_;
    });
    if (ended && old.options.settings == options.settings) phase = old.next_due_;
  }
  predecessors.clear();
  const MonotonicTime begin = options.clock->MonotonicNow();
  due_ = phase.value_or(begin + interval);
  // Of the ticks that came due in between, the last one is made up for.
  if (begin > due_) {
    const auto passed = static_cast<uint64_t>((begin - due_) / interval);
    options.counters->ticks_due += passed;
    options.counters->missed += passed;
    due_ += interval * static_cast<int64_t>(passed);
  }
  options.counters->captured_since = 0;
  options.counters->started = begin;
  while (waker.WaitUntil(due_)) {
    ++options.counters->ticks_due;
    Tick();
    due_ += interval;
    const MonotonicTime now = options.clock->MonotonicNow();
    if (now >= due_) {
      const auto passed = static_cast<uint64_t>((now - due_) / interval) + 1;
      options.counters->ticks_due += passed;
      options.counters->missed += passed;
      due_ += interval * static_cast<int64_t>(passed);
    }
  }
  // One that was left alone ends while a successor with another source runs.
  MonotonicTime own = begin;
  options.counters->started.compare_exchange_strong(own, MonotonicTime::max());
  output->Close(MonotonicTime::max());
  stop->Finish();
  MutexLock lock(ended_mutex_);
  next_due_ = due_;
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
  try {
    TryTick();
  } catch (...) {
    // There was not even memory for the report.
    ++options.counters->failed;
  }
}

void Collector::Loop::TryTick() {
  {
    const CallbackScope scope;  // It is the embedder's: its destructor may call us.
    when_written_ = nullptr;
  }
  absl::Status status;
  try {
    status = Capture();
  } catch (...) {
    status = CaughtStatus("storing the reading");
  }
  // Tell the source before counting: it then knows no later than the readers of Stats.
  if (absl::Status told = TellSource(when_written_, status); !told.ok()) Report(told);
  if (status.ok()) {
    ++options.counters->captured;
    ++options.counters->captured_since;
  } else if (step_ == Step::kRead && IsNothingToStore(status)) {
    ++options.counters->no_data;
  } else {
    // Told before it is counted: whoever sees the count finds the reason.
    Report(status);
    if (step_ == Step::kRead) ++options.counters->source_errors;
    ++options.counters->failed;
  }
  EndTick();
}

void Collector::Loop::EndTick() {
  const uint64_t encoded = buffer_.overflowed() ? buffer_.capacity() : buffer_.size();
  if (!kept_.Note(std::max(answer_size_, encoded), due_)) return;
  readings_ = Readings();
  images_ = Images();
  if (const auto* source = std::get_if<MessageSource>(options.source.get())) {
    messages_ = Messages(source->make);
  }
  buffer_ = capture_file::RecordBuffer();
}

absl::Status Collector::Loop::Capture() {
  if (const auto* readings = std::get_if<ReadingsSource>(options.source.get())) {
    return CaptureReadings(*readings);
  }
  if (const auto* images = std::get_if<ImagesSource>(options.source.get())) {
    return CaptureImages(*images);
  }
  return CaptureMessages(std::get<MessageSource>(*options.source));
}

template <typename Function, typename Out>
absl::Status Collector::Loop::Read(const Function& function, Out& out, RecordTimes* times) {
  out.Clear();
  step_ = Step::kRead;
  const CaptureRequest request{.method = options.settings.method,
                               .extra = extra_,
                               .params = options.params,
                               .interval = options.settings.interval,
                               .previous_timestamp_nanoseconds = audio_end_,
                               .stop = stop->sources(),
                               .when_written = &when_written_};
  times->requested = options.clock->WallNow();
  absl::Status status;
  if (const SourceTurn::Ticket ticket = options.turn->Enter(stop->own()); ticket != 0) {
    const MonotonicTime asked = options.clock->MonotonicNow();
    options.counters->lateness.Record(asked - due_);
    {
      const SourceStop::Calling calling(*stop);
      status = Shortened(AskSource(function, request, out));
    }
    options.counters->source_time.Record(options.clock->MonotonicNow() - asked);
    options.turn->Leave(ticket);
  } else {
    status = absl::CancelledError("stopped while somebody else asked the source");
  }
  times->received = options.clock->WallNow();
  answer_size_ = SizeOf(out);
  buffer_.Clear();
  if (status.ok()) {
    step_ = Step::kCheck;
    return status;
  }
  return Wrap(status, absl::StrCat("failed to get reading of method ", options.settings.method,
                                   " of component ", options.settings.name));
}

absl::Status Collector::Loop::CaptureReadings(const ReadingsSource& source) {
  RecordTimes times;
  if (absl::Status status = Read(source, readings_, &times); !status.ok()) return status;
  if (answer_size_ > capture_file::kMaxTabularRecordBytes) {
    return TooLarge(answer_size_, metadata_.size());
  }
  return WriteTabular(times, PrependAnswer(*options.method, readings_, buffer_));
}

absl::Status Collector::Loop::CaptureImages(const ImagesSource& source) {
  RecordTimes times;
  if (absl::Status status = Read(source, images_, &times); !status.ok()) return status;
  BinaryAnswer answer;
  absl::Status status = ReadBinaryAnswer(*options.method, options.params, images_, answer);
  return status.ok() ? WriteBinary(times, answer) : status;
}

absl::Status Collector::Loop::CaptureMessages(const MessageSource& source) {
  RecordTimes times;
  if (absl::Status status = Read(source.fill, *messages_, &times); !status.ok()) return status;
  if (!options.method->streamed() && messages_->size() != 1) {
    return absl::InternalError(
        absl::StrCat("the source gave ", messages_->size(), " messages instead of one"));
  }
  if (!options.method->binary()) {
    return WriteTabular(times, PrependAnswer(*options.method, fields_, (*messages_)[0], buffer_));
  }
  BinaryAnswer answer;
  absl::Status status = ReadBinaryAnswer(*options.method, options.params, *messages_, answer);
  // An answer that cannot be stored is not requested again; one that could not be written is.
  if (status.ok()) status = WriteBinary(times, answer);
  if (answer.audio_end.has_value() && (status.ok() || step_ != Step::kWrite)) {
    audio_end_ = *answer.audio_end;
  }
  return status;
}

absl::Status Collector::Loop::WriteTabular(const RecordTimes& times, const absl::Status& encoded) {
  if (!encoded.ok()) return Wrap(encoded, "capture result failed validation");
  PrependTabularHead(times, buffer_);
  if (absl::Status status = SetMetadata(""); !status.ok()) return status;
  // The rest of the upload request: the part's id, tags and lengths.
  constexpr size_t kRequestBytes = 1024;
  if (buffer_.overflowed() ||
      buffer_.size() + metadata_.size() + kRequestBytes > capture_file::kMaxTabularRecordBytes) {
    return TooLarge(buffer_.size(), metadata_.size());
  }
  return Write({}, false);
}

absl::Status Collector::Loop::WriteBinary(RecordTimes times, const BinaryAnswer& answer) {
  if (answer.captured_at.has_value()) times.received = *answer.captured_at;
  // The others may fit where one did not.
  absl::Status first;
  for (const BinaryRecord& record : answer.records) {
    absl::Status status = SetMetadata(record.mime_type);
    if (status.ok()) {
      buffer_.Clear();
      PrependBinaryHead(times, record.annotations, record.data.size(), buffer_);
      status = buffer_.overflowed() || buffer_.size() > capture_file::kMaxMetadataBytes
                   ? absl::InvalidArgumentError(absl::StrCat(
                         "capture result failed validation: the annotations of a record have more "
                         "than the ",
                         capture_file::kMaxMetadataBytes, " bytes that a capture file can have"))
                   : Write(record.data, true);
    }
    first.Update(status);
    // All audio from this record on is requested again.
    if (!status.ok() && record.audio_end.has_value()) return first;
    if (record.audio_end.has_value()) audio_end_ = *record.audio_end;
  }
  return first;
}

absl::Status Collector::Loop::SetMetadata(std::string_view mime_type) {
  if (!metadata_.empty() && metadata_mime_type_ == mime_type) return absl::OkStatus();
  absl::StatusOr<std::string> metadata =
      CollectorMetadata(options.settings, *options.method, options.tags, mime_type);
  if (!metadata.ok()) return metadata.status();
  metadata_ = *std::move(metadata);
  metadata_mime_type_ = mime_type;
  return absl::OkStatus();
}

absl::Status Collector::Loop::Write(std::string_view tail, bool finish) {
  step_ = Step::kWrite;
  const std::string_view head = buffer_.Frame(tail.size());
  absl::Status status = output->Append(metadata_, head, tail, finish);
  if (!status.ok()) {
    const DropCause cause = CauseOf(status);
    ++options.counters->dropped[static_cast<size_t>(cause)];
    if (cause == DropCause::kDiskFull && options.on_disk_full) {
      options.on_disk_full(ErrnoOf(status));
    }
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
  if (stop->requested() && step_ == Step::kRead) return;
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
  MessageFields fields;
  if (absl::Status status = CheckSource(options, fields); !status.ok()) return status;
  const std::string name = absl::StrCat("dm:", options.settings.name);
  auto loop = std::make_shared<Loop>(std::move(options), std::move(fields));
  std::vector<std::shared_ptr<Loop>> before;
  for (const std::shared_ptr<Collector>& old : predecessors) before.push_back(old->loop_);
  absl::StatusOr<Thread> thread =
      Thread::Start(name, loop->options.stack_bytes,
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

bool Collector::Flush(MonotonicTime deadline) { return loop_->output->Finish(deadline); }

void Collector::RequestStop() {
  // Before the source is told: it may return at once, and must not be called again.
  loop_->waker.Wake();
  loop_->stop->Request();
}

bool Collector::JoinUntil(MonotonicTime deadline) { return loop_->thread.JoinUntil(deadline); }

bool Collector::stop_requested() const { return loop_->stop->requested(); }

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
