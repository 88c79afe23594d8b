// Answers that the same bytes get again, however often they are sent.
#ifndef DATAMANAGER_SRC_SYNC_HOPELESS_H_
#define DATAMANAGER_SRC_SYNC_HOPELESS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "sync/upload_error.h"

namespace datamanager::sync {

// Whether an upload that ended so will end so again unless the server is changed: a message beyond
// the server's limit, UNIMPLEMENTED, OUT_OF_RANGE, DATA_LOSS. Pure.
bool IsHopeless(const UploadError& answer);

// What to do about such an answer of the server at `address` to `call`, as CreateSequence; empty
// for any other answer. Pure.
std::string AdviceFor(const UploadError& answer, std::string_view call, std::string_view address);

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_HOPELESS_H_
