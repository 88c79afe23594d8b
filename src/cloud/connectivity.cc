#include "cloud/connectivity.h"

#include <grpc/support/time.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>

#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "cloud/call.h"

namespace datamanager::cloud {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;

// How long the probe waits for a connection under way to fail or succeed.
constexpr std::chrono::milliseconds kProbeTimeout = 1s;
// gRPC ends the calls of a broken connection before it tells the channel's state, through two more
// of its layers. Without the wait, 1 in 40 calls cut off by a killed server still found it READY.
constexpr std::chrono::milliseconds kStateLag = 100ms;
constexpr std::chrono::milliseconds kCloseLimit = 1s;

// A call whose only purpose is its error.
class Probe {
 public:
  // Delivers itself to `queue` when it is over: after kProbeTimeout at the latest, at once on
  // `stop`.
  Probe(const std::shared_ptr<grpc::Channel>& channel, grpc::CompletionQueue& queue,
        const std::stop_token& stop)
      : cancel_(stop, CancelCall{&context_}) {
    context_.set_deadline(DeadlineAfter(kProbeTimeout));
    grpc::GenericStub stub(channel);
    call_ =
        stub.PrepareUnaryCall(&context_, "/grpc.health.v1.Health/Check", ToByteBuffer(""), &queue);
    call_->StartCall();
    call_->Finish(&reply_, &status_, this);
  }

  // Once delivered: why there is no connection, or nothing if the server answered.
  std::string Reason() const {
    switch (status_.error_code()) {
      case grpc::StatusCode::UNAVAILABLE:
        return status_.error_message();
      case grpc::StatusCode::DEADLINE_EXCEEDED:
        return absl::StrCat("no answer within ", Format(kProbeTimeout));
      default:
        return {};
    }
  }

 private:
  grpc::ClientContext context_;
  grpc::ByteBuffer reply_;
  grpc::Status status_;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> call_;
  const std::stop_callback<CancelCall> cancel_;
};

}  // namespace

ConnectionState NextState(ConnectionState before, grpc_connectivity_state channel) {
  switch (channel) {
    case GRPC_CHANNEL_IDLE:
      return before;
    case GRPC_CHANNEL_CONNECTING:
      return before == ConnectionState::kConnecting ? before : ConnectionState::kUnhealthy;
    case GRPC_CHANNEL_READY:
      return ConnectionState::kHealthy;
    case GRPC_CHANNEL_TRANSIENT_FAILURE:
      return ConnectionState::kUnhealthy;
    case GRPC_CHANNEL_SHUTDOWN:
      break;
  }
  return ConnectionState::kClosed;
}

// Co-owned by the thread. It refers to the channel weakly: only the end of the channel completes a
// pending notification, and with it the queue.
struct Connectivity::Watch {
  Watch(const std::string& address, const std::shared_ptr<grpc::Channel>& watched,
        std::shared_ptr<Logger> log)
      : name(address),
        channel(watched),
        logger(std::move(log)),
        status({.state = ConnectionState::kConnecting,
                .since = Clock::System().WallNow(),
                .address = address}) {}

  // The thread's.
  void Run();
  void Observe();
  void Enter(grpc_connectivity_state state);
  void LogConnected();
  void StartProbe();
  void FinishProbe();
  void CallListener(bool now_ready) DM_EXCLUDES(mutex);

  // Anybody's.
  void SetListener(std::function<void(bool ready)> replacement) DM_EXCLUDES(mutex);

  const std::string name;  // host:port.
  const std::weak_ptr<grpc::Channel> channel;
  const std::shared_ptr<Logger> logger;
  std::stop_source closing;

  // The thread's alone.
  grpc::CompletionQueue queue;
  std::unique_ptr<Probe> probe;
  bool connected_before = false;
  bool loss_logged = false;  // Since the last time it was healthy.

  Mutex mutex;
  CondVar changed;  // The state of the channel, or `calling`.
  bool ready DM_GUARDED_BY(mutex) = false;
  ConnectionStatus status DM_GUARDED_BY(mutex);
  std::function<void(bool ready)> listener DM_GUARDED_BY(mutex);
  std::thread::id calling DM_GUARDED_BY(mutex);  // The thread inside the listener.
};

void Connectivity::Watch::Run() {
  Observe();
  void* tag = nullptr;
  bool ok = false;
  while (queue.Next(&tag, &ok)) {
    if (tag == this) {
      Observe();
    } else {
      FinishProbe();
    }
  }
}

void Connectivity::Watch::Observe() {
  std::shared_ptr<grpc::Channel> watched = channel.lock();
  if (watched == nullptr) {
    queue.Shutdown();
    return;
  }
  const grpc_connectivity_state state = watched->GetState(/*try_to_connect=*/false);
  watched->NotifyOnStateChange(state, gpr_inf_future(GPR_CLOCK_MONOTONIC), &queue, this);
  watched.reset();  // Nothing that follows may keep the channel alive.
  Enter(state);
}

