#include "config/substitution.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace datamanager::config {
namespace {

constexpr std::string_view kDefault = ":-";

// How many characters of `text` are a variable's name.
size_t NameLength(std::string_view text) {
  const auto end = std::find_if_not(
      text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isalnum(c) || c == '_'; });
  const bool begins_well =
      !text.empty() && !absl::ascii_isdigit(static_cast<unsigned char>(text.front()));
  return begins_well ? static_cast<size_t>(end - text.begin()) : 0;
}

// What stands behind a dollar sign.
struct Reference {
  size_t size = 0;  // In all, without the dollar sign; 0: it begins none.
  std::string_view name;
  std::optional<std::string_view> if_unset;
  bool foreign = false;    // Filled in by others, later.
  bool malformed = false;  // A brace that leads nowhere.
};

Reference ReadReference(std::string_view text) {
  if (!text.starts_with('{')) {
    const size_t size = NameLength(text);
    return {.size = size, .name = text.substr(0, size)};
  }
  const size_t end = text.find('}');
  if (end == std::string_view::npos) return {.size = text.size(), .malformed = true};
  const std::string_view inside = text.substr(1, end - 1);
  Reference reference{.size = end + 1, .name = inside.substr(0, NameLength(inside))};
  const std::string_view rest = inside.substr(reference.name.size());
  if (rest.starts_with('.') && (reference.name == "packages" || reference.name == "environment")) {
    reference.foreign = true;
  } else if (!reference.name.empty() && rest.starts_with(kDefault)) {
    reference.if_unset = rest.substr(kDefault.size());
  } else {
    reference.malformed = reference.name.empty() || !rest.empty();
  }
  return reference;
}

class Substitution {
 public:
  Substitution(const Variables& variables, Findings& findings)
      : variables_(variables), findings_(findings) {}

  void Copy(const Value& from, const std::string& path, Value& to) {
    switch (from.kind()) {
      case Value::Kind::kString:
        to.SetString(Filled(from.AsString(), path));
        break;
      case Value::Kind::kList: {
        ValueList& list = to.SetList();
        for (size_t i = 0; i < from.AsList().size(); ++i) {
          Copy(from.AsList()[i], absl::StrCat(path, "[", i, "]"), list.Add());
        }
        break;
      }
      case Value::Kind::kMap: {
        ValueMap& map = to.SetMap();
        for (const ValueMap::Entry& entry : from.AsMap()) {
          Copy(entry.value, absl::StrCat(path, ".", entry.key), map.Add(entry.key));
        }
        break;
      }
      default:
        to = from;
    }
  }

 private:
  std::string Filled(std::string_view text, const std::string& path) {
    std::string filled;
    size_t begin = 0;
    for (size_t dollar; (dollar = text.find('$', begin)) != std::string_view::npos;) {
      filled += text.substr(begin, dollar - begin);
      const std::string_view behind = text.substr(dollar + 1);
      const Reference reference = ReadReference(behind);
      begin = dollar + 1 + reference.size;
      if (behind.starts_with('$')) {
        filled += '$';
        ++begin;
      } else if (reference.size == 0 || reference.foreign) {
        filled += text.substr(dollar, 1 + reference.size);
      } else {
        const bool shown =
            !MayHoldSecret(path) || (text.starts_with("${") && reference.size + 1 == text.size() &&
                                     !reference.malformed && !reference.if_unset.has_value());
        // What is at fault stays, so that nothing is said to be missing besides.
        filled += ValueOf(reference, shown, path)
                      .value_or(std::string(text.substr(dollar, begin - dollar)));
      }
    }
    filled += text.substr(begin);
    return filled;
  }

  // nullopt, with a fault noted, if it has none.
  std::optional<std::string> ValueOf(const Reference& reference, bool shown,
                                     const std::string& path) {
    std::optional<std::string> value;
    std::string_view fault;
    if (reference.malformed) {
      fault = "has a ${ that names no environment variable";
    } else {
      value = variables_(std::string(reference.name));
      if (reference.if_unset.has_value() && value.value_or("").empty()) {
        return std::string(*reference.if_unset);
      }
      if (!value.has_value()) fault = "names an environment variable that is not set";
      if (value.has_value() && !IsUtf8(*value)) {
        fault = "names an environment variable that is not UTF-8";
      }
    }
    if (fault.empty()) return value;
    const bool named = shown && !reference.name.empty();
    findings_.Fault(
        path, absl::StrCat(ToAbsl(fault), named ? absl::StrCat(": ", ToAbsl(reference.name)) : "",
                           "; write ${NAME} for a variable, $$ for a dollar sign"));
    return std::nullopt;
  }

  const Variables& variables_;
  Findings& findings_;
};

}  // namespace

Value Substitute(const ValueMap& document, std::initializer_list<std::string_view> sections,
                 const Variables& variables, Findings& findings) {
  Substitution substitution(variables, findings);
  Value result;
  ValueMap& map = result.SetMap();
  for (const ValueMap::Entry& entry : document) {
    const bool ours = std::any_of(sections.begin(), sections.end(), [&](std::string_view section) {
      return absl::EqualsIgnoreCase(ToAbsl(section), entry.key);
    });
    Value& to = map.Add(entry.key);
    if (ours) {
      substitution.Copy(entry.value, entry.key, to);
    } else {
      to = entry.value;
    }
  }
  return result;
}

}  // namespace datamanager::config
