#include "sync/hopeless.h"

#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/strings.h"
#include "sync/message_limit.h"

namespace datamanager::sync {
namespace {

// "4 MiB", "1.5 MiB", "1000 bytes".
std::string LimitText(uint64_t bytes) {
  constexpr uint64_t kMiB = 1 << 20;
  constexpr uint64_t kKiB = 1 << 10;
  if (bytes >= kMiB) return absl::StrFormat("%.4g MiB", static_cast<double>(bytes) / kMiB);
  if (bytes >= kKiB) return absl::StrFormat("%.4g KiB", static_cast<double>(bytes) / kKiB);
  return absl::StrCat(bytes, " bytes");
}

// Whether the answer comes from a server that has no such service: without a text (C++), with this
// one (Go), or from a web server that knows no gRPC.
bool HasNoService(absl::string_view message) {
  return message.empty() || absl::StartsWith(message, "unknown service") ||
         absl::StrContains(message, "status: 404") || absl::StrContains(message, "status code 404");
}

}  // namespace

bool IsHopeless(const UploadError& answer) {
  if (answer.origin != ErrorOrigin::kServer || Judge(answer) != Verdict::kTransient) return false;
  return absl::IsUnimplemented(answer.status) || absl::IsOutOfRange(answer.status) ||
         absl::IsDataLoss(answer.status) || ParseTooLarge(answer.status).has_value();
}

std::string AdviceFor(const UploadError& answer, std::string_view call, std::string_view address) {
  if (!IsHopeless(answer)) return "";
  if (const auto too_large = ParseTooLarge(answer.status)) {
    return absl::StrCat("the server takes messages of at most ", LimitText(too_large->limit),
                        ": raise its limit, or capture less in one record");
  }
  if (absl::IsUnimplemented(answer.status)) {
    if (!HasNoService(answer.status.message())) {
      return absl::StrCat("the server at ", ToAbsl(address), " does not take ", ToAbsl(call),
                          ": update it, or remove the file");
    }
    return absl::StrCat("no ", call == "CreateSequence" ? "DataService" : "DataSyncService", " at ",
                        ToAbsl(address), ": check cloud.app_address");
  }
  return "the server does not take these bytes: look into its log, and remove or change the file";
}

}  // namespace datamanager::sync
