#include "config/findings.h"

#include <charconv>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/strings.h"

namespace datamanager::config {
namespace {

// Enough to recognise a value by, and not enough to flood a log.
constexpr size_t kMaxDescription = 80;

std::string Shortened(std::string text) {
  if (text.size() <= kMaxDescription) return text;
  size_t end = kMaxDescription;
  // Not inside a character.
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
  return text + "...";
}

std::string KindName(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kNull:
      return "null";
    case Value::Kind::kBool:
      return "true or false";
    case Value::Kind::kNumber:
      return "a number";
    case Value::Kind::kString:
    case Value::Kind::kBytes:
      return "a string";
    case Value::Kind::kList:
      return "a list";
    case Value::Kind::kMap:
      return "an object";
  }
  return "";
}

}  // namespace

bool MayHoldSecret(std::string_view text) {
  const std::string lower = absl::AsciiStrToLower(ToAbsl(text));
  for (const char* word : {"secret", "key", "password", "uri"}) {
    if (absl::StrContains(lower, word)) return true;
  }
  return false;
}

std::string NumberText(double number) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof(text), number);
  return {text, end};
}

std::string Describe(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kList:
    case Value::Kind::kMap:
      return KindName(value);
    case Value::Kind::kNumber:
      return NumberText(value.AsNumber());
    default:
      return Shortened(ToJson(value));
  }
}

std::string Line(std::string_view key, std::string_view what, std::string_view got) {
  std::string line = absl::StrCat(ToAbsl(key), ": ", ToAbsl(what));
  if (!got.empty()) absl::StrAppend(&line, " (got ", ToAbsl(got), ")");
  return line;
}

absl::Status FaultStatus(std::string_view origin, const std::vector<std::string>& faults) {
  if (faults.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(ToAbsl(origin), ": ", faults.size(),
                                                 faults.size() == 1 ? " fault\n" : " faults\n",
                                                 absl::StrJoin(faults, "\n")));
}

void Findings::Fault(std::string_view path, std::string_view what) {
  faults.push_back(Line(path, what, ""));
}

void Findings::Fault(std::string_view path, std::string_view what, const Value& got) {
  faults.push_back(Line(path, what, Describe(got)));
}

void Findings::FaultUnseen(std::string_view path, std::string_view what, const Value& got) {
  faults.push_back(Line(path, what, KindName(got)));
}

void Findings::Warn(std::string_view path, std::string_view what) {
  warnings.push_back(Line(path, what, ""));
}

}  // namespace datamanager::config
