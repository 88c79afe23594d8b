#include "sync/upload_error.h"

namespace datamanager::sync {

std::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kStored:
      return "stored";
    case Verdict::kTransient:
      return "transient";
    case Verdict::kOffline:
      return "offline";
    case Verdict::kRefused:
      return "refused";
    case Verdict::kGone:
      return "gone";
    case Verdict::kBusy:
      return "busy";
    case Verdict::kStopped:
      return "stopped";
  }
  return "unknown";
}

Verdict Judge(const UploadError& error) {
  const absl::StatusCode code = error.status.code();
  if (code == absl::StatusCode::kOk) return Verdict::kStored;
  if (error.stopped && code == absl::StatusCode::kCancelled) return Verdict::kStopped;
  switch (error.origin) {
    case ErrorOrigin::kFile:
      // The file's name is gone, its bytes make no sense, or another process is at work on it; all
      // else is the disk's and may pass.
      if (code == absl::StatusCode::kNotFound) return Verdict::kGone;
      if (code == absl::StatusCode::kDataLoss) return Verdict::kRefused;
      if (code == absl::StatusCode::kUnavailable) return Verdict::kBusy;
      return Verdict::kTransient;
    case ErrorOrigin::kServer:
      // As in the reference, this one code condemns a file. Every other one may be an overload, a
      // deployment under way or a permission about to be granted.
      if (code == absl::StatusCode::kInvalidArgument) return Verdict::kRefused;
      return error.channel_ready ? Verdict::kTransient : Verdict::kOffline;
  }
  return Verdict::kTransient;
}

}  // namespace datamanager::sync
