// What a reader of a config notes on its way, so that all of it can be told at once.
#ifndef DATAMANAGER_SRC_CONFIG_FINDINGS_H_
#define DATAMANAGER_SRC_CONFIG_FINDINGS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "datamanager/value.h"

namespace datamanager::config {

// Whether `text`, a line of a config or the path of a value in it, is about what may be a secret.
bool MayHoldSecret(std::string_view text);

// The shortest decimal text that reads back as `number`.
std::string NumberText(double number);

// For the end of a message: scalars as JSON, shortened if long; of lists and objects only that they
// are one, since anything may stand inside them, secrets too.
std::string Describe(const Value& value);

// "<key>: <what> (got <got>)", or without the end where `got` is empty.
std::string Line(std::string_view key, std::string_view what, std::string_view got);

// OK without faults, else INVALID_ARGUMENT: "<origin>: <n> faults", then a line for each.
absl::Status FaultStatus(std::string_view origin, const std::vector<std::string>& faults);

struct Findings {
  std::vector<std::string> faults;
  std::vector<std::string> warnings;

  void Fault(std::string_view path, std::string_view what);
  void Fault(std::string_view path, std::string_view what, const Value& got);
  // The same for what may be a secret: tells only what kind of value it is.
  void FaultUnseen(std::string_view path, std::string_view what, const Value& got);
  void Warn(std::string_view path, std::string_view what);
};

}  // namespace datamanager::config

#endif  // DATAMANAGER_SRC_CONFIG_FINDINGS_H_
