// What an upload that did not succeed means for its file. The one judge of errors.
#ifndef DATAMANAGER_SRC_SYNC_UPLOAD_ERROR_H_
#define DATAMANAGER_SRC_SYNC_UPLOAD_ERROR_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/status.h"

namespace datamanager::sync {

enum class Verdict : uint8_t {
  kStored,
  kTransient,  // Try again later.
  kOffline,    // Try again when the connection is back: it is not the file's fault.
  kRefused,    // Set aside: trying again cannot help.
  kGone,       // Somebody removed the file.
  kBusy,       // Somebody else works on the file: look again soon. No failure.
  kStopped,    // We gave up ourselves: no try at all.
};

// "stored", "transient", ...
std::string_view VerdictName(Verdict verdict);

enum class ErrorOrigin : uint8_t {
  kServer,  // The answer of a call.
  kFile,    // Reading, locking or removing the file.
};

struct UploadError {
  absl::Status status;
  ErrorOrigin origin = ErrorOrigin::kServer;
  // Whether the channel was READY when the call ended; for kServer.
  bool channel_ready = true;
  // Whether our own stop was requested.
  bool stopped = false;
  // Whether anything may have reached the server, and whether a watchdog ended the call; for
  // kServer.
  bool sent = false;
  bool stalled = false;
  // How long the server asks to wait before the next call; for kServer.
  std::optional<std::chrono::milliseconds> pushback = std::nullopt;
};

// Pure.
Verdict Judge(const UploadError& error);

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_UPLOAD_ERROR_H_
