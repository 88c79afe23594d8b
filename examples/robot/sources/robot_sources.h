// The sources of a robot, made from the components of its machine config.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_SOURCES_ROBOT_SOURCES_H_
#define DATAMANAGER_EXAMPLES_ROBOT_SOURCES_ROBOT_SOURCES_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "datamanager/config.h"
#include "datamanager/source.h"
#include "robot/sources/attributes.h"
#include "robot/sources/source_context.h"

namespace robot {

// Keeps a source as long as its component stays as it is, so that its collector runs on over a
// reload. A copy shares the sources. Not thread-safe.
class RobotSources {
 public:
  // Makes sources for `components` and for no others. A component says what it is in its `model`,
  // or in the attribute "model", which goes first. On error, INVALID_ARGUMENT, every fault stands
  // in it, a line each, and nothing has changed. Does not block, except to open files.
  absl::Status Update(const std::vector<datamanager::ComponentConfig>& components,
                      const SourceContext& context = {});

  // Reports that all records so far are on the medium: after a boot, sources of this process that
  // keep a position over restarts need not go back.
  static void SetFlushed();

  const datamanager::Sources& sources() const { return sources_; }

  // Whether it is captured over gRPC: of services, this robot has no others.
  static bool IsRemote(const datamanager::ComponentConfig& service);

  // A few lines on each model and its attributes, for people.
  static std::string DescribeModels();

 private:
  using Key = std::pair<std::string, std::string>;  // API and name.

  struct Kept {
    datamanager::ComponentConfig component;
    std::vector<Claim> claims;
  };

  std::map<Key, Kept> components_;
  datamanager::Sources sources_;
};

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_SOURCES_ROBOT_SOURCES_H_
