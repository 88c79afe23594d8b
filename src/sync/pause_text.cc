#include "sync/pause_text.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/strings.h"

namespace datamanager::sync {

std::string PauseText(const CircuitBreaker::Pause& pause, std::string_view error) {
  const bool all = pause.directory.empty();
  const std::string from =
      all ? ", from several directories" : absl::StrCat(" from ", pause.directory);
  const char* const rest = all ? "all uploads rest for " : "its uploads rest for ";
  const std::string length = absl::FormatDuration(absl::FromChrono(pause.length));
  switch (pause.reason) {
    case PauseReason::kRefused:
      return absl::StrCat(
          "the server refused ", pause.refused, " uploads in a row", from, ", the last with ",
          ToAbsl(error), "; ", rest,
          std::chrono::duration_cast<std::chrono::minutes>(pause.length).count(),
          " min, then one file is tried; those that were refused are under failed/");
    case PauseReason::kFailed:
      return absl::StrCat(pause.failures, " uploads in a row failed", from, ", the last with ",
                          ToAbsl(error), "; ", rest, length,
                          ", then one file is tried; once one is stored, the others follow");
    case PauseReason::kAsked:
      return absl::StrCat("the server failed an upload with ", ToAbsl(error),
                          " and asked for a pause; all uploads rest for ", length);
  }
  return "";
}

}  // namespace datamanager::sync
