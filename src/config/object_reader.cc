#include "config/object_reader.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace datamanager::config {
namespace {

// JSON numbers arrive as doubles: beyond this the text may have said another whole number.
constexpr double kMaxWhole = 9007199254740991;  // 2^53 - 1.

}  // namespace

void ObjectReader::Read(std::string_view name, bool& out) {
  const Value* value = TakeKind(name, Value::Kind::kBool, "must be true or false");
  if (value != nullptr) out = value->AsBool();
}

void ObjectReader::Read(std::string_view name, int64_t& out) {
  const std::optional<double> number = TakeNumber(name);
  if (!number.has_value()) return;
  const double whole = std::trunc(*number);
  if (whole != *number && fractions_ == Fractions::kRefused) {
    findings_.Fault(PathOf(name), "must be a whole number", *number);
  } else if (std::fabs(whole) > kMaxWhole) {
    findings_.Fault(PathOf(name), "is too large to be exact", *number);
  } else if (whole != 0) {
    out = static_cast<int64_t>(whole);
  }
}

void ObjectReader::Read(std::string_view name, double& out) {
  const std::optional<double> number = TakeNumber(name);
  if (number.has_value() && *number != 0) out = *number;
}

void ObjectReader::Read(std::string_view name, float& out) {
  const std::optional<double> number = TakeNumber(name);
  if (!number.has_value() || *number == 0) return;
  const float narrow = static_cast<float>(*number);
  if (std::isfinite(narrow)) {
    out = narrow;
  } else {
    findings_.Fault(PathOf(name), "is too large for a number of single precision", *number);
  }
}

void ObjectReader::Read(std::string_view name, std::string& out) {
  const Value* value = TakeKind(name, Value::Kind::kString, "must be a string");
  if (value != nullptr) out = value->AsString();
}

void ObjectReader::Read(std::string_view name, std::vector<std::string>& out) {
  const Value* list = TakeKind(name, Value::Kind::kList, "must be a list of strings");
  if (list == nullptr) return;
  out.clear();
  for (size_t i = 0; i < list->AsList().size(); ++i) {
    const Value& element = list->AsList()[i];
    if (element.kind() == Value::Kind::kString) {
      out.emplace_back(element.AsString());
    } else {
      findings_.Fault(absl::StrCat(PathOf(name), "[", i, "]"), "must be a string", element);
    }
  }
}

void ObjectReader::Read(std::string_view name, ValueMap& out) {
  const Value* value = TakeKind(name, Value::Kind::kMap, "must be an object");
  if (value != nullptr) out = value->AsMap();
}

const Value* ObjectReader::Take(std::string_view name) {
  known_.emplace_back(name);
  const Value* found = object_.Find(name);
  for (auto entry = object_.begin(); found == nullptr && entry != object_.end(); ++entry) {
    if (absl::EqualsIgnoreCase(entry->key, ToAbsl(name))) found = &entry->value;
  }
  if (found == nullptr) return nullptr;
  taken_.push_back(found);
  return found->is_null() ? nullptr : found;
}

std::optional<ObjectReader> ObjectReader::Object(std::string_view name, Fractions fractions) {
  const Value* value = TakeKind(name, Value::Kind::kMap, "must be an object");
  if (value == nullptr) return std::nullopt;
  return std::make_optional<ObjectReader>(value->AsMap(), PathOf(name), findings_, fractions);
}

void ObjectReader::Ignore(std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) Take(name);
}

void ObjectReader::WarnAboutUnknown() { WarnAboutRest(/*also_without_neighbour=*/true); }
void ObjectReader::WarnAboutMisspelt() { WarnAboutRest(/*also_without_neighbour=*/false); }

std::string ObjectReader::PathOf(std::string_view name) const {
  return path_.empty() ? std::string(name) : absl::StrCat(path_, ".", ToAbsl(name));
}

const Value* ObjectReader::TakeKind(std::string_view name, Value::Kind kind,
                                    std::string_view what) {
  const Value* value = Take(name);
  if (value == nullptr || value->kind() == kind) return value;
  // Where an object is due, whatever would have stood inside it may stand: a secret, too.
  if (kind == Value::Kind::kMap) {
    findings_.FaultUnseen(PathOf(name), what, *value);
  } else {
    findings_.Fault(PathOf(name), what, *value);
  }
  return nullptr;
}

std::optional<double> ObjectReader::TakeNumber(std::string_view name) {
  const Value* value = TakeKind(name, Value::Kind::kNumber, "must be a number");
  if (value == nullptr) return std::nullopt;
  if (!std::isfinite(value->AsNumber())) {
    findings_.Fault(PathOf(name), "must be a finite number", *value);
    return std::nullopt;
  }
  return value->AsNumber();
}

void ObjectReader::WarnAboutRest(bool also_without_neighbour) {
  for (const ValueMap::Entry& entry : object_) {
    if (std::find(taken_.begin(), taken_.end(), &entry.value) != taken_.end()) continue;
    const std::string nearest = NearestName(entry.key, known_);
    if (!nearest.empty()) {
      findings_.Warn(PathOf(entry.key),
                     absl::StrCat("unknown attribute, did you mean ", nearest, "?"));
    } else if (also_without_neighbour) {
      findings_.Warn(PathOf(entry.key), "unknown attribute, ignored");
    }
  }
}

}  // namespace datamanager::config
