#include "ingest_server/fault_spec.h"

#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/strings.h"

namespace ingest {
namespace {

using datamanager::ToAbsl;

constexpr char kDelay[] = "delay";
constexpr char kStall[] = "stall";
constexpr char kDropAfterStore[] = "drop-after-store";
constexpr char kMatch[] = "match";

struct CodeName {
  std::string_view name;
  grpc::StatusCode code;
};

constexpr CodeName kCodes[] = {
    {"cancelled", grpc::StatusCode::CANCELLED},
    {"unknown", grpc::StatusCode::UNKNOWN},
    {"invalid_argument", grpc::StatusCode::INVALID_ARGUMENT},
    {"deadline_exceeded", grpc::StatusCode::DEADLINE_EXCEEDED},
    {"not_found", grpc::StatusCode::NOT_FOUND},
    {"already_exists", grpc::StatusCode::ALREADY_EXISTS},
    {"permission_denied", grpc::StatusCode::PERMISSION_DENIED},
    {"resource_exhausted", grpc::StatusCode::RESOURCE_EXHAUSTED},
    {"failed_precondition", grpc::StatusCode::FAILED_PRECONDITION},
    {"aborted", grpc::StatusCode::ABORTED},
    {"out_of_range", grpc::StatusCode::OUT_OF_RANGE},
    {"unimplemented", grpc::StatusCode::UNIMPLEMENTED},
    {"internal", grpc::StatusCode::INTERNAL},
    {"unavailable", grpc::StatusCode::UNAVAILABLE},
    {"data_loss", grpc::StatusCode::DATA_LOSS},
    {"unauthenticated", grpc::StatusCode::UNAUTHENTICATED},
};

std::optional<grpc::StatusCode> FindCode(std::string_view name) {
  for (const CodeName& known : kCodes) {
    if (known.name == name) return known.code;
  }
  return std::nullopt;
}

std::string DescribeUnknown(std::string_view name) {
  std::vector<std::string> known = {kDelay, kStall, kDropAfterStore, kMatch};
  for (const CodeName& code : kCodes) known.emplace_back(code.name);
  const std::string nearest = datamanager::NearestName(name, known);
  std::string text = absl::StrCat("there is no fault \"", ToAbsl(name), "\"");
  if (!nearest.empty()) absl::StrAppend(&text, "; did you mean \"", nearest, "\"?");
  return text;
}

absl::StatusOr<double> ParseProbability(std::string_view text) {
  double probability = 0;
  // Written so that NaN fails, too.
  if (!absl::SimpleAtod(ToAbsl(text), &probability) || !(probability >= 0 && probability <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", ToAbsl(text), "\" is not a probability from 0 to 1"));
  }
  return probability;
}

absl::Status ParseDelay(std::string_view text, FaultSpec& spec) {
  const std::pair<std::string, std::string> range =
      absl::StrSplit(ToAbsl(text), absl::MaxSplits("..", 1));
  absl::Duration bounds[2];
  if (!absl::ParseDuration(range.first, &bounds[0]) ||
      !absl::ParseDuration(range.second, &bounds[1])) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", ToAbsl(text), "\" is not a range of durations such as 5ms..50ms"));
  }
  // The upper limit keeps the sum of now and the delay within its type.
  if (bounds[0] < absl::ZeroDuration() || bounds[1] < bounds[0] || bounds[1] > absl::Hours(24)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", ToAbsl(text), "\" does not run upwards between 0 and 24h"));
  }
  spec.delay_min = absl::ToChronoNanoseconds(bounds[0]);
  spec.delay_max = absl::ToChronoNanoseconds(bounds[1]);
  return absl::OkStatus();
}

absl::Status ParsePart(std::string_view name, std::string_view value, FaultSpec& spec) {
  if (name == kDelay) return ParseDelay(value, spec);
  if (name == kMatch) {
    if (value.empty()) return absl::InvalidArgumentError("the text to match is missing");
    spec.match = std::string(value);
    return absl::OkStatus();
  }
  const std::optional<grpc::StatusCode> code = FindCode(name);
  if (!code && name != kStall && name != kDropAfterStore) {
    return absl::InvalidArgumentError(DescribeUnknown(name));
  }

  const absl::StatusOr<double> probability = ParseProbability(value);
  if (!probability.ok()) return probability.status();
  if (code) {
    spec.failures.push_back({*code, *probability});
  } else {
    (name == kStall ? spec.stall : spec.drop_after_store) = *probability;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<FaultSpec> FaultSpec::Parse(std::string_view text) {
  FaultSpec spec;
  std::set<std::string> seen;
  for (const absl::string_view part : absl::StrSplit(ToAbsl(text), ',')) {
    const std::pair<std::string, std::string> pair = absl::StrSplit(part, absl::MaxSplits('=', 1));
    absl::Status status;
    if (!absl::StrContains(part, '=')) {
      status = absl::InvalidArgumentError("expected NAME=VALUE");
    } else if (!seen.insert(pair.first).second) {
      status = absl::InvalidArgumentError(absl::StrCat("\"", pair.first, "\" is given twice"));
    } else {
      status = ParsePart(pair.first, pair.second, spec);
    }
    if (!status.ok()) return datamanager::Wrap(status, absl::StrCat("\"", part, "\""));
  }

  if (!spec.match.empty() && seen.size() == 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", ToAbsl(text), "\": there is no fault for \"match\" to restrict"));
  }
  double sum = spec.stall;
  for (const Failure& failure : spec.failures) sum += failure.probability;
  // Ten times 0.1 is a little more or less than 1.
  if (sum > 1 + 1e-9) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", ToAbsl(text), "\": the probabilities of the codes and of a stall add up to ", sum,
        ", more than 1"));
  }
  return spec;
}

}  // namespace ingest