void Connectivity::Watch::Enter(grpc_connectivity_state state) {
  bool was_ready;
  ConnectionState before;
  ConnectionState now;
  {
    MutexLock lock(mutex);
    was_ready = std::exchange(ready, state == GRPC_CHANNEL_READY);
    before = status.state;
    now = NextState(before, state);
    status.state = now;
    if (now != before) status.since = Clock::System().WallNow();
    changed.NotifyAll();
  }
  // READY after READY is another connection: there was a change in between.
  if (was_ready) CallListener(false);
  if (state == GRPC_CHANNEL_READY) CallListener(true);
  if (now == ConnectionState::kHealthy && before != now) LogConnected();
  if (now == ConnectionState::kUnhealthy &&
      (before != now || state == GRPC_CHANNEL_TRANSIENT_FAILURE)) {
    StartProbe();
  }
}

void Connectivity::Watch::LogConnected() {
  if (!connected_before) {
    logger->Info(absl::StrCat("Connected to app at ", name));
  } else if (loss_logged) {
    logger->Info(absl::StrCat("Regained connection to app at ", name));
  } else {
    // Replaced before anybody could miss it: woken from idleness, or moved by a load balancer.
    logger->Debug(absl::StrCat("Reconnected to app at ", name));
  }
  connected_before = true;
  loss_logged = false;
}

void Connectivity::Watch::StartProbe() {
  if (probe != nullptr) return;  // It will tell.
  const std::shared_ptr<grpc::Channel> watched = channel.lock();
  if (watched != nullptr) probe = std::make_unique<Probe>(watched, queue, closing.get_token());
}

void Connectivity::Watch::FinishProbe() {
  const std::string reason = std::exchange(probe, nullptr)->Reason();
  if (reason.empty()) return;
  {
    MutexLock lock(mutex);
    if (status.state != ConnectionState::kUnhealthy) return;
    status.last_error = reason;
  }
  if (std::exchange(loss_logged, true)) return;
  if (connected_before) {
    logger->Info(absl::StrCat("Lost connection to app at ", name, ": ", reason));
  } else {
    logger->Info(absl::StrCat("No connection to app at ", name, " yet: ", reason));
  }
}

void Connectivity::Watch::CallListener(bool now_ready) {
  std::function<void(bool ready)> called;
  {
    MutexLock lock(mutex);
    if (listener == nullptr) return;
    called = listener;
    calling = std::this_thread::get_id();
  }
  called(now_ready);
  called = nullptr;  // Before the call counts as over, so that nothing of the listener is left.
  MutexLock lock(mutex);
  calling = {};
  changed.NotifyAll();
}

void Connectivity::Watch::SetListener(std::function<void(bool ready)> replacement) {
  MutexLock lock(mutex);
  listener.swap(replacement);
  if (calling == std::this_thread::get_id()) return;
  changed.Wait(mutex, [this] {
    mutex.AssertHeld();
    return calling == std::thread::id();
  });
}

absl::StatusOr<std::unique_ptr<Connectivity>> Connectivity::Start(const Address& address,
                                                                  std::shared_ptr<Logger> logger,
                                                                  Keepalive keepalive) {
  std::shared_ptr<grpc::Channel> channel = MakeChannel(address.target, keepalive);
  auto watch = std::make_shared<Watch>(address.name, channel, std::move(logger));
  absl::StatusOr<Thread> thread =
      Thread::Start("dm-cloud", kOwnStackBytes, [watch] { watch->Run(); });
  if (!thread.ok()) return thread.status();
  auto connectivity =
      absl::WrapUnique(new Connectivity(std::move(channel), std::move(watch), *std::move(thread)));
  connectivity->RequestConnect();
  return connectivity;
}

Connectivity::Connectivity(std::shared_ptr<grpc::Channel> channel, std::shared_ptr<Watch> watch,
                           Thread thread)
    : channel_(std::move(channel)), watch_(std::move(watch)), thread_(std::move(thread)) {}

Connectivity::~Connectivity() {
  watch_->closing.request_stop();
  channel_.reset();
  thread_.JoinUntil(Clock::System().MonotonicNow() + kCloseLimit);
}

ConnectionStatus Connectivity::Status() const {
  MutexLock lock(watch_->mutex);
  return watch_->status;
}

bool Connectivity::Ready() const {
  return channel_->GetState(/*try_to_connect=*/false) == GRPC_CHANNEL_READY;
}

void Connectivity::RequestConnect() { channel_->GetState(/*try_to_connect=*/true); }

bool Connectivity::WaitUntilReady(MonotonicTime deadline, std::stop_token stop) {
  RequestConnect();
  Watch& watch = *watch_;
  MutexLock lock(watch.mutex);
  // The thread must know, so that the status agrees and the listener hears of the next loss; and
  // the channel is asked too, since the thread may be about to learn that it is over.
  return watch.changed.WaitUntil(watch.mutex, stop, deadline, [this, &watch] {
    watch.mutex.AssertHeld();
    return watch.ready && Ready();
  });
}

void Connectivity::SetReadyListener(std::function<void(bool ready)> listener) {
  watch_->SetListener(std::move(listener));
}

bool Connectivity::ReadyAfter(const absl::Status& status) {
  if (status.code() == absl::StatusCode::kUnavailable) {
    channel_->WaitForStateChange(GRPC_CHANNEL_READY, DeadlineAfter(kStateLag));
  }
  if (Ready()) return true;
  if (!status.ok() && status.code() != absl::StatusCode::kCancelled) {
    MutexLock lock(watch_->mutex);
    watch_->status.last_error = std::string(ToStd(status.message()));
  }
  return false;
}

}  // namespace datamanager::cloud
