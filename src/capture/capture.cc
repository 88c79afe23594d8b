#include "capture/capture.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/strings.h"
#include "capture/collector_metadata.h"
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

}  // namespace

absl::StatusOr<std::unique_ptr<Capture>> Capture::Create(CaptureOptions options) {
  auto keeper = Keeper::Start({.ops = options.ops,
                               .clock = options.clock,
                               .logger = options.logger,
                               .on_published = options.on_published});
  if (!keeper.ok()) return keeper.status();
  return std::unique_ptr<Capture>(new Capture(std::move(options), *std::move(keeper)));
}

Capture::Capture(CaptureOptions options, std::shared_ptr<Keeper> keeper)
    : options_(std::move(options)), keeper_(std::move(keeper)) {}

Capture::~Capture() {
  const MonotonicTime now = options_.clock->MonotonicNow();
  Close(now, now).IgnoreError();  // Whoever cares has called Close.
}

absl::Status Capture::Check(const config::CaptureConfig& config) const {
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
  if (status.ok()) return status;
  return absl::FailedPreconditionError(absl::StrCat(
      "capture_dir: ", status.message(), "; name a directory that this process may write to"));
}

Capture::Entry Capture::Judge(const config::CaptureConfig& config,
                              const config::ConfiguredCollector& configured, const Sources& sources,
                              CollectorOptions* work) {
  const config::CollectorSettings& settings = configured.settings;
  Entry entry{.settings = settings, .state = configured.state, .reason = configured.reason};
  std::shared_ptr<CollectorCounters>& counters = counters_[KeyOf(settings)];
  if (counters == nullptr) counters = std::make_shared<CollectorCounters>();
  entry.counters = counters;
  if (entry.state != CollectorState::kRunning) return entry;

  const auto refuse = [&entry](std::string reason) {
    entry.state = CollectorState::kRefused;
    entry.reason = std::move(reason);
    return entry;
  };
  absl::StatusOr<const Method*> method = FindMethod(settings.api, settings.method);
  if (!method.ok()) return refuse(std::string(method.status().message()));
  absl::Status parameters = CheckParameters(**method, settings.additional_params);
  if (!parameters.ok()) return refuse(std::string(parameters.message()));
  std::shared_ptr<const SourceFunction> source =
      sources.Find(settings.api, settings.name, settings.method);
  if (source == nullptr) {
    return refuse(absl::StrCat("no source for resource ", settings.api, "/", settings.name,
                               sources.Has(settings.api, settings.name)
                                   ? absl::StrCat(" has the method ", settings.method)
                                   : std::string(" was added")));
  }
  absl::StatusOr<std::string> metadata = CollectorMetadata(settings, **method, config.tags, "");
  if (!metadata.ok()) return refuse(std::string(metadata.status().message()));
  *work = {.settings = settings,
           .method = *method,
           .source = std::move(source),
           .directory = capture_file::CollectorDirectory(config.directory, settings.api,
                                                         settings.name, settings.method),
           .tags = config.tags,
           .max_file_bytes = config.max_file_bytes,
           .counters = entry.counters,
           .keeper = keeper_,
           .logger = options_.logger,
           .ops = options_.ops,
           .clock = options_.clock};
  return entry;
}

