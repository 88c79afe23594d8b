#include "capture/capture.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/caught.h"
#include "base/strings.h"
#include "capture/collector_metadata.h"
#include "capture/directory_probe.h"
#include "capture/methods.h"
#include "capture_file/file_name.h"

namespace datamanager::capture {
namespace {

std::string NameOf(const config::CollectorSettings& settings) {
  return absl::StrCat(settings.api, "/", settings.name, " ", settings.method);
}

// What counters belong to.
std::string KeyOf(const config::CollectorSettings& settings) {
  return absl::StrCat(NameOf(settings), " ", ToJson(settings.additional_params));
}

SequenceTarget TargetOf(const config::CaptureConfig& config) {
  return {.capture_dir = config.directory, .durability = config.durability};
}

double FrequencyOf(const config::CollectorSettings& settings) {
  if (settings.interval == settings.interval.zero()) return 0;
  return 1e9 / static_cast<double>(settings.interval.count());
}

// How long a change by the control sensor waits for collectors, so that one whose source is slow
// holds up no other: all is done within 200 ms of the answer.
constexpr std::chrono::milliseconds kOverrideLimit{100};
// How long a destructor without Close waits for the disk.
constexpr std::chrono::seconds kDestructorLimit{1};
// How many collectors that are no longer configured keep their counters, in case that they are
// configured again. Parameters may have a value that changes with each config, and a collector's
// counters take 5 KiB.
constexpr size_t kFormerCounters = 64;
// How often the same news of the control sensor is told.
constexpr std::chrono::minutes kOverrideNewsInterval{1};

}  // namespace

// Holds the turn to change collectors, and releases it on an exception too. False: cancelled.
class Capture::Turn {
 public:
  Turn(Capture& capture, const std::stop_token& cancel)
      : capture_(capture), mine_(capture.TakeTurn(cancel)) {}
  ~Turn() {
    if (mine_) capture_.ReturnTurn();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  explicit operator bool() const { return mine_; }

 private:
  Capture& capture_;
  const bool mine_;
};

absl::StatusOr<std::unique_ptr<Capture>> Capture::Create(CaptureOptions options) {
  auto keeper = Keeper::Start({.ops = options.ops,
                               .clock = options.clock,
                               .logger = options.logger,
                               .on_published = options.on_published});
  if (!keeper.ok()) return keeper.status();
  return std::unique_ptr<Capture>(new Capture(std::move(options), *std::move(keeper)));
}

Capture::Capture(CaptureOptions options, std::shared_ptr<Keeper> keeper)
    : options_(std::move(options)),
      keeper_(std::move(keeper)),
      override_filter_(kOverrideNewsInterval) {}

Capture::~Capture() {
  const MonotonicTime now = options_.clock->MonotonicNow();
  Close(now, now + kDestructorLimit).IgnoreError();  // A caller that wants the result calls Close.
}

absl::Status Capture::Check(const config::CaptureConfig& config) {
  const bool any = std::any_of(
      config.collectors.begin(), config.collectors.end(),
      [](const auto& collector) { return collector.state == CollectorState::kRunning; });
  if (!any) return absl::OkStatus();
  absl::Status status = MakeDirectories(*options_.ops, config.directory);
  // "/.", since the directory may be a link.
  if (status.ok() && options_.ops->AccessAt(AT_FDCWD, (config.directory + "/.").c_str(),
                                            R_OK | W_OK | X_OK) != 0) {
    status = ErrnoStatus(errno, "read and write in", config.directory);
  }
  if (status.ok() && probed_directory_ != config.directory) {
    absl::StatusOr<DirectoryProbe> probe =
        ProbeDirectory(*options_.ops, config.directory, config.durability != Durability::kProcess);
    status = Wrap(probe.status(), config.directory);
    if (probe.ok() && probe->complete) {
      probed_directory_ = config.directory;
      for (const std::string& lost : probe->lost) {
        options_.logger->Warning(absl::StrCat("capture_dir ", config.directory, ": ", lost));
      }
    }
  }
  if (status.ok()) return status;
  return absl::FailedPreconditionError(absl::StrCat(
      "capture_dir: ", status.message(), "; name a directory that this process may write to"));
}

absl::Status Capture::CheckNames(const std::string& capture_dir, const std::string& directory) {
  if (std::exchange(names_directory_, capture_dir) != capture_dir) probed_names_.clear();
  const std::string_view below = std::string_view(directory).substr(capture_dir.size());
  for (const absl::string_view name : absl::StrSplit(ToAbsl(below), '/', absl::SkipEmpty())) {
    const auto [entry, added] = probed_names_.try_emplace(std::string(name));
    if (added) entry->second = ProbeName(*options_.ops, capture_dir, entry->first);
    if (!entry->second.ok()) return entry->second;
  }
  return absl::OkStatus();
}

Capture::Entry Capture::Judge(const config::CaptureConfig& config,
                              const config::ConfiguredCollector& configured,
                              CollectorOptions* work) {
  const config::CollectorSettings& settings = configured.settings;
  Entry entry{.settings = settings, .state = configured.state, .reason = configured.reason};
  Known& known = counters_[KeyOf(settings)];
  const bool is_new = known.counters == nullptr;
  if (is_new) known.counters = std::make_shared<CollectorCounters>();
  known.wanted = reconciliations_;
  entry.counters = known.counters;
  if (entry.state != CollectorState::kRunning) return entry;

  const auto refuse = [&entry](const absl::Status& status) {
    entry.state = CollectorState::kRefused;
    entry.reason = std::string(status.message());
    entry.refusal = status.code();
    return entry;
  };
  absl::StatusOr<const Method*> method = FindMethod(settings.api, settings.method);
  if (!method.ok()) return refuse(method.status());
  absl::StatusOr<CheckedParameters> parameters =
      CheckParameters(**method, settings.additional_params);
  if (!parameters.ok()) return refuse(parameters.status());
  if (is_new) {
    for (const std::string& warning : parameters->warnings) {
      options_.logger->Warning(absl::StrCat("collector ", NameOf(settings), ": ", warning));
    }
  }
  std::shared_ptr<const SourceFunction> source =
      sources_.Find(settings.api, settings.name, settings.method);
  if (source == nullptr) {
    return refuse(absl::NotFoundError(
        absl::StrCat("no source for resource ", settings.api, "/", settings.name,
                     sources_.Has(settings.api, settings.name)
                         ? absl::StrCat(" has the method ", settings.method)
                         : std::string(" was added"))));
  }
  const std::vector<std::string> tags = configured.tags.value_or(config.tags);
  absl::StatusOr<std::string> metadata = CollectorMetadata(settings, **method, tags, "");
  if (!metadata.ok()) return refuse(metadata.status());
  const std::string directory = capture_file::CollectorDirectory(config.directory, settings.api,
                                                                 settings.name, settings.method);
  if (absl::Status names = CheckNames(config.directory, directory); !names.ok()) {
    return refuse(names);
  }
  *work = {.settings = settings,
           .method = *method,
           .params = std::move(parameters->values),
           .source = source,
           .turn = turns_.Of(source),
           .directory = directory,
           .tags = tags,
           .max_file_bytes = config.max_file_bytes,
           .stack_bytes = options_.source_stack_bytes,
           .counters = entry.counters,
           .on_disk_full = options_.on_disk_full,
           .keeper = keeper_,
           .logger = options_.logger,
           .ops = options_.ops,
           .clock = options_.clock};
  return entry;
}

bool Capture::TakeTurn(const std::stop_token& cancel) {
  MutexLock lock(mutex_);
  const bool free = changed_.Wait(mutex_, cancel, [this] {
    mutex_.AssertHeld();
    return !changing_;
  });
  if (free) changing_ = true;
  return free;
}

void Capture::ReturnTurn() {
  MutexLock lock(mutex_);
  changing_ = false;
  changed_.NotifyAll();
}

bool Capture::Reconfigure(const config::CaptureConfig& config, const Sources& sources,
                          MonotonicTime deadline, std::stop_token cancel,
                          ReconfigureResult* result) {
  std::shared_ptr<const SourceFunction> control;
  absl::Status controlled;
  if (!config.control.name.empty()) {
    absl::StatusOr<std::shared_ptr<const SourceFunction>> found =
        FindSensor(sources, config.control.name);
    if (found.ok()) {
      control = *std::move(found);
    } else {
      controlled = found.status();
    }
  }
  {
    const Turn turn(*this, cancel);
    if (!turn) return false;
    config_ = config;
    sources_ = sources;
    controlled.Update(UpdateControl(control, deadline, cancel));
    if (!Reconcile({.deadline = deadline, .cancel = cancel})) return false;
    if (result != nullptr) Describe(*result);
  }
  if (!controlled.ok()) {
    options_.logger->Error(
        absl::StrCat("capture_control_sensor: ", controlled.message(), "; nothing is controlled"));
    if (result != nullptr) result->refused.push_back({"capture_control_sensor", controlled});
  }
  // Without the turn, for which its thread may be waiting.
  if (const std::shared_ptr<CaptureControl> running = current_control()) {
    running->SetTarget(TargetOf(config), deadline, cancel);
  }
  if (recovered_directory_ != config.directory) {
    recovered_directory_ = config.directory;
    keeper_->Recover(config.directory);
  }
  return true;
}

std::shared_ptr<CaptureControl> Capture::current_control() const {
  MutexLock lock(mutex_);
  return control_;
}

void Capture::Describe(ReconfigureResult& result) const {
  MutexLock lock(mutex_);
  for (const Entry& entry : entries_) {
    if (entry.state != CollectorState::kRefused) continue;
    result.refused.push_back({NameOf(entry.settings), absl::Status(entry.refusal, entry.reason)});
  }
  for (const Entry& entry : stopping_) {
    if (!entry.collector->ended()) result.still_running.push_back(NameOf(entry.settings));
  }
  for (const auto& sensor : hanging_sensors_) {
    if (sensor->WaitUntilEnded(MonotonicTime::min())) continue;
    result.still_running.push_back(absl::StrCat("sensor ", sensor->name()));
  }
}

absl::Status Capture::UpdateControl(const std::shared_ptr<const SourceFunction>& source,
                                    MonotonicTime deadline, const std::stop_token& cancel) {
  const std::shared_ptr<CaptureControl> before = current_control();
  if (before != nullptr && source != nullptr && before->Serves(config_.control, source)) {
    return absl::OkStatus();
  }
  StopControl(deadline, cancel);
  if (source == nullptr) return absl::OkStatus();
  absl::StatusOr<std::shared_ptr<CaptureControl>> started = CaptureControl::Start(
      {.sensor = config_.control,
       .source = source,
       .turn = turns_.Of(source),
       .stack_bytes = options_.source_stack_bytes,
       .target = TargetOf(config_),
       .logger = options_.logger,
       .ops = options_.ops,
       .clock = options_.clock,
       .on_disk_full = options_.on_disk_full,
       .interval = options_.control_interval,
       .apply = [this](const config::Overrides& overrides, const std::stop_token& stop) {
         Override(overrides, stop);
       }});
  if (!started.ok()) return started.status();
  {
    MutexLock lock(mutex_);
    if (!closed_) {
      control_ = *std::move(started);
      return absl::OkStatus();
    }
  }
  (*started)->Stop(deadline);
  return absl::OkStatus();
}

void Capture::StopControl(MonotonicTime deadline, const std::stop_token& cancel) {
  overrides_.clear();
  std::shared_ptr<CaptureControl> control;
  {
    MutexLock lock(mutex_);
    control = std::exchange(control_, nullptr);
  }
  if (control == nullptr) return;
  if (!control->Stop(deadline)) {
    options_.logger->Error("the disk hangs: sequences that are open end with the next run");
  }
  LetGo(control->sensor(), deadline, cancel);
}

void Capture::LetGo(const std::shared_ptr<AskedSensor>& sensor, MonotonicTime deadline,
                    const std::stop_token& cancel) {
  sensor->RequestStop();
  if (sensor->WaitUntilEnded(deadline, cancel)) return;
  if (!cancel.stop_requested()) {
    options_.logger->Error(
        absl::StrCat("sensor ", sensor->name(), ": its source did not return; left alone"));
  }
  MutexLock lock(mutex_);
  std::erase_if(hanging_sensors_,
                [](const auto& old) { return old->WaitUntilEnded(MonotonicTime::min()); });
  hanging_sensors_.push_back(sensor);
}

absl::Status Capture::SetSelectiveSensor(const std::string& name, const Sources& sources,
                                         MonotonicTime deadline, std::stop_token cancel,
                                         std::vector<std::string>* still_running) {
  std::shared_ptr<const SourceFunction> source;
  absl::Status status;
  if (!name.empty()) {
    auto found = FindSensor(sources, name);
    status = found.status();
    if (found.ok()) source = *std::move(found);
  }
  std::shared_ptr<SelectiveSensor> before;
  {
    MutexLock lock(mutex_);
    before = selective_;
    if (before != nullptr && before->sensor()->name() == name &&
        before->sensor()->source() == source) {
      return absl::OkStatus();
    }
    selective_ = nullptr;
  }
  if (before != nullptr) {
    LetGo(before->sensor(), deadline, cancel);
    if (still_running != nullptr && !before->sensor()->WaitUntilEnded(MonotonicTime::min())) {
      still_running->push_back(absl::StrCat("sensor ", before->sensor()->name()));
    }
  }
  if (source == nullptr) return status;
  std::shared_ptr<SourceTurn> source_turn;
  {
    const Turn turn(*this, cancel);
    if (!turn) return absl::CancelledError("closed");
    source_turn = turns_.Of(source);
  }
  auto started = SelectiveSensor::Start({.name = name,
                                         .source = source,
                                         .turn = source_turn,
                                         .stack_bytes = options_.source_stack_bytes,
                                         .clock = options_.clock});
  if (!started.ok()) return started.status();
  MutexLock lock(mutex_);
  if (closed_) return absl::CancelledError("closed");
  selective_ = *std::move(started);
  return absl::OkStatus();
}

absl::StatusOr<bool> Capture::ShouldSync(MonotonicTime deadline, std::stop_token stop) {
  std::shared_ptr<SelectiveSensor> selective;
  {
    MutexLock lock(mutex_);
    selective = selective_;
  }
  if (selective == nullptr) return absl::FailedPreconditionError("no sensor is there to be asked");
  return selective->ShouldSync(deadline, std::move(stop));
}

config::CaptureConfig Capture::Controlled() {
  std::vector<std::string> complaints;
  config::CaptureConfig config = config::WithOverrides(
      config_, overrides_,
      [this](std::string_view name, std::string_view method) {
        std::vector<std::string> apis = sources_.ApisOf(name);
        std::erase_if(apis, [&](const std::string& api) {
          return !FindMethod(api, method).ok() || sources_.Find(api, name, method) == nullptr;
        });
        return apis;
      },
      complaints);
  if (complaints.empty()) return config;
  constexpr size_t kNamed = 5;
  const size_t left_out = complaints.size() - std::min(kNamed, complaints.size());
  complaints.resize(complaints.size() - left_out);
  auto line = override_filter_.Pass(
      absl::StrCat("capture control sensor ", config_.control.name, ": cannot change ",
                   absl::StrJoin(complaints, "; "),
                   left_out == 0 ? "" : absl::StrCat("; and ", left_out, " more")),
      options_.clock->MonotonicNow());
  if (line.has_value()) options_.logger->Warning(*std::move(line));
  return config;
}

void Capture::Override(const config::Overrides& overrides, const std::stop_token& stop) {
  const Turn turn(*this, stop);
  if (!turn) return;
  overrides_ = overrides;
  std::vector<Entry> before;
  {
    MutexLock lock(mutex_);
    before = entries_;
  }
  // What has begun is brought to its end: it does not take long.
  const bool done =
      Reconcile({.deadline = options_.clock->MonotonicNow() + kOverrideLimit, .gentle = true});
  if (done) {
    std::vector<Entry> now;
    {
      MutexLock lock(mutex_);
      now = entries_;
    }
    SayOverridden(before, now);
  }
}

bool Capture::Reconcile(const Change& change) {
  const config::CaptureConfig config = Controlled();
  std::vector<Entry> entries;
  std::vector<CollectorOptions> work(config.collectors.size());
  ++reconciliations_;
  for (size_t i = 0; i < config.collectors.size(); ++i) {
    entries.push_back(Judge(config, config.collectors[i], &work[i]));
  }
  ForgetFormerCounters();
  // Whoever does the same work as before goes on; everybody else ends before anybody new begins.
  std::vector<Entry> ending;
  for (Entry& old : RunningEntries()) {
    // A collector that an interrupted change told to end does not continue.
    size_t i = old.collector->stop_requested() ? entries.size() : 0;
    while (i < entries.size() &&
           (entries[i].state != CollectorState::kRunning || entries[i].collector != nullptr ||
            !old.collector->options().SameWork(work[i]))) {
      ++i;
    }
    if (i < entries.size()) {
      entries[i].collector = old.collector;
    } else {
      if (!change.gentle) {
        options_.logger->Info(absl::StrCat("closing collector ", NameOf(old.settings)));
      }
      ending.push_back(std::move(old));
    }
  }
  if (!Stop(ending, change)) return false;
  if (!change.gentle) AbandonStopping(change.deadline);
  keeper_->SetFlushPolicy(
      {.durability = config.durability, .interval = config.durability_interval});
  std::vector<Entry> begun;
  for (size_t i = 0; i < entries.size(); ++i) {
    Entry& entry = entries[i];
    if (entry.state != CollectorState::kRunning || entry.collector != nullptr) continue;
    absl::Status started = Start(entry, std::move(work[i]), ending);
    if (!started.ok()) {
      entry.state = CollectorState::kRefused;
      entry.reason = std::string(started.message());
      entry.refusal = started.code();
      continue;
    }
    begun.push_back(entry);
    if (!change.gentle) {
      options_.logger->Info(
          absl::StrCat("collector initialized; collector: ", NameOf(entry.settings)));
    }
  }
  if (!change.gentle) SayRefused(entries);
  bool closed;
  {
    MutexLock lock(mutex_);
    closed = closed_;
    if (!closed) entries_ = std::move(entries);
  }
  if (!closed) return true;
  Stop(begun, {.deadline = change.deadline});
  return false;
}

void Capture::ForgetFormerCounters() {
  std::vector<std::pair<uint64_t, std::string>> former;
  for (const auto& [key, known] : counters_) {
    if (known.wanted != reconciliations_) former.emplace_back(known.wanted, key);
  }
  if (former.size() <= kFormerCounters) return;
  std::sort(former.begin(), former.end());
  former.resize(former.size() - kFormerCounters);
  for (const auto& [wanted, key] : former) counters_.erase(key);
}

void Capture::SayRefused(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    if (entry.state != CollectorState::kRefused) continue;
    options_.logger->Error(
        absl::StrCat("collector ", NameOf(entry.settings), " refused: ", entry.reason));
  }
}

void Capture::SayOverridden(const std::vector<Entry>& before, const std::vector<Entry>& now) {
  const auto find = [](const std::vector<Entry>& entries, const Entry& wanted) -> const Entry* {
    for (const Entry& entry : entries) {
      if (KeyOf(entry.settings) == KeyOf(wanted.settings)) return &entry;
    }
    return nullptr;
  };
  const auto runs = [](const Entry* entry) {
    return entry != nullptr && entry->state == CollectorState::kRunning;
  };
  const auto say = [this](const char* what, const Entry& entry, const std::string& why) {
    auto line = override_filter_.Pass(
        absl::StrCat("capture control sensor ", what, " ", NameOf(entry.settings), why),
        options_.clock->MonotonicNow());
    if (line.has_value()) options_.logger->Info(*std::move(line));
  };
  const auto why = [](const Entry& entry) {
    return entry.reason.empty() ? std::string(": as the config has it")
                                : absl::StrCat(": ", entry.reason);
  };
  for (const Entry& entry : now) {
    const Entry* old = find(before, entry);
    if (runs(&entry) && !runs(old)) {
      say("enabling", entry, why(entry));
    } else if (runs(&entry) && old->collector != entry.collector) {
      say("changing", entry, why(entry));
    } else if (!runs(&entry) && runs(old)) {
      say("disabling", entry, why(entry));
    } else if (entry.state == CollectorState::kRefused &&
               (old == nullptr || old->state != CollectorState::kRefused)) {
      say("cannot enable", entry, why(entry));
    }
  }
  for (const Entry& old : before) {
    if (runs(&old) && find(now, old) == nullptr) say("disabling", old, ": not in the config");
  }
}

absl::Status Capture::Start(Entry& entry, CollectorOptions work, const std::vector<Entry>& ended) {
  try {
    return TryStart(entry, std::move(work), ended);
  } catch (...) {
    return CaughtStatus("starting the collector");
  }
}

absl::Status Capture::TryStart(Entry& entry, CollectorOptions work,
                               const std::vector<Entry>& ended) {
  std::vector<std::shared_ptr<Collector>> predecessors;
  // From these it takes the phase.
  for (const Entry& old : ended) {
    if (KeyOf(old.settings) == KeyOf(entry.settings) && old.collector->ended()) {
      predecessors.push_back(old.collector);
    }
  }
  {
    MutexLock lock(mutex_);
    std::erase_if(stopping_, [](const Entry& old) { return old.collector->ended(); });
    for (const Entry& old : stopping_) {
      if (old.collector->options().source == work.source) predecessors.push_back(old.collector);
    }
  }
  absl::StatusOr<std::unique_ptr<Collector>> started =
      Collector::Start(std::move(work), predecessors);
  if (!started.ok()) return started.status();
  entry.collector = *std::move(started);
  return absl::OkStatus();
}

std::vector<Capture::Entry> Capture::RunningEntries() const {
  std::vector<Entry> running;
  MutexLock lock(mutex_);
  for (const Entry& entry : entries_) {
    if (entry.collector != nullptr) running.push_back(entry);
  }
  return running;
}

bool Capture::Stop(const std::vector<Entry>& ending, const Change& change) {
  for (const Entry& entry : ending) entry.collector->RequestStop();
  for (Entry entry : ending) {
    entry.collector->WaitUntilEnded(change.deadline, change.cancel);
    if (change.cancel.stop_requested()) return false;
    if (entry.collector->JoinUntil(change.deadline)) continue;
    if (!change.gentle) Abandon(entry);
    MutexLock lock(mutex_);
    stopping_.push_back(std::move(entry));
  }
  return true;
}

void Capture::Abandon(Entry& entry) {
  entry.collector->Abandon();
  entry.abandoned = true;
  options_.logger->Error(absl::StrCat("collector ", NameOf(entry.settings),
                                      ": its source did not return; left alone"));
}

void Capture::AbandonStopping(MonotonicTime deadline) {
  std::vector<Entry> stopping;
  {
    MutexLock lock(mutex_);
    stopping = std::exchange(stopping_, {});
  }
  std::erase_if(stopping, [&](Entry& entry) {
    if (entry.abandoned) return entry.collector->ended();
    if (entry.collector->JoinUntil(deadline)) return true;
    Abandon(entry);
    return false;
  });
  MutexLock lock(mutex_);
  stopping_.insert(stopping_.end(), stopping.begin(), stopping.end());
}

absl::Status Capture::Flush(MonotonicTime deadline, std::stop_token stop) {
  std::vector<Entry> open = RunningEntries();
  {
    // A collector that is still ending may still have an open file.
    MutexLock lock(mutex_);
    std::copy_if(stopping_.begin(), stopping_.end(), std::back_inserter(open),
                 [](const Entry& entry) { return !entry.abandoned; });
  }
  const uint64_t before = keeper_->handed_over();
  bool all = true;
  for (const Entry& entry : open) {
    if (stop.stop_requested()) return absl::CancelledError("flush");
    all = entry.collector->Flush(deadline) && all;
  }
  const absl::Status status = keeper_->WaitUntilPublished(deadline, stop, before);
  if (!status.ok() && !absl::IsDeadlineExceeded(status)) return Wrap(status, "flush");
  if (status.ok() && all) return status;
  return absl::DeadlineExceededError(absl::StrCat(
      "flush: the disk is slow: ",
      status.ok() ? absl::string_view("a record is still being written") : status.message(),
      "; open files are published later"));
}

absl::Status Capture::Close(MonotonicTime source_deadline, MonotonicTime disk_deadline) {
  std::shared_ptr<CaptureControl> control;
  std::shared_ptr<SelectiveSensor> selective;
  {
    MutexLock lock(mutex_);
    closed_ = true;
    control = std::exchange(control_, nullptr);
    selective = std::exchange(selective_, nullptr);
    if (control != nullptr) hanging_sensors_.push_back(control->sensor());
    if (selective != nullptr) hanging_sensors_.push_back(selective->sensor());
    for (const auto& sensor : hanging_sensors_) sensor->RequestStop();
  }
  const std::vector<Entry> running = RunningEntries();
  for (const Entry& entry : running) entry.collector->RequestStop();
  if (control != nullptr) control->EndApplying();
  Stop(running, {.deadline = source_deadline});
  AbandonStopping(source_deadline);
  // Those that were left alone may return in time.
  std::vector<Entry> left_alone;
  std::vector<std::shared_ptr<AskedSensor>> sensors;
  {
    MutexLock lock(mutex_);
    left_alone = stopping_;
    sensors = hanging_sensors_;
  }
  for (const Entry& entry : left_alone) entry.collector->WaitUntilEnded(source_deadline);
  for (const auto& sensor : sensors) sensor->WaitUntilEnded(source_deadline);
  keeper_->Close(disk_deadline);
  // Its thread has been at it since EndApplying.
  const bool sequences_written = control == nullptr || control->Stop(disk_deadline);

  const absl::Status published = keeper_->WaitUntilPublished(options_.clock->MonotonicNow(), {});

  std::vector<std::string> faults;
  std::vector<std::string> names;
  {
    MutexLock lock(mutex_);
    for (Entry& entry : entries_) {
      if (entry.collector == nullptr) continue;
      entry.collector = nullptr;
      entry.state = CollectorState::kDisabled;
      entry.reason = "closed";
    }
    for (const Entry& entry : stopping_) {
      if (!entry.collector->ended()) names.push_back(NameOf(entry.settings));
    }
    for (const auto& sensor : hanging_sensors_) {
      if (!sensor->WaitUntilEnded(MonotonicTime::min())) names.push_back(sensor->name());
    }
  }
  if (!names.empty()) {
    faults.push_back(absl::StrCat("these sources did not return and were left alone: ",
                                  absl::StrJoin(names, ", ")));
  }
  if (absl::IsDeadlineExceeded(published)) {
    faults.push_back(absl::StrCat("the disk hangs: ", published.message(),
                                  "; they stay in progress, and the next run recovers them"));
  } else if (!published.ok()) {
    faults.push_back(std::string(published.message()));
  }
  if (!sequences_written) {
    faults.push_back("the disk hangs: sequences that are open end with the next run");
  }
  if (faults.empty()) return absl::OkStatus();
  return absl::DeadlineExceededError(absl::StrJoin(faults, "; "));
}

std::vector<CollectorStats> Capture::Stats() const {
  std::vector<CollectorStats> all;
  const MonotonicTime now = options_.clock->MonotonicNow();
  const auto add = [&all, now](const Entry& entry, CollectorState state, std::string reason) {
    CollectorStats stats{.api = entry.settings.api,
                         .name = entry.settings.name,
                         .method = entry.settings.method,
                         .state = state,
                         .frequency_hz = FrequencyOf(entry.settings),
                         .reason = std::move(reason)};
    entry.counters->CopyTo(stats, now);
    all.push_back(std::move(stats));
  };
  MutexLock lock(mutex_);
  for (const Entry& entry : entries_) add(entry, entry.state, entry.reason);
  for (const Entry& entry : stopping_) {
    if (entry.collector->ended()) continue;
    add(entry, CollectorState::kStopping, "its source has not returned");
  }
  return all;
}

CaptureControlStats Capture::ControlStats() const {
  const std::shared_ptr<CaptureControl> control = current_control();
  return control == nullptr ? CaptureControlStats{} : control->Stats();
}

}  // namespace datamanager::capture
