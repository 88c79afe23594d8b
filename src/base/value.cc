#include "datamanager/value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/strings.h"

namespace datamanager {
namespace {

void AppendJsonText(std::string_view text, std::string& out) {
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          absl::StrAppendFormat(&out, "\\u%04x", static_cast<unsigned>(c));
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

void AppendJsonNumber(double number, std::string& out) {
  if (std::isnan(number)) {
    out += "\"NaN\"";
  } else if (std::isinf(number)) {
    out += number > 0 ? "\"Infinity\"" : "\"-Infinity\"";
  } else if (number == std::trunc(number) && std::fabs(number) < 1e15) {
    absl::StrAppend(&out, static_cast<int64_t>(number));
  } else {
    // As many digits as bring the same double back.
    std::array<char, 32> digits;
    char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    out.append(digits.data(), end);
  }
}

void AppendJson(const ValueMap& map, std::string& out);

void AppendJson(const Value& value, std::string& out) {
  switch (value.kind()) {
    case Value::Kind::kNull:
      out += "null";
      break;
    case Value::Kind::kBool:
      out += value.AsBool() ? "true" : "false";
      break;
    case Value::Kind::kNumber:
      AppendJsonNumber(value.AsNumber(), out);
      break;
    case Value::Kind::kString:
      AppendJsonText(value.AsString(), out);
      break;
    case Value::Kind::kBytes:
      AppendJsonText(absl::Base64Escape(ToAbsl(value.AsString())), out);
      break;
    case Value::Kind::kList: {
      out += '[';
      const char* separator = "";
      for (const Value& element : value.AsList()) {
        out += separator;
        AppendJson(element, out);
        separator = ",";
      }
      out += ']';
      break;
    }
    case Value::Kind::kMap:
      AppendJson(value.AsMap(), out);
      break;
  }
}

void AppendJson(const ValueMap& map, std::string& out) {
  std::vector<const ValueMap::Entry*> entries;
  for (const ValueMap::Entry& entry : map) entries.push_back(&entry);
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto* a, const auto* b) { return a->key < b->key; });
  out += '{';
  const char* separator = "";
  for (size_t i = 0; i < entries.size(); ++i) {
    if (i + 1 < entries.size() && entries[i]->key == entries[i + 1]->key) continue;
    out += separator;
    AppendJsonText(entries[i]->key, out);
    out += ':';
    AppendJson(entries[i]->value, out);
    separator = ",";
  }
  out += '}';
}

}  // namespace

ValueMap::ValueMap() = default;
// Copies leave unused storage behind.
ValueMap::ValueMap(const ValueMap& other)
    : entries_(other.begin(), other.end()), size_(other.size_) {}
ValueMap::ValueMap(ValueMap&& other) noexcept
    : entries_(std::move(other.entries_)), size_(std::exchange(other.size_, 0)) {}
ValueMap& ValueMap::operator=(const ValueMap& other) {
  if (this == &other) return *this;
  if (Holds(&other) || other.Holds(this)) return *this = ValueMap(other);
  entries_.assign(other.begin(), other.end());
  size_ = other.size_;
  return *this;
}
// Destroys the old content last, because `other` may be a part of it. If `other` contains this map,
// it cannot be moved into it and is copied.
ValueMap& ValueMap::operator=(ValueMap&& other) noexcept {
  if (this == &other) return *this;
  ValueMap taken;
  if (other.Holds(this)) {
    taken = other;
  } else {
    taken.entries_.swap(other.entries_);
    std::swap(taken.size_, other.size_);
  }
  entries_.swap(taken.entries_);
  std::swap(size_, taken.size_);
  return *this;
}
ValueMap::~ValueMap() = default;

Value& ValueMap::Add(std::string_view key) {
  if (size_ == entries_.size()) {
    // The key may lie in the storage that moves as it grows.
    Entry entry;
    entry.key = key;
    Append(std::move(entry));
    return entries_.back().value;
  }
  Entry& entry = entries_[size_++];
  if (entry.key != key) entry.key = key;
  entry.value.SetNull();
  return entry.value;
}

void ValueMap::Append(Entry&& entry) {
  if (size_ == entries_.size()) {
    entries_.push_back(std::move(entry));
  } else {
    entries_[size_] = std::move(entry);
  }
  ++size_;
}

bool ValueMap::Holds(const void* part) const {
  return part == this || std::any_of(begin(), end(), [part](const Entry& entry) {
           return entry.value.Holds(part);
         });
}

const Value* ValueMap::Find(std::string_view key) const {
  for (size_t i = size_; i > 0; --i) {
    if (entries_[i - 1].key == key) return &entries_[i - 1].value;
  }
  return nullptr;
}

bool operator==(const ValueMap& a, const ValueMap& b) { return ToJson(a) == ToJson(b); }

ValueList::ValueList() = default;
ValueList::ValueList(const ValueList& other)
    : values_(other.begin(), other.end()), size_(other.size_) {}
ValueList::ValueList(ValueList&& other) noexcept
    : values_(std::move(other.values_)), size_(std::exchange(other.size_, 0)) {}
