#include "cloud/unary_call.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "cloud/pushback.h"

namespace datamanager::cloud {

UnaryCall::UnaryCall(EventQueue& events, std::shared_ptr<Connectivity> connectivity,
                     sync::UploadMethod method, std::string request, sync::CallOptions options,
                     Ended ended)
    : events_(events),
      connectivity_(std::move(connectivity)),
      method_(method),
      request_(ToByteBuffer(std::move(request))),
      options_(std::move(options)),
      ended_(std::move(ended)),
      is_repeat_(options_.is_repeat),
      room_(connectivity_->link()) {
  Begin();
}

void UnaryCall::Begin() {
  std::optional<Beginning> beginning = TryBegin(*connectivity_, options_.stop);
  const bool refused = beginning.has_value() && beginning->refusal.has_value();
  if (!beginning.has_value()) {
    events_.SetDeadline(this, NextLook());
    return;
  }
  if (!refused && !room_.Take(request_.Length())) {
    events_.SetDeadline(this, room_.NextLook());
    return;
  }
  if (refused) {
    room_.Leave();
    events_.Post([this, refusal = *std::move(beginning->refusal)] { ended_(this, refusal); });
    return;
  }
  try_ = std::make_unique<Try>(connectivity_->link().progress());
  try_->token = std::move(beginning->token);
  AddToken(try_->token, try_->context);
  AddIdentity(options_, try_->context);
  try_->under_way.emplace(connectivity_->calls());
  grpc::GenericStub stub(connectivity_->channel());
  try_->reader =
      stub.PrepareUnaryCall(&try_->context, MethodPath(method_), request_, events_.queue());
  try_->reader->StartCall();
  try_->reader->Finish(&try_->reply, &try_->status, this);
  try_->cancel.emplace(options_.stop, CancelCall{&try_->context});
  const MonotonicTime now = Clock::System().MonotonicNow();
  try_->watch.HandOver(request_.Length(), options_.timeout, now);
  events_.SetDeadline(this, try_->watch.NextLook(now));
}

void UnaryCall::OnDeadline() {
  const MonotonicTime now = Clock::System().MonotonicNow();
  connectivity_->link().Refresh(now);
  if (try_ == nullptr) {
    Begin();
    return;
  }
  try_->verdict = try_->watch.Look(now);
  if (try_->verdict == CallWatch::Verdict::kGoOn) {
    events_.SetDeadline(this, try_->watch.NextLook(now));
  } else {
    try_->context.TryCancel();
  }
}

void UnaryCall::OnEvent(bool /*ok*/) {
  std::unique_ptr<Try> ended = std::move(try_);
  ended->cancel.reset();
  sync::CallResult result = ResultOf(*ended);
  // It counts among the calls of the connection, and keeps the channel, which the end may let go.
  ended.reset();
  if (result.renewed && !is_repeat_) {
    is_repeat_ = true;
    Begin();
    return;
  }
  ended_(this, std::move(result));
}

sync::CallResult UnaryCall::ResultOf(Try& attempt) {
  attempt.under_way->End(attempt.status.ok());
  sync::CallResult result{.status = ToStatus(attempt.status), .sent = true};
  if (!attempt.status.ok()) result.pushback = PushbackOf(attempt.context);
  if (attempt.status.ok()) {
    result.response = ToString(attempt.reply);
  } else if (attempt.status.error_code() == grpc::StatusCode::CANCELLED &&
             options_.stop.stop_requested()) {
    result.status = StoppedError();
  } else if (attempt.status.error_code() == grpc::StatusCode::CANCELLED &&
             attempt.verdict != CallWatch::Verdict::kGoOn) {
    result.stalled = true;
    result.status = StalledError(attempt.verdict, MethodName(method_),
                                 absl::StrCat("no reply to ", ToAbsl(MethodName(method_)),
                                              " within ", Format(options_.timeout)));
  }
  End(*connectivity_, attempt.token, is_repeat_, result);
  return result;
}

}  // namespace datamanager::cloud
