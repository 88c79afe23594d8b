// Calling the embedder's code.
#ifndef DATAMANAGER_SRC_CAPTURE_ASK_SOURCE_H_
#define DATAMANAGER_SRC_CAPTURE_ASK_SOURCE_H_

#include <exception>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/callback_scope.h"
#include "datamanager/source.h"

namespace datamanager::capture {

// Calls a source so that nothing it throws gets past.
template <typename Function, typename Out>
absl::Status AskSource(const Function& function, const CaptureRequest& request, Out& out) {
  const CallbackScope scope;
  try {
    return function(request, out);
  } catch (const std::exception& e) {
    return absl::InternalError(absl::StrCat("the source threw: ", e.what()));
  } catch (...) {
    return absl::InternalError("the source threw something that is no std::exception");
  }
}

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_ASK_SOURCE_H_
