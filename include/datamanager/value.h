// A JSON-like value: what a source reports, and what a config passes to it.
#ifndef DATAMANAGER_VALUE_H_
#define DATAMANAGER_VALUE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace datamanager {

class Value;

// Values by key, in the order in which they were added. Clear() keeps the storage, so a map that is
// filled with the same keys again allocates nothing.
//
// A value that is set, appended or assigned may be a part of the map, list or value that takes it,
// or may contain it: it is taken as it was before the call. Not thread-safe.
class ValueMap {
 public:
  struct Entry;

  ValueMap();
  ValueMap(const ValueMap& other);
  ValueMap(ValueMap&& other) noexcept;
  ValueMap& operator=(const ValueMap& other);
  ValueMap& operator=(ValueMap&& other) noexcept;
  ~ValueMap();

  // Adds `key` with `value` (a bool, a number, text, a map, a list or a Value). A key that is set
  // twice keeps both entries until the map is encoded, where the last one counts.
  template <typename T>
  void Set(std::string_view key, T&& value);
  // Adds `key` with a null value for the caller to fill. Adding the next entry invalidates the
  // reference and all that Find and begin returned: to copy an entry of this map, use Set.
  Value& Add(std::string_view key);

  // The last value set for `key`; null if there is none.
  const Value* Find(std::string_view key) const;

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const Entry* begin() const;
  const Entry* end() const;

  // Forgets the entries and keeps their storage.
  void Clear() { size_ = 0; }

  // The same keys with equal values, in any order.
  friend bool operator==(const ValueMap& a, const ValueMap& b);

 private:
  friend class Value;
  friend class ValueList;

  // Whether `part` is the address of this map, or of a list, map or value in it.
  bool Holds(const void* part) const;
  void Append(Entry&& entry);

  std::vector<Entry> entries_;  // The first size_ are in use; the rest is storage.
  size_t size_ = 0;
};

// Values in order. Clear() keeps the storage. See ValueMap. Not thread-safe.
class ValueList {
 public:
  ValueList();
  ValueList(const ValueList& other);
  ValueList(ValueList&& other) noexcept;
  ValueList& operator=(const ValueList& other);
  ValueList& operator=(ValueList&& other) noexcept;
  ~ValueList();

  template <typename T>
  void Append(T&& value);
  // Appends null for the caller to fill. See ValueMap::Add.
  Value& Add();

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const Value& operator[](size_t index) const;
  const Value* begin() const;
  const Value* end() const;
  void Clear() { size_ = 0; }

  friend bool operator==(const ValueList& a, const ValueList& b);

 private:
  friend class Value;
  friend class ValueMap;

  bool Holds(const void* part) const;
  void AppendValue(Value&& value);

  std::vector<Value> values_;  // The first size_ are in use; the rest is storage.
  size_t size_ = 0;
};

// One value. A setter keeps the storage that it has. See ValueMap. Not thread-safe.
class Value {
 public:
  enum class Kind : uint8_t { kNull, kBool, kNumber, kString, kBytes, kList, kMap };

