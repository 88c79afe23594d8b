// Reads the fields of one JSON object by name and type, and notes what is wrong with them.
#ifndef DATAMANAGER_SRC_CONFIG_OBJECT_READER_H_
#define DATAMANAGER_SRC_CONFIG_OBJECT_READER_H_

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/findings.h"
#include "datamanager/value.h"

namespace datamanager::config {

// What to do with a fraction where a whole number is due.
enum class Fractions : uint8_t { kRefused, kCut };

// The names that are asked for are the known ones; what remains can then be warned about. Names
// match in any case. The object and the findings must outlive the reader. Not thread-safe.
class ObjectReader {
 public:
  // `path` leads to the object and is empty at the top.
  ObjectReader(const ValueMap& object, std::string path, Findings& findings,
               Fractions fractions = Fractions::kRefused)
      : object_(object), path_(std::move(path)), findings_(findings), fractions_(fractions) {}

  // Each leaves `out` alone for absence, null and zero, which mean the default, and when it notes a
  // fault.
  void Read(std::string_view name, bool& out);
  void Read(std::string_view name, int64_t& out);
  void Read(std::string_view name, double& out);
  void Read(std::string_view name, float& out);
  void Read(std::string_view name, std::string& out);
  void Read(std::string_view name, std::vector<std::string>& out);
  void Read(std::string_view name, ValueMap& out);

  // Whatever stands there; null for absence and null.
  const Value* Take(std::string_view name);
  // A reader of the object that stands there.
  std::optional<ObjectReader> Object(std::string_view name,
                                     Fractions fractions = Fractions::kRefused);
  // Calls `visit(ObjectReader&)` for each object of the list that stands there.
  template <typename Visit>
  void ForEachObject(std::string_view name, Visit visit);
  // Makes names known that are not read.
  void Ignore(std::initializer_list<std::string_view> names);

  // Warns about each name that was not asked for.
  void WarnAboutUnknown();
  // The same, but only about names that look like a slip of the fingers.
  void WarnAboutMisspelt();

  const std::string& path() const { return path_; }
  std::string PathOf(std::string_view name) const;
  Findings& findings() { return findings_; }

 private:
  // Null, with a fault noted, unless the value is of this kind.
  const Value* TakeKind(std::string_view name, Value::Kind kind, std::string_view what);
  std::optional<double> TakeNumber(std::string_view name);
  void WarnAboutRest(bool also_without_neighbour);

  const ValueMap& object_;
  const std::string path_;
  Findings& findings_;
  const Fractions fractions_;
  std::vector<std::string> known_;
  std::vector<const Value*> taken_;
};

template <typename Visit>
void ObjectReader::ForEachObject(std::string_view name, Visit visit) {
  const Value* list = TakeKind(name, Value::Kind::kList, "must be a list of objects");
  if (list == nullptr) return;
  for (size_t i = 0; i < list->AsList().size(); ++i) {
    const Value& element = list->AsList()[i];
    std::string path = PathOf(name) + "[" + std::to_string(i) + "]";
    if (element.kind() != Value::Kind::kMap) {
      findings_.FaultUnseen(path, "must be an object", element);
      continue;
    }
    ObjectReader reader(element.AsMap(), std::move(path), findings_);
    visit(reader);
  }
}

}  // namespace datamanager::config

#endif  // DATAMANAGER_SRC_CONFIG_OBJECT_READER_H_
