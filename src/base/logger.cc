#include "base/logger.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/callback_scope.h"
#include "base/mutex.h"
#include "base/thread.h"

namespace datamanager {
namespace {

// Enough for a burst of errors from every collector at once, at about 200 bytes a message.
constexpr size_t kQueueLimit = 1024;
// How long Close waits for a sink. Part of the second that DataManager::Close takes.
constexpr std::chrono::milliseconds kCloseLimit{300};

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::off;
}

}  // namespace

std::string_view LogLevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "unknown";
}

namespace {

struct StandardErrorSink {
  void operator()(const LogEntry& entry) const {
    logger->log(entry.time, spdlog::source_loc{}, ToSpdlog(entry.level), entry.message);
  }

  std::shared_ptr<spdlog::logger> logger;
  LogLevel level = LogLevel::kInfo;
};

// The lowest level that the sink writes; an embedder's own takes everything.
LogLevel LowestLevelOf(const LogSink& sink) {
  const auto* const standard_error = sink.target<StandardErrorSink>();
  return standard_error == nullptr ? LogLevel::kDebug : standard_error->level;
}

}  // namespace

LogSink StandardErrorLog(LogLevel level) {
  auto logger = std::make_shared<spdlog::logger>(
      "datamanager", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  logger->set_level(ToSpdlog(level));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
  return StandardErrorSink{.logger = std::move(logger), .level = level};
}

// Co-owned by the log thread, which may outlive the Logger when the sink hangs.
struct Logger::State {
  State(LogSink log_sink, std::chrono::milliseconds log_rest)
      : sink(std::move(log_sink)), lowest(LowestLevelOf(sink)), rest(log_rest) {}

  const LogSink sink;
  const LogLevel lowest;
  const std::chrono::milliseconds rest;
  Mutex mutex;
  CondVar changed;
  std::deque<LogEntry> queue DM_GUARDED_BY(mutex);
  bool closed DM_GUARDED_BY(mutex) = false;
  bool resting DM_GUARDED_BY(mutex) = false;   // The thread looks into the queue in a moment.
  bool pressing DM_GUARDED_BY(mutex) = false;  // It shall look at once.
  uint64_t dropped DM_GUARDED_BY(mutex) = 0;
  uint64_t reported DM_GUARDED_BY(mutex) = 0;  // How many of `dropped` the sink was told about.
  Mutex thread_mutex;
  Thread thread DM_GUARDED_BY(thread_mutex);

  void Run();
  void Tell(const LogEntry& entry) const;
};

void Logger::State::Tell(const LogEntry& entry) const {
  const CallbackScope scope;
  try {
    sink(entry);
  } catch (...) {
    // A sink that throws loses its message; there is nobody else to tell.
  }
}

void Logger::State::Run() {
  std::deque<LogEntry> batch;
  while (true) {
    uint64_t lost = 0;
    {
      MutexLock lock(mutex);
      if (resting) {
        changed.WaitUntil(mutex, Clock::System().MonotonicNow() + rest, [this] {
          mutex.AssertHeld();
          return closed || pressing;
        });
        resting = false;
      }
      changed.Wait(mutex, [this] {
        mutex.AssertHeld();
        return closed || !queue.empty();
      });
      if (queue.empty()) return;
      batch.swap(queue);
      pressing = false;
      resting = true;
      lost = dropped - reported;
      reported = dropped;
    }
    for (const LogEntry& entry : batch) Tell(entry);
    batch.clear();
    if (lost > 0) {
      Tell({.time = Clock::System().WallNow(),
            .level = LogLevel::kWarning,
            .message = absl::StrCat("the log sink is too slow: dropped ", lost, " messages")});
    }
  }
}

absl::StatusOr<std::shared_ptr<Logger>> Logger::Create(LogSink sink,
                                                       std::chrono::milliseconds rest) {
  auto state = std::make_shared<State>(sink ? std::move(sink) : StandardErrorLog(), rest);
  absl::StatusOr<Thread> thread =
      Thread::Start("dm-log", kSystemStackBytes, [state] { state->Run(); });
  if (!thread.ok()) return thread.status();
  {
    MutexLock lock(state->thread_mutex);
    state->thread = *std::move(thread);
  }
  return std::shared_ptr<Logger>(new Logger(std::move(state)));
}

Logger::~Logger() { Close(); }

bool Logger::Wants(LogLevel level) const { return level >= state_->lowest; }

void Logger::Log(LogLevel level, std::string message) {
  if (!Wants(level)) return;
  LogEntry entry{.time = Clock::System().WallNow(), .level = level, .message = std::move(message)};
  bool wake = false;
  {
    MutexLock lock(state_->mutex);
    if (state_->closed || state_->queue.size() >= kQueueLimit) {
      ++state_->dropped;
      return;
    }
    const bool presses = level >= LogLevel::kWarning || state_->queue.size() >= kQueueLimit / 2;
    wake = state_->resting ? presses && !state_->pressing : state_->queue.empty();
    state_->pressing = state_->pressing || presses;
    state_->queue.push_back(std::move(entry));
  }
  // Without the lock, for which the thread would go back to sleep.
  if (wake) state_->changed.NotifyOne();
}

uint64_t Logger::dropped() const {
  MutexLock lock(state_->mutex);
  return state_->dropped;
}

void Logger::Close() {
  {
    MutexLock lock(state_->mutex);
    state_->closed = true;
    state_->changed.NotifyAll();
  }
  MutexLock lock(state_->thread_mutex);
  // The sink itself may hold the last reference to us: it cannot wait for its own thread.
  if (CallbackScope::Active() ||
      !state_->thread.JoinUntil(Clock::System().MonotonicNow() + kCloseLimit)) {
    state_->thread.Detach();
  }
}

}  // namespace datamanager
