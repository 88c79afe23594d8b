// The methods that can be captured, one row each.
#ifndef DATAMANAGER_SRC_CAPTURE_METHODS_H_
#define DATAMANAGER_SRC_CAPTURE_METHODS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace datamanager::capture {

// What a source's answer becomes.
enum class PayloadRule : uint8_t {
  kReadings,    // One tabular record: {"readings": {...}}.
  kEveryImage,  // A binary record for each picture, with its source's name as classification.
  kOneImage,    // A binary record of the first picture of the wanted MIME type, else of the first.
};

struct Method {
  std::string_view api;
  std::string_view name;
  PayloadRule rule;
  // Whether additional_params are handed to the source as well as stored.
  bool params_to_source;

  bool binary() const { return rule != PayloadRule::kReadings; }
};

// NOT_FOUND, with the nearest known name, if nothing can be captured under this API and method.
absl::StatusOr<const Method*> FindMethod(std::string_view api, std::string_view name);

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_METHODS_H_