ValueList& ValueList::operator=(const ValueList& other) {
  if (this == &other) return *this;
  if (Holds(&other) || other.Holds(this)) return *this = ValueList(other);
  values_.assign(other.begin(), other.end());
  size_ = other.size_;
  return *this;
}
ValueList& ValueList::operator=(ValueList&& other) noexcept {
  if (this == &other) return *this;
  ValueList taken;
  if (other.Holds(this)) {
    taken = other;
  } else {
    taken.values_.swap(other.values_);
    std::swap(taken.size_, other.size_);
  }
  values_.swap(taken.values_);
  std::swap(size_, taken.size_);
  return *this;
}
ValueList::~ValueList() = default;

Value& ValueList::Add() {
  if (size_ == values_.size()) values_.emplace_back();
  Value& value = values_[size_++];
  value.SetNull();
  return value;
}

void ValueList::AppendValue(Value&& value) {
  if (size_ == values_.size()) {
    values_.push_back(std::move(value));
  } else {
    values_[size_] = std::move(value);
  }
  ++size_;
}

bool ValueList::Holds(const void* part) const {
  return part == this ||
         std::any_of(begin(), end(), [part](const Value& value) { return value.Holds(part); });
}

bool operator==(const ValueList& a, const ValueList& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

Value::Value(const Value& other) : kind_(other.kind_), scalar_(other.scalar_) {
  if (kind_ == Kind::kString || kind_ == Kind::kBytes) text_ = other.text_;
  if (kind_ == Kind::kList) list_ = std::make_unique<ValueList>(other.AsList());
  if (kind_ == Kind::kMap) map_ = std::make_unique<ValueMap>(other.AsMap());
}

Value& Value::operator=(const Value& other) {
  // Frees nothing before it has taken all that it needs of `other`, which may be a part of this
  // value. Sets the kind last: until then this value, which may be a part of `other`, is unchanged.
  const Kind kind = other.kind_;
  switch (kind) {
    case Kind::kNull:
    case Kind::kBool:
    case Kind::kNumber:
      scalar_ = other.scalar_;
      break;
    case Kind::kString:
    case Kind::kBytes:
      text_ = other.text_;
      break;
    case Kind::kList:
      ListStorage() = other.AsList();
      break;
    case Kind::kMap:
      MapStorage() = other.AsMap();
      break;
  }
  kind_ = kind;
  return *this;
}

Value& Value::operator=(Value&& other) noexcept {
  if (this == &other) return *this;
  // Moves or copies for the same reason as in ValueMap.
  if (other.Holds(this)) {
    Value copy(other);
    Swap(copy);
  } else {
    Value taken(std::move(other));
    Swap(taken);
  }
  return *this;
}

void Value::Swap(Value& other) noexcept {
  std::swap(kind_, other.kind_);
  std::swap(scalar_, other.scalar_);
  text_.swap(other.text_);
  list_.swap(other.list_);
  map_.swap(other.map_);
}

bool Value::Holds(const void* part) const {
  return part == this || (kind_ == Kind::kList && AsList().Holds(part)) ||
         (kind_ == Kind::kMap && AsMap().Holds(part));
}

const ValueList& Value::AsList() const {
  // Never destroyed: a thread that was left alone may outlive main().
  static const auto* const empty = new ValueList;
  return list_ != nullptr && kind_ == Kind::kList ? *list_ : *empty;
}

const ValueMap& Value::AsMap() const {
  static const auto* const empty = new ValueMap;
  return map_ != nullptr && kind_ == Kind::kMap ? *map_ : *empty;
}

void Value::SetString(std::string_view text) {
  kind_ = Kind::kString;
  text_ = text;
}

void Value::SetBytes(std::string_view bytes) {
  kind_ = Kind::kBytes;
  text_ = bytes;
}

ValueList& Value::ListStorage() {
  if (list_ == nullptr) list_ = std::make_unique<ValueList>();
  return *list_;
}

ValueMap& Value::MapStorage() {
  if (map_ == nullptr) map_ = std::make_unique<ValueMap>();
  return *map_;
}

ValueList& Value::SetList() {
  kind_ = Kind::kList;
  ListStorage().Clear();
  return *list_;
}

ValueMap& Value::SetMap() {
  kind_ = Kind::kMap;
  MapStorage().Clear();
  return *map_;
}

bool operator==(const Value& a, const Value& b) {
  if (a.kind_ != b.kind_) return false;
  switch (a.kind_) {
    case Value::Kind::kNull:
      return true;
    case Value::Kind::kBool:
    case Value::Kind::kNumber:
      return a.scalar_ == b.scalar_;
    case Value::Kind::kString:
    case Value::Kind::kBytes:
      return a.text_ == b.text_;
    case Value::Kind::kList:
      return a.AsList() == b.AsList();
    case Value::Kind::kMap:
      return a.AsMap() == b.AsMap();
  }
  return false;
}

std::string ToJson(const Value& value) {
  std::string out;
  AppendJson(value, out);
  return out;
}

std::string ToJson(const ValueMap& map) {
  std::string out;
  AppendJson(map, out);
  return out;
}

}  // namespace datamanager
