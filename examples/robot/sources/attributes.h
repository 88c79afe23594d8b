// Reading a component's attributes, strictly.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_SOURCES_ATTRIBUTES_H_
#define DATAMANAGER_EXAMPLES_ROBOT_SOURCES_ATTRIBUTES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "datamanager/config.h"
#include "robot/sources/source_context.h"

namespace robot {

// Of `known`, which is not empty, the name that is spelled most like `name`.
std::string NearestOf(std::string_view name, const std::vector<std::string>& known);

// `path` as an absolute path, without links as far as it exists.
std::string CanonicalPath(const std::string& path);

// A file that only one component may use.
struct Claim {
  std::string component;
  std::string attribute;
  std::string path;          // Without links, as far as it exists.
  bool never_swept = false;  // It must not lie where files are uploaded and removed.
};

// Describes why the file must not lie there; empty if it may.
std::string SweptFault(const Claim& claim, const SourceContext& context);

// The attributes of one component. Whatever is wrong with them is added to `faults`, a line each,
// and the caller goes on with a default, so that all faults come to light at once. Null counts as
// absent. Both arguments must outlive it. Not thread-safe.
class Attributes {
 public:
  Attributes(const datamanager::ComponentConfig& component, std::vector<std::string>& faults,
             const SourceContext& context = {})
      : component_(component), faults_(faults), context_(context) {}

  const std::string& component() const { return component_.name; }
  const SourceContext& context() const { return context_; }

  std::string Text(std::string_view name, std::string_view fallback);
  std::string RequiredText(std::string_view name);
  int64_t Integer(std::string_view name, int64_t fallback, int64_t min, int64_t max);
  // A number, or a list of numbers; empty if absent.
  std::vector<int64_t> Integers(std::string_view name, int64_t min, int64_t max);

  // Claims the file for the component; two claims of one file are a fault of the config, which
  // RobotSources finds. False, with a fault, if it lies where files are swept and must not.
  bool ClaimFile(std::string_view name, const std::string& path, bool never_swept);
  const std::vector<Claim>& claims() const { return claims_; }

  // Adds a fault of the component as a whole.
  void Fault(const std::string& what);
  // Adds a fault of the attribute `name`, with its value.
  void Fault(std::string_view name, const std::string& what);
  // Adds a fault for each attribute that nothing above asked for.
  void RefuseUnknown();

 private:
  // Null if absent.
  const datamanager::Value* Find(std::string_view name);
  bool ToInteger(const datamanager::Value& value, int64_t min, int64_t max, int64_t& out);

  const datamanager::ComponentConfig& component_;
  std::vector<std::string>& faults_;
  const SourceContext context_;
  std::vector<Claim> claims_;
  std::vector<std::string> known_;
};

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_SOURCES_ATTRIBUTES_H_
