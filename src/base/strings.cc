#include "base/strings.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <numeric>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"

namespace datamanager {
namespace {

constexpr char kErrnoPayload[] = "datamanager/errno";

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const bool same = std::tolower(static_cast<unsigned char>(a[i - 1])) ==
                        std::tolower(static_cast<unsigned char>(b[j - 1]));
      const size_t replaced = diagonal + (same ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

template <typename Word>
bool HasHighBit(const char* bytes) {
  Word word;
  std::memcpy(&word, bytes, sizeof(word));
  return (word & static_cast<Word>(0x8080808080808080)) != 0;
}

// As names and most texts are.
bool IsAscii(std::string_view text) {
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  if (text.size() >= 8) {
    for (const char* p = begin; p < end - 8; p += 8) {
      if (HasHighBit<uint64_t>(p)) return false;
    }
    return !HasHighBit<uint64_t>(end - 8);
  }
  if (text.size() >= 4) return !HasHighBit<uint32_t>(begin) && !HasHighBit<uint32_t>(end - 4);
  return std::all_of(begin, end, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

absl::Status Wrap(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(ToAbsl(context), ": ", status.message()));
}

absl::Status ErrnoStatus(int error, std::string_view step, std::string_view path) {
  return absl::ErrnoToStatus(error, absl::StrCat(ToAbsl(step), " ", ToAbsl(path)));
}

absl::Status DiskError(int error, std::string_view step, std::string_view path) {
  absl::Status status = ErrnoStatus(error, step, path);
  status.SetPayload(kErrnoPayload, absl::Cord(absl::StrCat(error)));
  return status;
}

int ErrnoOf(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kErrnoPayload);
  int error = 0;
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &error)) return 0;
  return error;
}

std::string NearestName(std::string_view name, const std::vector<std::string>& known) {
  // A third of the name may be wrong, as with a slip of the fingers; more is another word.
  size_t best = std::max<size_t>(1, name.size() / 3) + 1;
  std::string nearest;
  for (const std::string& candidate : known) {
    const size_t distance = EditDistance(name, candidate);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

bool IsUtf8(std::string_view text) {
  if (IsAscii(text)) return true;
  const auto* p = reinterpret_cast<const unsigned char*>(text.data());
  const auto* end = p + text.size();
  while (p < end) {
    if (*p < 0x80) {
      ++p;
      continue;
    }
    size_t length = 0;
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    if (*p >= 0xC2 && *p <= 0xDF) {
      length = 2;
    } else if (*p >= 0xE0 && *p <= 0xEF) {
      length = 3;
      if (*p == 0xE0) low = 0xA0;   // Overlong.
      if (*p == 0xED) high = 0x9F;  // Surrogates.
    } else if (*p >= 0xF0 && *p <= 0xF4) {
      length = 4;
      if (*p == 0xF0) low = 0x90;   // Overlong.
      if (*p == 0xF4) high = 0x8F;  // Beyond U+10FFFF.
    } else {
      return false;
    }
    if (static_cast<size_t>(end - p) < length || p[1] < low || p[1] > high) return false;
    for (size_t i = 2; i < length; ++i) {
      if (p[i] < 0x80 || p[i] > 0xBF) return false;
    }
    p += length;
  }
  return true;
}

}  // namespace datamanager
