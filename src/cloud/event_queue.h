// gRPC's completion queue, for one thread that has several operations under way.
#ifndef DATAMANAGER_SRC_CLOUD_EVENT_QUEUE_H_
#define DATAMANAGER_SRC_CLOUD_EVENT_QUEUE_H_

#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>

#include <atomic>
#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "datamanager/clock.h"

namespace datamanager::cloud {

// Something under way in gRPC. Its address is the tag that it begins with.
class Operation {
 public:
  virtual ~Operation() = default;

  // The event of its tag.
  virtual void OnEvent(bool ok) = 0;
  // Its deadline has passed without an event, which still follows. The deadline is gone by then.
  virtual void OnDeadline() = 0;
};

// All but Wake is for one thread. Every operation must have had its event before this is destroyed.
class EventQueue {
 public:
  EventQueue() = default;
  ~EventQueue();
  EventQueue(const EventQueue&) = delete;
  EventQueue& operator=(const EventQueue&) = delete;

  // What operations begin with.
  grpc::CompletionQueue* queue() { return &queue_; }
  // An operation has at most one deadline.
  void SetDeadline(Operation* operation, MonotonicTime deadline);
  void ClearDeadline(Operation* operation);
  // RunOne calls it, after those before it.
  void Post(std::function<void()> function) { posted_.push_back(std::move(function)); }

  // Waits for an event, and passes it on. Deadlines that have passed are passed on, too, but only
  // if no event is there: a thread that was away for long takes no answer for missing. False: there
  // was nothing by `deadline`, or before a Wake.
  bool RunOne(MonotonicTime deadline);
  // Has the RunOne under way, or else the next one, not wait. Any thread. Does not block.
  void Wake();

  // Waits for the event of one operation, which is not passed on; the others' are, later.
  void AwaitEventOf(const Operation* operation);

 private:
  struct Event {
    Operation* operation = nullptr;  // Null: a Wake.
    bool ok = false;
  };
  // False: nothing by then.
  bool Next(MonotonicTime deadline, Event& event);
  bool PassOnDeadlines(MonotonicTime now);

  grpc::CompletionQueue queue_;
  grpc::Alarm wake_;
  std::atomic<bool> waking_ = false;
  std::deque<std::function<void()>> posted_;
  std::deque<Event> put_off_;
  // As few as there are uploads under way.
  std::vector<std::pair<Operation*, MonotonicTime>> deadlines_;
};

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_EVENT_QUEUE_H_
