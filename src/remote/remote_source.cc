#include "datamanager/remote_source.h"

#include <google/protobuf/message.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/longest_span.h"
#include "base/strings.h"
#include "capture/methods.h"
#include "remote/remote_call.h"

namespace datamanager {
namespace {

using capture::Method;
using std::chrono::milliseconds;

// Of all messages of one answer.
constexpr size_t kMaxAnswerBytes = 256 << 20;

// One captured method of a component elsewhere. Thread-safe.
class RemoteMethod {
 public:
  RemoteMethod(RemoteChannel channel, const Method& method, std::string name, milliseconds timeout)
      : connection_(remote::ConnectionWait::Of(channel.channel)),
        address_(std::move(channel.address)),
        method_(method),
        name_(std::move(name)),
        path_(absl::StrCat("/", ToAbsl(method.call.service), "/", ToAbsl(method.call.method))),
        timeout_(Clamped(timeout)) {}

  absl::Status Read(const CaptureRequest& asked, Messages& out) const {
    const absl::StatusOr<std::string> request = method_.call.request(name_, asked);
    if (!request.ok()) return request.status();
    size_t bytes = 0;
    const milliseconds timeout = TimeoutOf(asked);
    const absl::Status status = remote::Call(
        *connection_, path_, *request, timeout, asked.stop, [&](std::string_view message) {
          bytes += message.size();
          if (bytes > kMaxAnswerBytes) {
            return absl::ResourceExhaustedError(
                absl::StrCat("the answer has more than ", kMaxAnswerBytes, " bytes"));
          }
          if (method_.call.read(message, out.Add())) return absl::OkStatus();
          return absl::InternalError(
              absl::StrCat("the answer is no ", method_.response().GetDescriptor()->name()));
        });
    return status.ok() ? status : Explain(status, timeout);
  }

 private:
  milliseconds TimeoutOf(const CaptureRequest& asked) const {
    if (!method_.call.lasts_interval) return timeout_;
    return timeout_ + std::chrono::ceil<milliseconds>(Clamped(asked.interval));
  }

  // Keeps the code, by which the collector tells that there is nothing to store.
  absl::Status Explain(const absl::Status& status, milliseconds timeout) const {
    const std::string component = absl::StrCat(ToAbsl(method_.api), " \"", name_, "\"");
    std::string what;
    switch (status.code()) {
      case absl::StatusCode::kUnavailable:
        what = absl::StrCat("cannot reach ", component, " at ", address_);
        break;
      case absl::StatusCode::kUnimplemented:
        what = absl::StrCat("the server at ", address_, " does not serve ", path_.substr(1),
                            " for ", component);
        break;
      case absl::StatusCode::kNotFound:
        what = absl::StrCat("there is no ", component, " at ", address_);
        break;
      case absl::StatusCode::kDeadlineExceeded:
        what = absl::StrCat(component, " at ", address_, " did not answer ",
                            ToAbsl(method_.call.method), " within ",
                            absl::FormatDuration(absl::FromChrono(timeout)));
        break;
      default:
        what = absl::StrCat(component, " at ", address_, ", ", ToAbsl(method_.call.method));
    }
    return Wrap(status, what);
  }

  const std::shared_ptr<remote::ConnectionWait> connection_;
  const std::string address_;
  const Method& method_;
  const std::string name_;
  const std::string path_;
  const milliseconds timeout_;
};

}  // namespace

RemoteSource::RemoteSource(RemoteChannel channel, std::string_view api, std::string_view name,
                           RemoteOptions options)
    : channel_(std::move(channel)), api_(api), name_(name), options_(options) {}

absl::Status RemoteSource::AddTo(Sources& sources, std::string_view local_name) const {
  bool known = false;
  bool served = false;
  std::vector<std::string> apis;
  for (const Method& method : capture::AllMethods()) {
    apis.emplace_back(method.api);
    if (method.api != api_) continue;
    known = true;
    if (method.call.service.empty()) continue;
    served = true;
    const auto remote =
        std::make_shared<const RemoteMethod>(channel_, method, name_, options_.call_timeout);
    sources.AddMessages(
        api_, local_name, method.name,
        {.make =
             [&method] {
               return std::shared_ptr<google::protobuf::Message>(method.response().New());
             },
         .fill = [remote](const CaptureRequest& asked,
                          Messages& out) { return remote->Read(asked, out); }});
  }
  if (served) return absl::OkStatus();
  if (known) {
    return absl::InvalidArgumentError(absl::StrCat("no gRPC service serves ", api_,
                                                   ": it can be captured in its own process only"));
  }
  const std::string nearest = NearestName(api_, apis);
  return absl::NotFoundError(
      absl::StrCat("nothing can be captured from API ", api_,
                   nearest.empty() ? "" : absl::StrCat("; did you mean ", nearest, "?")));
}

}  // namespace datamanager
