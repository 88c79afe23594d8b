#include "robot/sources/attributes.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <system_error>

namespace robot {
namespace {

using datamanager::Value;

// Levenshtein's: insertions, deletions and replacements that turn `a` into `b`.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

std::string IntegerRule(int64_t min, int64_t max) {
  return "must be a whole number from " + std::to_string(min) + " to " + std::to_string(max);
}

}  // namespace

std::string NearestOf(std::string_view name, const std::vector<std::string>& known) {
  return *std::min_element(known.begin(), known.end(), [&](const auto& a, const auto& b) {
    return EditDistance(name, a) < EditDistance(name, b);
  });
}

std::string CanonicalPath(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  const std::filesystem::path canonical = std::filesystem::weakly_canonical(absolute, error);
  return error ? absolute.lexically_normal() : canonical;
}

std::string SweptFault(const Claim& claim, const SourceContext& context) {
  if (!claim.never_swept) return "";
  for (const std::string& swept : context.swept) {
    std::string directory = CanonicalPath(swept);
    if (!directory.ends_with('/')) directory += '/';
    if (claim.path.starts_with(directory)) {
      return "is below " + swept + ", whose files are uploaded and then removed; \"" + claim.path +
             "\" must lie elsewhere";
    }
  }
  return "";
}

const Value* Attributes::Find(std::string_view name) {
  known_.emplace_back(name);
  const Value* value = component_.attributes.Find(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

bool Attributes::ClaimFile(std::string_view name, const std::string& path, bool never_swept) {
  claims_.push_back({.component = component_.name,
                     .attribute = std::string(name),
                     .path = CanonicalPath(path),
                     .never_swept = never_swept});
  const std::string fault = SweptFault(claims_.back(), context_);
  if (!fault.empty()) Fault(name, fault);
  return fault.empty();
}

void Attributes::Fault(const std::string& what) {
  faults_.push_back("component \"" + component_.name + "\": " + what);
}

void Attributes::Fault(std::string_view name, const std::string& what) {
  const Value* value = component_.attributes.Find(name);
  Fault("attribute \"" + std::string(name) + "\"" +
        (value == nullptr ? "" : " = " + datamanager::ToJson(*value)) + " " + what);
}

std::string Attributes::Text(std::string_view name, std::string_view fallback) {
  const Value* value = Find(name);
  if (value == nullptr) return std::string(fallback);
  if (value->kind() != Value::Kind::kString) Fault(name, "must be text");
  return std::string(value->AsString());
}

std::string Attributes::RequiredText(std::string_view name) {
  const bool given = Find(name) != nullptr;
  std::string text = Text(name, "");
  if (!given) {
    Fault(name, "is missing; it must be text");
  } else if (text.empty() && component_.attributes.Find(name)->kind() == Value::Kind::kString) {
    Fault(name, "must not be empty");
  }
  return text;
}

bool Attributes::ToInteger(const Value& value, int64_t min, int64_t max, int64_t& out) {
  const double number = value.AsNumber();
  if (value.kind() != Value::Kind::kNumber || number != std::trunc(number) ||
      number < static_cast<double>(min) || number > static_cast<double>(max)) {
    return false;
  }
  out = static_cast<int64_t>(number);
  return true;
}

int64_t Attributes::Integer(std::string_view name, int64_t fallback, int64_t min, int64_t max) {
  const Value* value = Find(name);
  int64_t number = fallback;
  if (value != nullptr && !ToInteger(*value, min, max, number)) Fault(name, IntegerRule(min, max));
  return number;
}

std::vector<int64_t> Attributes::Integers(std::string_view name, int64_t min, int64_t max) {
  const Value* value = Find(name);
  if (value == nullptr) return {};
  const bool is_list = value->kind() == Value::Kind::kList;
  const Value* const begin = is_list ? value->AsList().begin() : value;
  const Value* const end = is_list ? value->AsList().end() : value + 1;
  std::vector<int64_t> numbers(static_cast<size_t>(end - begin), min);
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (!ToInteger(begin[i], min, max, numbers[i])) {
      Fault(name, IntegerRule(min, max) + ", or a list of such");
      break;
    }
  }
  return numbers;
}

void Attributes::RefuseUnknown() {
  for (const auto& entry : component_.attributes) {
    if (std::find(known_.begin(), known_.end(), entry.key) == known_.end()) {
      Fault(entry.key, "is not known to this model; the nearest known one is \"" +
                           NearestOf(entry.key, known_) + "\"");
    }
  }
}

}  // namespace robot
