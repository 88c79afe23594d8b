// Text, where Abseil's and the standard library's types may differ.
#ifndef DATAMANAGER_SRC_BASE_STRINGS_H_
#define DATAMANAGER_SRC_BASE_STRINGS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace datamanager {

// Distributions build Abseil with a string_view of its own or with the standard one; this is the
// one place that turns ours into whichever it is.
inline absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view ToStd(absl::string_view text) { return {text.data(), text.size()}; }

// `status` with "<context>: " before its message.
absl::Status Wrap(const absl::Status& status, std::string_view context);
// "<step> <path>: <text of errno>", with the code that the errno stands for.
absl::Status ErrnoStatus(int error, std::string_view step, std::string_view path);

// The same, from which ErrnoOf tells the errno: codes are coarser than that. RESOURCE_EXHAUSTED is
// a full disk and a full table of descriptors alike. Its ToString shows the errno too.
absl::Status DiskError(int error, std::string_view step, std::string_view path);
// 0 if `status` was not made by DiskError.
int ErrnoOf(const absl::Status& status);

// Of `known`, the one that `name` is most likely meant to be; empty if none is near.
std::string NearestName(std::string_view name, const std::vector<std::string>& known);

// Whether `text` is well-formed UTF-8, as Protobuf demands of its strings.
bool IsUtf8(std::string_view text);

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_STRINGS_H_