  Value() = default;
  template <typename T>
  requires(!std::is_same_v<std::remove_cvref_t<T>, Value>)
      Value(T&& value) {  // NOLINT(google-explicit-constructor): values are written as literals.
    Set(std::forward<T>(value));
  }
  Value(const Value& other);
  Value(Value&& other) noexcept = default;
  Value& operator=(const Value& other);
  Value& operator=(Value&& other) noexcept;
  ~Value() = default;

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::kNull; }

  // Each returns an empty value where the kind is another.
  bool AsBool() const { return kind_ == Kind::kBool && scalar_ != 0; }
  double AsNumber() const { return kind_ == Kind::kNumber ? scalar_ : 0; }
  // Of kString and kBytes.
  std::string_view AsString() const {
    return kind_ == Kind::kString || kind_ == Kind::kBytes ? std::string_view(text_)
                                                           : std::string_view();
  }
  const ValueList& AsList() const;
  const ValueMap& AsMap() const;

  // Text must be UTF-8; what is not can be stored with SetBytes. A number is stored as a double, as
  // the wire format has no other: integers beyond 2^53 lose their low bits.
  template <typename T>
  void Set(T&& value);
  void SetNull() { kind_ = Kind::kNull; }
  void SetBool(bool value) {
    kind_ = Kind::kBool;
    scalar_ = value ? 1 : 0;
  }
  void SetNumber(double value) {
    kind_ = Kind::kNumber;
    scalar_ = value;
  }
  void SetString(std::string_view text);
  // Stored as padded base64 text, as the wire format has no bytes.
  void SetBytes(std::string_view bytes);
  // Makes this an empty list, or map, to be filled.
  ValueList& SetList();
  ValueMap& SetMap();

  friend bool operator==(const Value& a, const Value& b);

 private:
  friend class ValueMap;
  friend class ValueList;

  // Whether a T can hold another value, or be held by one.
  template <typename T>
  static constexpr bool kNests =
      std::is_same_v<T, Value> || std::is_same_v<T, ValueMap> || std::is_same_v<T, ValueList>;

  bool Holds(const void* part) const;
  void Swap(Value& other) noexcept;
  // Returns the storage that SetList and SetMap return, but keeps its content.
  ValueList& ListStorage();
  ValueMap& MapStorage();

  Kind kind_ = Kind::kNull;
  double scalar_ = 0;
  std::string text_;
  std::unique_ptr<ValueList> list_;
  std::unique_ptr<ValueMap> map_;
};

struct ValueMap::Entry {
  std::string key;
  Value value;
};

inline const ValueMap::Entry* ValueMap::begin() const { return entries_.data(); }
inline const ValueMap::Entry* ValueMap::end() const { return entries_.data() + size_; }

inline const Value& ValueList::operator[](size_t index) const { return values_[index]; }
inline const Value* ValueList::begin() const { return values_.data(); }
inline const Value* ValueList::end() const { return values_.data() + size_; }

// Compact JSON, keys in order of their bytes. NaN and infinities become strings.
std::string ToJson(const Value& value);
std::string ToJson(const ValueMap& map);

template <typename T>
void Value::Set(T&& value) {
  using Plain = std::remove_cvref_t<T>;
  if constexpr (std::is_same_v<Plain, Value>) {
    *this = std::forward<T>(value);
  } else if constexpr (std::is_same_v<Plain, bool>) {
    SetBool(value);
  } else if constexpr (std::is_arithmetic_v<Plain>) {
    SetNumber(static_cast<double>(value));
  } else if constexpr (std::is_same_v<Plain, std::nullptr_t>) {
    SetNull();
  } else if constexpr (std::is_same_v<Plain, ValueMap>) {
    MapStorage() = std::forward<T>(value);
    kind_ = Kind::kMap;
  } else if constexpr (std::is_same_v<Plain, ValueList>) {
    ListStorage() = std::forward<T>(value);
    kind_ = Kind::kList;
  } else {
    SetString(value);
  }
}

template <typename T>
void ValueMap::Set(std::string_view key, T&& value) {
  bool apart = size_ < entries_.size();  // Otherwise it grows, and parts of it move.
  if constexpr (Value::kNests<std::remove_cvref_t<T>>) apart = apart && !value.Holds(this);
  if (apart) {
    Add(key).Set(std::forward<T>(value));
  } else {
    Entry entry;
    entry.key = key;
    entry.value.Set(std::forward<T>(value));
    Append(std::move(entry));
  }
}

template <typename T>
void ValueList::Append(T&& value) {
  bool apart = size_ < values_.size();
  if constexpr (Value::kNests<std::remove_cvref_t<T>>) apart = apart && !value.Holds(this);
  if (apart) {
    Add().Set(std::forward<T>(value));
  } else {
    AppendValue(Value(std::forward<T>(value)));
  }
}

}  // namespace datamanager

#endif  // DATAMANAGER_VALUE_H_
