// The methods that can be captured, one row each.
#ifndef DATAMANAGER_SRC_CAPTURE_METHODS_H_
#define DATAMANAGER_SRC_CAPTURE_METHODS_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "capture/call.h"
#include "datamanager/value.h"

namespace google::protobuf {
class Message;
}

namespace datamanager::capture {

// What a source's answer becomes.
enum class PayloadRule : uint8_t {
  // One tabular record:
  kFields,         // {<field>: <value>...} with every field of the response.
  kFieldsOrZeros,  // The same, where an unset message counts as one of zeros, not as {}.
  kReadings,       // {"readings": {...}}
  kDoCommand,      // {"docommand_output": {...}}
  // Binary records:
  kPointCloud,  // One.
  kChunks,      // One of all messages of a stream.
  kAudio,       // One for each run of chunks of one format.
  kEveryImage,  // One for each picture, with its source's name as its last classification.
  kOneImage,    // The first picture of the wanted MIME type, else the first.
  kCaptureAll,  // The picture, with what was detected in it.
};

// What a component's method is called with as `extra`.
enum class Extra : uint8_t {
  kNone,
  kFromDataManagement,  // {"fromDataManagement": true}
  kParameters,          // The same, then the additional_params.
};

// One of the additional_params that the data manager itself makes use of.
struct Parameter {
  enum class Kind : uint8_t { kText, kTexts, kObject, kFraction };
  std::string_view name;
  Kind kind;
  // What is told where it is not there, or empty; empty for one that may be left out.
  std::string_view missing;
  std::string_view wrong;  // The same where it is of another kind.
  // As in the reference, one of another kind is no fault: where a text is due it is ignored, and
  // where a fraction is due a text with a number is that number, any other text 0. An empty text is
  // one.
  bool tolerated = false;
};

// The parameters as a method uses them, and what was tolerated.
struct CheckedParameters {
  ValueMap values;
  std::vector<std::string> warnings;
};

struct Method {
  std::string_view api;
  std::string_view name;
  PayloadRule rule;
  // An empty message of what the component answers (or of each in its stream).
  const google::protobuf::Message& (*response)();
  Call call;  // By which a remote source gets it.
  std::span<const Parameter> parameters = {};
  Extra extra = Extra::kFromDataManagement;
  // Of the files, as far as it is known before there is a record; what the record is decides at the
  // upload.
  std::string_view extension = "";
  // Where the value of a parameter tells it: which one, and the extensions by value.
  std::string_view extension_by = "";
  std::span<const std::pair<std::string_view, std::string_view>> extensions = {};

  bool binary() const { return rule >= PayloadRule::kPointCloud; }
  // Whether the component answers with a stream of messages.
  bool streamed() const { return rule == PayloadRule::kChunks || rule == PayloadRule::kAudio; }
};

std::span<const Method> AllMethods();

// NOT_FOUND, with the nearest known name, if nothing can be captured under this API and method.
absl::StatusOr<const Method*> FindMethod(std::string_view api, std::string_view name);

// INVALID_ARGUMENT if what the method needs is missing or of the wrong kind.
absl::StatusOr<CheckedParameters> CheckParameters(const Method& method,
                                                  const ValueMap& additional_params);

// With the dot; may be empty.
std::string_view FileExtension(const Method& method, const ValueMap& additional_params);

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_METHODS_H_
