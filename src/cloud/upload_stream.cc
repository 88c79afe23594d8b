#include "cloud/upload_stream.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "cloud/pushback.h"

namespace datamanager::cloud {
namespace {

MonotonicTime Now() { return Clock::System().MonotonicNow(); }

}  // namespace

GrpcUploadStream::GrpcUploadStream(EventQueue& events, std::shared_ptr<Connectivity> connectivity,
                                   sync::UploadMethod method, sync::CallOptions options)
    : events_(events),
      connectivity_(std::move(connectivity)),
      method_(method),
      options_(std::move(options)),
      room_(connectivity_->link()),
      watch_(connectivity_->link().progress()) {}

GrpcUploadStream::~GrpcUploadStream() {
  cancel_.reset();
  context_.TryCancel();
  events_.ClearDeadline(this);
  const bool in_grpc = step_ != Step::kNothing && step_ != Step::kToken && step_ != Step::kRoom;
  if (in_grpc) events_.AwaitEventOf(this);
}

void GrpcUploadStream::Write(std::string message, std::function<void(bool)> done) {
  written_ = std::move(done);
  if (refused() || broken_) {
    Post([this] { Written(false); });
    return;
  }
  message_ = std::move(message);
  ++messages_;
  GoOn();
}

void GrpcUploadStream::Finish(std::function<void(sync::CallResult)> done) {
  finished_ = std::move(done);
  if (refused() || !stall_.ok()) {
    Post([this] { Ended(); });
    return;
  }
  GoOn();
}

void GrpcUploadStream::GoOn() {
  if (call_ == nullptr) {
    Begin();
  } else if (finished_ != nullptr) {
    StartFinish();
  } else {
    StartWrite();
  }
}

void GrpcUploadStream::Begin() {
  beginning_ = TryBegin(*connectivity_, options_.stop);
  if (!beginning_.has_value()) {
    step_ = Step::kToken;
    events_.SetDeadline(this, NextLook());
    return;
  }
  if (refused()) {
    Post([this] { finished_ != nullptr ? Ended() : Written(false); });
    return;
  }
  AddToken(beginning_->token, context_);
  AddIdentity(options_, context_);
  // The headers leave with the first message, so that starting the call is no operation to wait
  // for.
  context_.set_initial_metadata_corked(true);
  under_way_.emplace(connectivity_->calls());
  grpc::GenericStub stub(connectivity_->channel());
  call_ = stub.PrepareCall(&context_, MethodPath(method_), events_.queue());
  call_->StartCall(nullptr);
  cancel_.emplace(options_.stop, CancelCall{&context_});
  GoOn();
}

void GrpcUploadStream::Await(Step step) {
  step_ = step;
  events_.SetDeadline(this, watch_.NextLook(Now()));
}

void GrpcUploadStream::StartWrite() {
  if (!room_.Take(message_.size())) {
    step_ = Step::kRoom;
    events_.SetDeadline(this, room_.NextLook());
    return;
  }
  watch_.HandOver(message_.size(), options_.timeout, Now());
  // Before the step is awaited, because it may throw.
  const grpc::ByteBuffer message = ToByteBuffer(std::move(message_));
  Await(Step::kWrite);
  call_->Write(message, static_cast<Operation*>(this));
}

void GrpcUploadStream::StartFinish() {
  watch_.AwaitAnswer(options_.reply_timeout, Now());
  // Even a broken stream's reply is read: gRPC gives no status while a message waits.
  if (broken_) {
    StartReading();
    return;
  }
  Await(Step::kWritesDone);
  call_->WritesDone(static_cast<Operation*>(this));
}

void GrpcUploadStream::StartReading() {
  Await(Step::kReply);
  call_->Read(&reply_, static_cast<Operation*>(this));
}

void GrpcUploadStream::OnDeadline() {
  const MonotonicTime now = Now();
  connectivity_->link().Refresh(now);
  if (step_ == Step::kToken || step_ == Step::kRoom) {
    // A stop ends also the wait for room.
    const bool stopped = step_ == Step::kRoom && options_.stop.stop_requested();
    const Step step = std::exchange(step_, Step::kNothing);
    if (stopped) {
      room_.Leave();
      broken_ = true;
      Post([this] { Written(false); });
    } else if (step == Step::kRoom) {
      StartWrite();
    } else {
      Begin();
    }
    return;
  }
  const CallWatch::Verdict verdict = watch_.Look(now);
  if (verdict == CallWatch::Verdict::kGoOn) {
    events_.SetDeadline(this, watch_.NextLook(now));
    return;
  }
  const bool writing = step_ == Step::kWrite;
  const std::string awaited = writing ? absl::StrCat("take message ", messages_)
                                      : absl::StrCat("reply after ", messages_, " messages");
  stall_ = StalledError(verdict, MethodName(method_),
                        absl::StrCat(ToAbsl(MethodName(method_)), " waited ",
                                     Format(writing ? options_.timeout : options_.reply_timeout),
                                     " for the server to ", awaited));
  context_.TryCancel();  // It ends what is under way at once.
}

void GrpcUploadStream::OnEvent(bool ok) {
  const Step step = std::exchange(step_, Step::kNothing);
  if (step == Step::kWrite) {
    broken_ = !ok || !stall_.ok();
    Written(!broken_);
    return;
  }
  if (!stall_.ok()) {
    Ended();
    return;
  }
  // A step that fails here says only that the status is there already.
  if (step == Step::kWritesDone) {
    StartReading();
  } else if (step == Step::kReply) {
    Await(Step::kStatus);
    call_->Finish(&status_, static_cast<Operation*>(this));
  } else {
    Ended();
  }
}

void GrpcUploadStream::Post(std::function<void()> function) {
  events_.Post([alive = std::weak_ptr<bool>(alive_), function = std::move(function)] {
    if (alive.lock() != nullptr) function();
  });
}

// What follows a `done` in these two must not touch the stream, which may be gone.

void GrpcUploadStream::Written(bool ok) {
  const auto done = std::exchange(written_, nullptr);
  done(ok);
}

void GrpcUploadStream::Ended() {
  sync::CallResult result;
  if (refused()) {
    result = *beginning_->refusal;
  } else {
    result.stalled = !stall_.ok();
    result.status = result.stalled ? stall_ : StatusOfCall();
    result.sent = true;
    if (result.status.ok()) result.response = ToString(reply_);
    if (!result.stalled && !result.status.ok()) result.pushback = PushbackOf(context_);
    under_way_->End(result.status.ok());
    End(*connectivity_, beginning_->token, options_.is_repeat, result);
  }
  const auto done = std::exchange(finished_, nullptr);
  done(std::move(result));
}

bool GrpcUploadStream::AlreadyStored() const {
  if (options_.content_sha256.empty()) return false;
  const auto& metadata = context_.GetServerTrailingMetadata();
  const auto [begin, end] = metadata.equal_range("datamanager-already-stored");
  return std::any_of(begin, end, [this](const auto& entry) {
    return std::string_view(entry.second.data(), entry.second.size()) == options_.content_sha256;
  });
}

absl::Status GrpcUploadStream::StatusOfCall() {
  if (status_.error_code() == grpc::StatusCode::CANCELLED && options_.stop.stop_requested()) {
    return StoppedError();
  }
  if (!status_.ok()) return ToStatus(status_);
  if (broken_ && !AlreadyStored()) {
    return absl::AbortedError(absl::StrCat(ToAbsl(MethodName(method_)),
                                           ": the server answered OK before it had taken message ",
                                           messages_));
  }
  return absl::OkStatus();
}

}  // namespace datamanager::cloud
