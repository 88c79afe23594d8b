#include "cloud/authentication.h"

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/random.h"
#include "base/strings.h"
#include "cloud/call.h"
#include "cloud/jwt.h"
#include "datamanager/value.h"
#include "datamanager/wire/proto/rpc/v1/auth.pb.h"

namespace datamanager::cloud {
namespace {

namespace wire = datamanager::wire::proto::rpc::v1;

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;

constexpr char kPath[] = "/proto.rpc.v1.AuthService/Authenticate";
// How long a call is left alone that the channel's end has cut off: its state follows.
constexpr std::chrono::milliseconds kStateLag = 100ms;
// More than any server takes as a header.
constexpr size_t kMaxTokenBytes = 64 << 10;

// Of base64 text, what is too short to be taken for a secret's.
constexpr size_t kMinBase64 = 8;

// gRPC ends the process over a header with anything else.
bool IsHeaderText(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

bool NeedsHand(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kUnimplemented:
      return true;
    default:
      return false;
  }
}

std::string Remedy(absl::StatusCode code, const std::string& field) {
  if (code == absl::StatusCode::kUnimplemented) {
    return absl::StrCat("that server takes no credentials: check cloud.app_address, or take ",
                        field, " out");
  }
  if (NeedsHand(code)) return absl::StrCat("check ", field);
  return "it is tried again";
}

// How a text may have `secret`: as it is, escaped, or in base64 of something that contains it.
std::vector<std::string> FormsOf(std::string_view secret) {
  const std::string json = ToJson(Value(secret));
  std::vector<std::string> forms = {std::string(secret), json.substr(1, json.size() - 2),
                                    absl::CEscape(ToAbsl(secret)),
                                    absl::CHexEscape(ToAbsl(secret))};
  // What comes before the secret moves it within a group of three bytes. Of the base64, that which
  // depends on nothing else.
  for (const size_t before : {0, 1, 2}) {
    const std::string bytes = std::string(before, ' ') + std::string(secret);
    const size_t begin = (before * 8 + 5) / 6;
    const size_t end = bytes.size() * 8 / 6;
    if (end < begin + kMinBase64) continue;
    std::string base64;
    absl::Base64Escape(bytes, &base64);
    forms.push_back(base64.substr(begin, end - begin));
    forms.push_back(absl::WebSafeBase64Escape(bytes).substr(begin, end - begin));
  }
  return forms;
}

}  // namespace

std::string Scrub(std::string text, std::initializer_list<std::string_view> secrets) {
  for (const std::string_view secret : secrets) {
    if (secret.empty()) continue;
    for (const std::string& form : FormsOf(secret)) {
      absl::StrReplaceAll({{form, "[secret]"}}, &text);
    }
  }
  return text;
}

Authentication::Authentication(Credentials credentials,
                               const std::shared_ptr<grpc::Channel>& channel,
                               std::shared_ptr<Logger> logger, Options options,
                               std::function<void()> on_change)
    : credentials_(std::move(credentials)),
      channel_(channel),
      logger_(std::move(logger)),
      options_(options),
      on_change_(std::move(on_change)) {}

void Authentication::Run(const std::stop_token& stop) {
  while (AwaitDue(stop)) Authenticate(stop);
}

void Authentication::SetChannelReady(bool ready) {
  MutexLock lock(mutex_);
  channel_ready_ = ready;
  Changed();
}

Admission Authentication::admission() const {
  MutexLock lock(mutex_);
  return admission_;
}

bool Authentication::Admitted() const {
  MutexLock lock(mutex_);
  return admission_.state == Admission::State::kGranted;
}

Token Authentication::Current() const {
  MutexLock lock(mutex_);
  return token_;
}

std::optional<absl::StatusOr<Token>> Authentication::TryGet() const {
  MutexLock lock(mutex_);
  if (token_ != nullptr) return token_;
  if (admission_.state == Admission::State::kDenied) {
    return absl::UnauthenticatedError(admission_.error);
  }
  if (channel_ready_) return std::nullopt;
  return absl::UnavailableError("the connection was lost while a new token was on its way");
}

bool Authentication::CallEnded(const Token& token, const absl::Status& status, bool is_repeat) {
  if (!status.ok() && !IsRejection(status)) return false;
  {
    MutexLock lock(mutex_);
    if (token != token_) return !status.ok() && !is_repeat;  // There is another, or will be.
    if (status.ok()) {
      state_ = AfterSuccess(state_);
      return false;
    }
    const MonotonicTime now = options_.clock->MonotonicNow();
    const Reaction reaction = Judge(state_, status.code(), is_repeat, now);
    state_ = AfterRejection(state_, status.code(), is_repeat, now, RandomFraction());
    if (reaction == Reaction::kNone) return false;
    token_ = nullptr;
    Changed();
    if (reaction == Reaction::kRenew) return !is_repeat;
    Deny(absl::UnauthenticatedError(
        absl::StrCat("the server does not take the token that it gave: ",
                     Scrub(std::string(ToStd(status.message())), {credentials_.payload, *token}))));
  }
  on_change_();
  return false;
}

std::string Authentication::Scrubbed(std::string text, const Token& token) const {
  const Token current = Current();
  const auto secret = [](const Token& of) { return of == nullptr ? std::string_view() : *of; };
  return Scrub(std::move(text), {credentials_.payload, secret(token), secret(current)});
}

bool Authentication::AwaitDue(const std::stop_token& stop) {
  MutexLock lock(mutex_);
  while (!stop.stop_requested()) {
    const MonotonicTime now = options_.clock->MonotonicNow();
    const std::optional<MonotonicTime> due =
        channel_ready_ ? AuthenticateDue(state_) : std::nullopt;
    if (due.has_value() && *due <= now) return true;
    changed_.WaitUntil(mutex_, stop, due.value_or(now + 1h), [this, before = changes_] {
      mutex_.AssertHeld();
      return changes_ != before;
    });
  }
  return false;
}

void Authentication::Authenticate(const std::stop_token& stop) {
  // Only for the time of the call, so that its owner's end is the channel's.
  const std::shared_ptr<grpc::Channel> channel = channel_.lock();
  if (channel == nullptr) return;
  const MonotonicTime begin = options_.clock->MonotonicNow();
  absl::StatusOr<Token> token = Call(channel, stop);
  if (stop.stop_requested()) return;
  if (token.ok()) {
    Grant(*std::move(token), begin);
    return;
  }
  if (absl::IsUnavailable(token.status()) &&
      channel->WaitForStateChange(GRPC_CHANNEL_READY, DeadlineAfter(kStateLag))) {
    // The connection's failure. SetChannelReady is about to tell, and later that it is back.
    MutexLock lock(mutex_);
    state_.not_before = options_.clock->MonotonicNow() + kStateLag;
    return;
  }
  Fail(token.status());
}

absl::StatusOr<Token> Authentication::Call(const std::shared_ptr<grpc::Channel>& channel,
                                           const std::stop_token& stop) const {
  wire::AuthenticateRequest request;
  request.set_entity(credentials_.entity);
  request.mutable_credentials()->set_type(credentials_.type);
  request.mutable_credentials()->set_payload(credentials_.payload);
  grpc::ClientContext context;
  context.set_deadline(DeadlineAfter(options_.timeout));
  const std::stop_callback cancel(stop, CancelCall{&context});
  grpc::ByteBuffer reply;
  const grpc::Status status =
      Exchange(channel, kPath, ToByteBuffer(request.SerializeAsString()), context, reply);
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return absl::DeadlineExceededError(absl::StrCat("no answer within ", Format(options_.timeout)));
  }
  if (!status.ok()) {
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                        Scrubbed(status.error_message(), nullptr));
  }
  wire::AuthenticateResponse response;
  if (!response.ParseFromString(ToString(reply)) || response.access_token().empty()) {
    return absl::InternalError("the answer has no token");
  }
  if (response.access_token().size() > kMaxTokenBytes || !IsHeaderText(response.access_token())) {
    return absl::InternalError("the token in the answer does not fit into a header");
  }
  return std::make_shared<const std::string>(std::move(*response.mutable_access_token()));
}

