#include "cloud/event_queue.h"

#include <grpc/support/time.h>

#include <algorithm>
#include <cassert>
#include <chrono>

namespace datamanager::cloud {
namespace {

gpr_timespec ToGpr(MonotonicTime deadline) {
  // gRPC's monotonic clock has its own zero.
  const auto wait = deadline - Clock::System().MonotonicNow();
  // gRPC rounds up to the next millisecond, and would wait for it.
  if (wait <= MonotonicTime::duration(0)) return gpr_inf_past(GPR_CLOCK_MONOTONIC);
  if (wait > std::chrono::hours(24)) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
  return gpr_time_add(
      gpr_now(GPR_CLOCK_MONOTONIC),
      gpr_time_from_nanos(std::chrono::duration_cast<std::chrono::nanoseconds>(wait).count(),
                          GPR_TIMESPAN));
}

}  // namespace

EventQueue::~EventQueue() {
  assert(deadlines_.empty());
  queue_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) assert(tag == &wake_);
}

void EventQueue::SetDeadline(Operation* operation, MonotonicTime deadline) {
  ClearDeadline(operation);
  deadlines_.emplace_back(operation, deadline);
}

void EventQueue::ClearDeadline(Operation* operation) {
  std::erase_if(deadlines_, [operation](const auto& entry) { return entry.first == operation; });
}

void EventQueue::Wake() {
  if (!waking_.exchange(true)) wake_.Set(&queue_, gpr_now(GPR_CLOCK_MONOTONIC), &wake_);
}

bool EventQueue::Next(MonotonicTime deadline, Event& event) {
  void* tag = nullptr;
  bool ok = false;
  if (queue_.AsyncNext(&tag, &ok, ToGpr(deadline)) != grpc::CompletionQueue::GOT_EVENT) {
    return false;
  }
  if (tag == &wake_) {
    waking_ = false;
    event = {};
  } else {
    event = {.operation = static_cast<Operation*>(tag), .ok = ok};
  }
  return true;
}

bool EventQueue::PassOnDeadlines(MonotonicTime now) {
  std::vector<Operation*> passed;
  for (const auto& [operation, deadline] : deadlines_) {
    if (deadline <= now) passed.push_back(operation);
  }
  for (Operation* operation : passed) {
    // One that is handled may have ended another.
    const auto found =
        std::find_if(deadlines_.begin(), deadlines_.end(),
                     [operation](const auto& entry) { return entry.first == operation; });
    if (found == deadlines_.end()) continue;
    deadlines_.erase(found);
    operation->OnDeadline();
  }
  return !passed.empty();
}

bool EventQueue::RunOne(MonotonicTime deadline) {
  if (!posted_.empty()) {
    const std::function<void()> function = std::move(posted_.front());
    posted_.pop_front();
    function();
    return true;
  }
  Event event;
  if (!put_off_.empty()) {
    event = put_off_.front();
    put_off_.pop_front();
  } else {
    MonotonicTime limit = deadline;
    for (const auto& entry : deadlines_) limit = std::min(limit, entry.second);
    if (!Next(limit, event)) return PassOnDeadlines(Clock::System().MonotonicNow());
    if (event.operation == nullptr) return false;
  }
  ClearDeadline(event.operation);
  event.operation->OnEvent(event.ok);
  return true;
}

void EventQueue::AwaitEventOf(const Operation* operation) {
  const auto put_off =
      std::find_if(put_off_.begin(), put_off_.end(),
                   [operation](const Event& event) { return event.operation == operation; });
  if (put_off != put_off_.end()) {
    put_off_.erase(put_off);
    return;
  }
  Event event;
  while (Next(MonotonicTime::max(), event)) {
    if (event.operation == nullptr) {
      Wake();  // It was meant for RunOne.
      continue;
    }
    if (event.operation == operation) return;
    put_off_.push_back(event);
  }
}

}  // namespace datamanager::cloud
