// Calling the embedder's code.
#ifndef DATAMANAGER_SRC_CAPTURE_ASK_SOURCE_H_
#define DATAMANAGER_SRC_CAPTURE_ASK_SOURCE_H_

#include <google/protobuf/message.h>

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/callback_scope.h"
#include "base/caught.h"
#include "datamanager/source.h"

namespace datamanager::capture {

// Runs the embedder's code and turns every exception into a status.
template <typename Code>
absl::Status RunSourceCode(const Code& code) {
  const CallbackScope scope;
  try {
    return code();
  } catch (...) {
    return CaughtStatus("the source");
  }
}

// Returns an empty message of the class that a source gives; null if it gives none.
inline absl::StatusOr<std::shared_ptr<google::protobuf::Message>> MakeMessage(
    const MessageSource& source) {
  const CallbackScope scope;
  try {
    return source.make ? source.make() : nullptr;
  } catch (...) {
    return CaughtStatus("the source's make");
  }
}

template <typename Function, typename Out>
absl::Status AskSource(const Function& function, const CaptureRequest& request, Out& out) {
  return RunSourceCode([&] { return function(request, out); });
}

// Calls the function that a source left in CaptureRequest::when_written, if any.
inline absl::Status TellSource(const AnswerResult& when_written, const absl::Status& written) {
  if (!when_written) return absl::OkStatus();
  return RunSourceCode([&] {
    when_written(written);
    return absl::OkStatus();
  });
}

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_ASK_SOURCE_H_