void Authentication::Grant(Token token, MonotonicTime begin) {
  const std::optional<JwtTimes> times = ReadJwtTimes(*token);
  {
    MutexLock lock(mutex_);
    state_ =
        AfterGrant(state_, begin,
                   times.has_value() ? Lifetime(*times, options_.clock->WallNow()) : std::nullopt,
                   RandomFraction());
    token_ = std::move(token);
    admission_ = {.state = Admission::State::kGranted};
    renewal_failed_ = false;
    Changed();
  }
  on_change_();
}

void Authentication::Fail(const absl::Status& status) {
  bool has_token;
  bool said;
  {
    MutexLock lock(mutex_);
    state_ = AfterFailure(state_, options_.clock->MonotonicNow(), RandomFraction());
    has_token = token_ != nullptr;
    said = std::exchange(renewal_failed_, has_token);
    if (!has_token) Deny(status);
    Changed();
  }
  if (!has_token) {
    on_change_();
  } else if (!said) {
    logger_->Warning(absl::StrCat("The token is used as long as it is good, but not renewed: ",
                                  Explain(status)));
  }
}

void Authentication::Deny(const absl::Status& status) {
  admission_ = {.state = Admission::State::kDenied,
                .error = Explain(status),
                .needs_hand = NeedsHand(status.code())};
}

void Authentication::Changed() {
  ++changes_;
  changed_.NotifyAll();
}

std::string Authentication::Explain(const absl::Status& status) const {
  return absl::StrCat("authenticating with the cloud as ", credentials_.type, " \"",
                      absl::Utf8SafeCEscape(credentials_.entity), "\": ", status.ToString(), "; ",
                      Remedy(status.code(), credentials_.field));
}

}  // namespace datamanager::cloud