bool Capture::Reconfigure(const config::CaptureConfig& config, const Sources& sources,
                          MonotonicTime deadline, std::stop_token cancel) {
  std::vector<Entry> entries;
  std::vector<CollectorOptions> work(config.collectors.size());
  for (size_t i = 0; i < config.collectors.size(); ++i) {
    entries.push_back(Judge(config, config.collectors[i], sources, &work[i]));
  }
  // Whoever does the same work as before goes on; everybody else ends before anybody new begins.
  std::vector<Entry> ending;
  for (Entry& old : RunningEntries()) {
    size_t i = 0;
    while (i < entries.size() &&
           (entries[i].state != CollectorState::kRunning || entries[i].collector != nullptr ||
            !old.collector->options().SameWork(work[i]))) {
      ++i;
    }
    if (i < entries.size()) {
      entries[i].collector = old.collector;
    } else {
      options_.logger->Info(absl::StrCat("closing collector ", NameOf(old.settings)));
      ending.push_back(std::move(old));
    }
  }
  if (!Stop(ending, deadline, cancel)) return false;
  keeper_->SetFlushPolicy(
      {.durability = config.durability, .interval = config.durability_interval});
  std::vector<Entry> begun;
  for (size_t i = 0; i < entries.size(); ++i) {
    Entry& entry = entries[i];
    if (entry.state == CollectorState::kRunning && entry.collector == nullptr) {
      absl::Status started = Start(entry, std::move(work[i]));
      if (!started.ok()) {
        entry.state = CollectorState::kRefused;
        entry.reason = std::string(started.message());
      } else {
        begun.push_back(entry);
      }
    }
    if (entry.state == CollectorState::kRefused) {
      options_.logger->Error(
          absl::StrCat("collector ", NameOf(entry.settings), " refused: ", entry.reason));
    }
  }
  bool closed;
  {
    MutexLock lock(mutex_);
    closed = closed_;
    if (!closed) entries_ = std::move(entries);
  }
  if (closed) {
    Stop(begun, deadline, {});
    return false;
  }
  if (recovered_directory_ != config.directory) {
    recovered_directory_ = config.directory;
    keeper_->Recover(config.directory);
  }
  return true;
}

absl::Status Capture::Start(Entry& entry, CollectorOptions work) {
  std::vector<std::shared_ptr<Collector>> predecessors;
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
  options_.logger->Info(absl::StrCat("collector initialized; collector: ", NameOf(entry.settings)));
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

bool Capture::Stop(const std::vector<Entry>& ending, MonotonicTime deadline,
                   const std::stop_token& cancel) {
  for (const Entry& entry : ending) entry.collector->RequestStop();
  for (const Entry& entry : ending) {
    entry.collector->WaitUntilEnded(deadline, cancel);
    if (cancel.stop_requested()) return false;
    if (entry.collector->JoinUntil(deadline)) continue;
    entry.collector->Abandon();
    options_.logger->Error(absl::StrCat("collector ", NameOf(entry.settings),
                                        ": its source did not return; left alone"));
    MutexLock lock(mutex_);
    stopping_.push_back(entry);
  }
  return true;
}

absl::Status Capture::Flush(MonotonicTime deadline, std::stop_token stop) {
  for (const Entry& entry : RunningEntries()) {
    if (stop.stop_requested()) return absl::CancelledError("flush");
    entry.collector->Flush(deadline);
  }
  if (keeper_->WaitUntilPublished(deadline, stop)) return absl::OkStatus();
  if (stop.stop_requested()) return absl::CancelledError("flush");
  return absl::DeadlineExceededError("flush: the disk is slow; open files are published later");
}

absl::Status Capture::Close(MonotonicTime source_deadline, MonotonicTime disk_deadline) {
  {
    MutexLock lock(mutex_);
    closed_ = true;
  }
  Stop(RunningEntries(), source_deadline, {});
  // Those that an earlier Reconfigure left alone may return in time.
  std::vector<Entry> left_alone;
  {
    MutexLock lock(mutex_);
    left_alone = stopping_;
  }
  for (const Entry& entry : left_alone) entry.collector->WaitUntilEnded(source_deadline);
  keeper_->Close(disk_deadline);

  const bool published = keeper_->WaitUntilPublished(options_.clock->MonotonicNow(), {});

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
  }
  if (!names.empty()) {
    faults.push_back(absl::StrCat("these sources did not return and were left alone: ",
                                  absl::StrJoin(names, ", ")));
  }
  if (!published) {
    faults.push_back(
        "the disk hangs: the thread that flushes files was left alone; the file it is at is "
        "recovered by the next run, those behind it were published unflushed");
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

}  // namespace datamanager::capture
