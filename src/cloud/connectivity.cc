#include "cloud/connectivity.h"

#include <grpc/support/time.h>
#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>

#include <atomic>
#include <chrono>
#include <string>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "cloud/call.h"
#include "cloud/channel_sockets.h"
#include "cloud/connect_failure.h"

namespace datamanager::cloud {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;

// How long the probe waits for a connection under way to fail or succeed.
constexpr std::chrono::milliseconds kProbeTimeout = 1s;
constexpr std::chrono::milliseconds kCloseLimit = 1s;

// A call whose only purpose is its error.
class Probe {
 public:
  // Delivers itself to `queue` when it is over: after kProbeTimeout at the latest, at once on
  // `stop`.
  Probe(const std::shared_ptr<grpc::Channel>& channel, const Token& token,
        grpc::CompletionQueue& queue, const std::stop_token& stop)
      : cancel_(stop, CancelCall{&context_}) {
    context_.set_deadline(DeadlineAfter(kProbeTimeout));
    AddToken(token, context_);
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

// `number` is what LinkWatch follows it by. Where it cannot, gRPC's own pings have to do.
std::shared_ptr<grpc::Channel> MakeFollowedChannel(
    const Endpoint& endpoint, const ChannelLimits& limits,
    const std::shared_ptr<std::atomic<bool>>& server_accepted, std::optional<int64_t>& number) {
  if (!endpoint.address.host.empty()) {
    ChannelLimits patient = limits;
    patient.ping_timeout = LinkWatch::kPingTimeout;
    std::shared_ptr<grpc::Channel> channel = MakeChannel(endpoint, patient, server_accepted);
    number = NewestChannel(endpoint.address.target);
    if (number.has_value()) return channel;
  }
  return MakeChannel(endpoint, limits, server_accepted);
}

}  // namespace

ConnectionState NextState(ConnectionState before, grpc_connectivity_state channel,
                          Admission::State admission) {
  switch (channel) {
    case GRPC_CHANNEL_IDLE:
      return before;
    case GRPC_CHANNEL_CONNECTING:
      return before == ConnectionState::kConnecting ? before : ConnectionState::kUnhealthy;
    case GRPC_CHANNEL_READY:
      if (admission == Admission::State::kPending) return before;
      return admission == Admission::State::kGranted ? ConnectionState::kHealthy
                                                     : ConnectionState::kUnhealthy;
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
  Watch(const Endpoint& leads_to, const std::shared_ptr<grpc::Channel>& watched,
        std::optional<int64_t> number, const ChannelLimits& limits,
        std::shared_ptr<std::atomic<bool>> accepted, std::shared_ptr<Logger> log,
        std::shared_ptr<ReadyListener> told)
      : endpoint(leads_to),
        name(endpoint.address.name),
        channel(watched),
        server_accepted(std::move(accepted)),
        logger(std::move(log)),
        listener(std::move(told)),
        link(number, {limits.ping_interval, limits.ping_timeout},
             [this](LogLevel level, const std::string& message) {
               Log(level, absl::StrCat("Connection to app at ", name, ": ", message));
             }),
        status({.state = ConnectionState::kConnecting,
                .since = Clock::System().WallNow(),
                .address = name}) {}

  // The thread's.
  void Run();
  // Null: there is none so far. False: there will be none any more.
  bool NextEvent(void** tag);
  void Observe();
  void LookAtAdmission();
  void Enter(grpc_connectivity_state state, const Admission& admission);
  Admission CurrentAdmission() const;
  void LogConnected();
  void LogDenied(const Admission& admission);
  void StartProbe();
  void FinishProbe();
  void Log(LogLevel level, std::string message);

  // Anybody's: has the thread observe the channel.
  void Wake() { alarm.Set(&queue, gpr_now(GPR_CLOCK_MONOTONIC), this); }
  // Anybody's: has it look whether the server lets us in.
  void AdmissionChanged() DM_EXCLUDES(mutex);

  const Endpoint endpoint;
  const std::string& name;  // host:port.
  const std::weak_ptr<grpc::Channel> channel;
  // By the certificate of the last handshake. False once the connection that it led to is READY.
  const std::shared_ptr<std::atomic<bool>> server_accepted;
  const std::shared_ptr<Logger> logger;
  const std::shared_ptr<ReadyListener> listener;
  std::stop_source closing;  // Or retired.
  std::shared_ptr<Authentication>
      authentication;  // Null without credentials; set before the start.

  grpc::CompletionQueue queue;
  grpc::Alarm alarm;
  grpc::Alarm admission_alarm;
  grpc::Alarm calls_alarm;
  CallsUnderWay calls{
      [this] { calls_alarm.Set(&queue, gpr_now(GPR_CLOCK_MONOTONIC), &calls_alarm); }};
  // The thread's alone.
  LinkWatch link;  // Others look into its account.
  std::unique_ptr<Probe> probe;
  bool connected_before = false;
  bool loss_logged = false;  // Since the last time it was healthy.
  grpc_connectivity_state channel_state = GRPC_CHANNEL_IDLE;
  Admission::State admission_state = Admission::State::kPending;

  Mutex mutex;
  CondVar changed;
  bool ready DM_GUARDED_BY(mutex) = false;
  bool retired DM_GUARDED_BY(mutex) = false;
  bool over DM_GUARDED_BY(mutex) = false;               // Nothing more may go to the queue.
  bool admission_pending DM_GUARDED_BY(mutex) = false;  // In the queue.
  ConnectionStatus status DM_GUARDED_BY(mutex);
};

void Connectivity::Watch::Run() {
  void* tag = nullptr;
  while (NextEvent(&tag)) {
    if (tag == nullptr) {
      // Nothing but time has passed.
    } else if (tag == this) {
      Observe();
    } else if (tag == &calls_alarm) {
      calls.Woken();
    } else if (tag == &admission_alarm) {
      LookAtAdmission();
    } else {
      FinishProbe();
    }
    link.Follow(channel_state == GRPC_CHANNEL_READY, Clock::System().MonotonicNow());
  }
}

bool Connectivity::Watch::NextEvent(void** tag) {
  bool ok = false;
  const bool wait =
      calls.MayWaitForEvents(channel_state == GRPC_CHANNEL_READY, closing.get_token());
  switch (queue.AsyncNext(tag, &ok,
                          wait ? DeadlineAt(link.NextFollow()) : gpr_time_0(GPR_CLOCK_MONOTONIC))) {
    case grpc::CompletionQueue::SHUTDOWN:
      return false;
    case grpc::CompletionQueue::TIMEOUT:
      *tag = nullptr;
      break;
    case grpc::CompletionQueue::GOT_EVENT:
      break;
  }
  return true;
}

void Connectivity::Watch::Observe() {
  std::shared_ptr<grpc::Channel> watched = channel.lock();
  if (watched == nullptr) {
    Enter(GRPC_CHANNEL_SHUTDOWN, {});
    {
      MutexLock lock(mutex);
      over = true;
    }
    queue.Shutdown();
    return;
  }
  const grpc_connectivity_state state = watched->GetState(/*try_to_connect=*/false);
  watched->NotifyOnStateChange(state, gpr_inf_future(GPR_CLOCK_MONOTONIC), &queue, this);
  watched.reset();  // Nothing that follows may keep the channel alive.
  if (authentication != nullptr) authentication->SetChannelReady(state == GRPC_CHANNEL_READY);
  Enter(state, CurrentAdmission());
}

Admission Connectivity::Watch::CurrentAdmission() const {
  if (authentication == nullptr) return {.state = Admission::State::kGranted};
  return authentication->admission();
}

void Connectivity::Watch::AdmissionChanged() {
  MutexLock lock(mutex);
  if (over || std::exchange(admission_pending, true)) return;
  admission_alarm.Set(&queue, gpr_now(GPR_CLOCK_MONOTONIC), &admission_alarm);
}

void Connectivity::Watch::LookAtAdmission() {
  {
    MutexLock lock(mutex);
    admission_pending = false;
    if (over) return;
  }
  const Admission admission = CurrentAdmission();
  // Another token is no news, another reason is.
  if (admission.state == admission_state && admission.state != Admission::State::kDenied) return;
  Enter(channel_state, admission);
}

void Connectivity::Watch::Enter(grpc_connectivity_state state, const Admission& admission) {
  channel_state = state;
  admission_state = admission.state;
  const bool of_use = state == GRPC_CHANNEL_READY && admission.state == Admission::State::kGranted;
  const bool denied = state == GRPC_CHANNEL_READY && admission.state == Admission::State::kDenied;
  ConnectionState before;
  ConnectionState now;
  {
    MutexLock lock(mutex);
    ready = of_use;
    before = status.state;
    now = NextState(before, state, admission.state);
    status.state = now;
    if (denied) status.last_error = admission.error;
    if (now != before) status.since = Clock::System().WallNow();
    changed.NotifyAll();
  }
  if (now == ConnectionState::kClosed) {
    Log(LogLevel::kInfo, absl::StrCat("Closed the connection to app at ", name));
    return;
  }
  if (state == GRPC_CHANNEL_READY) *server_accepted = false;
  listener->Tell(this, of_use);
  if (now == ConnectionState::kHealthy && before != now) LogConnected();
  if (denied) {
    LogDenied(admission);
  } else if (now == ConnectionState::kUnhealthy &&
             (before != now || state == GRPC_CHANNEL_TRANSIENT_FAILURE)) {
    StartProbe();
  }
}

// The connection that has taken the place of this one has told of the change.
void Connectivity::Watch::Log(LogLevel level, std::string message) {
  {
    MutexLock lock(mutex);
    if (retired) return;
  }
  logger->Log(level, std::move(message));
}

void Connectivity::Watch::LogConnected() {
  if (!connected_before) {
    Log(LogLevel::kInfo, absl::StrCat("Connected to app at ", name));
  } else if (loss_logged) {
    Log(LogLevel::kInfo, absl::StrCat("Regained connection to app at ", name));
  } else {
    // Replaced before anybody could miss it: woken from idleness, or moved by a load balancer.
    Log(LogLevel::kDebug, absl::StrCat("Reconnected to app at ", name));
  }
  connected_before = true;
  loss_logged = false;
}

void Connectivity::Watch::LogDenied(const Admission& admission) {
  if (std::exchange(loss_logged, true)) return;
  Log(admission.needs_hand ? LogLevel::kError : LogLevel::kWarning,
      absl::StrCat("Nothing is uploaded to app at ", name, ": ", admission.error));
}

void Connectivity::Watch::StartProbe() {
  if (probe != nullptr || closing.stop_requested()) return;  // It will tell; or nobody asks.
  const std::shared_ptr<grpc::Channel> watched = channel.lock();
  if (watched == nullptr) return;
  const Token token = authentication == nullptr ? nullptr : authentication->Current();
  probe = std::make_unique<Probe>(watched, token, queue, closing.get_token());
}

void Connectivity::Watch::FinishProbe() {
  std::string reason = std::exchange(probe, nullptr)->Reason();
  if (reason.empty() || channel_state == GRPC_CHANNEL_READY) return;
  if (authentication != nullptr) reason = authentication->Scrubbed(std::move(reason), nullptr);
  reason = ExplainFailure(reason, endpoint, *server_accepted);
  {
    MutexLock lock(mutex);
    if (status.state != ConnectionState::kUnhealthy) return;
    status.last_error = reason;
  }
  if (std::exchange(loss_logged, true)) return;
  if (connected_before) {
    Log(LogLevel::kInfo, absl::StrCat("Lost connection to app at ", name, ": ", reason));
  } else {
    Log(LogLevel::kInfo, absl::StrCat("No connection to app at ", name, " yet: ", reason));
  }
}

absl::StatusOr<std::unique_ptr<Connectivity>> Connectivity::Create(
    const Endpoint& endpoint, std::shared_ptr<Logger> logger,
    std::shared_ptr<ReadyListener> listener, const ChannelLimits& limits) {
  auto server_accepted = std::make_shared<std::atomic<bool>>(false);
  std::optional<int64_t> number;
  std::shared_ptr<grpc::Channel> channel =
      MakeFollowedChannel(endpoint, limits, server_accepted, number);
  auto watch = std::make_shared<Watch>(endpoint, channel, number, limits,
                                       std::move(server_accepted), logger, std::move(listener));
  if (endpoint.credentials.has_value()) {
    watch->authentication = std::make_shared<Authentication>(
        *endpoint.credentials, channel, std::move(logger),
        Authentication::Options{.timeout = limits.authenticate}, [weak = std::weak_ptr(watch)] {
          if (const std::shared_ptr<Watch> told = weak.lock()) told->AdmissionChanged();
        });
  }
  auto connectivity = absl::WrapUnique(new Connectivity(std::move(channel), watch));
  absl::StatusOr<Thread> thread =
      Thread::Start("dm-cloud", kOwnStackBytes, [watch] { watch->Run(); });
  if (!thread.ok()) {
    watch->queue.Shutdown();
    return thread.status();
  }
  connectivity->thread_ = *std::move(thread);
  if (watch->authentication != nullptr) {
    absl::StatusOr<Thread> authenticating = Thread::Start(
        "dm-auth", kOwnStackBytes,
        [authentication = watch->authentication,
         stop = connectivity->authentication_stop_.get_token()] { authentication->Run(stop); });
    if (!authenticating.ok()) return authenticating.status();
    connectivity->authentication_thread_ = *std::move(authenticating);
  }
  return connectivity;
}

Connectivity::Connectivity(std::shared_ptr<grpc::Channel> channel, std::shared_ptr<Watch> watch)
    : channel_(std::move(channel)), watch_(std::move(watch)) {}

Connectivity::~Connectivity() {
  const MonotonicTime limit = Clock::System().MonotonicNow() + kCloseLimit;
  watch_->closing.request_stop();
  authentication_stop_.request_stop();
  if (authentication_thread_.joinable()) authentication_thread_.JoinUntil(limit);
  channel_.reset();
  if (!thread_.joinable()) return;
  if (!begun_) watch_->Wake();  // There is no notification that would.
  thread_.JoinUntil(limit);
}

void Connectivity::Begin() {
  begun_ = true;
  watch_->Log(LogLevel::kInfo, absl::StrCat("Connecting to app at ", watch_->name));
  watch_->listener->Follow(watch_.get());
  watch_->Wake();
  RequestConnect();
}

void Connectivity::Retire() {
  watch_->closing.request_stop();
  MutexLock lock(watch_->mutex);
  watch_->retired = true;
  watch_->changed.NotifyAll();
}

ConnectionStatus Connectivity::Status() const {
  MutexLock lock(watch_->mutex);
  return watch_->status;
}

Authentication* Connectivity::authentication() const { return watch_->authentication.get(); }

CallsUnderWay& Connectivity::calls() const { return watch_->calls; }

LinkWatch& Connectivity::link() const { return watch_->link; }

bool Connectivity::ChannelReady() const {
  return channel_->GetState(/*try_to_connect=*/false) == GRPC_CHANNEL_READY;
}

bool Connectivity::Ready() const {
  return ChannelReady() && (authentication() == nullptr || authentication()->Admitted());
}

void Connectivity::RequestConnect() { channel_->GetState(/*try_to_connect=*/true); }

bool Connectivity::WaitUntilReady(MonotonicTime deadline, std::stop_token stop) {
  RequestConnect();
  Watch& watch = *watch_;
  MutexLock lock(watch.mutex);
  // The thread must know, so that the status agrees and the listener hears of the next loss; and
  // the channel is asked too, since the thread may be about to learn that it is over.
  const bool over = watch.changed.WaitUntil(watch.mutex, stop, deadline, [this, &watch] {
    watch.mutex.AssertHeld();
    return watch.retired || (watch.ready && ChannelReady());
  });
  return over && !watch.retired;
}

bool Connectivity::ReadyAfter(const absl::Status& status) {
  if (ChannelReady()) return Ready();
  if (!status.ok() && status.code() != absl::StatusCode::kCancelled) {
    std::string reason =
        ExplainFailure(ToStd(status.message()), watch_->endpoint, *watch_->server_accepted);
    MutexLock lock(watch_->mutex);
    watch_->status.last_error = std::move(reason);
  }
  return false;
}

}  // namespace datamanager::cloud
