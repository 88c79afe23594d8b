#include "cloud/pushback.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "absl/strings/numbers.h"
#include "base/strings.h"

namespace datamanager::cloud {
namespace {

// Of a number of milliseconds that every duration can hold.
constexpr size_t kMostDigits = 12;

}  // namespace

std::optional<std::chrono::milliseconds> ParsePushback(std::string_view value) {
  int64_t milliseconds = 0;
  const bool digits = !value.empty() && std::all_of(value.begin(), value.end(),
                                                    [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || value.size() > kMostDigits || !absl::SimpleAtoi(ToAbsl(value), &milliseconds))
    return std::nullopt;
  return std::chrono::milliseconds(milliseconds);
}

std::optional<std::chrono::milliseconds> PushbackOf(const grpc::ClientContext& context) {
  const auto [begin, end] =
      context.GetServerTrailingMetadata().equal_range("grpc-retry-pushback-ms");
  if (begin == end || std::next(begin) != end) return std::nullopt;
  return ParsePushback({begin->second.data(), begin->second.size()});
}

}  // namespace datamanager::cloud
