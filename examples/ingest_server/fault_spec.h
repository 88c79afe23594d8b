// The misbehaviour that --fail asks for.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_FAULT_SPEC_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_FAULT_SPEC_H_

#include <grpcpp/support/status.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace ingest {

// By default there is none.
struct FaultSpec {
  struct Failure {
    grpc::StatusCode code = grpc::StatusCode::OK;
    double probability = 0;
  };

  // Ends a call with one of these, before anything is stored. The probabilities, with that of a
  // stall, add up to at most 1.
  std::vector<Failure> failures;
  // How often a call is never answered: it ends when its client or the server does. Nothing is
  // stored.
  double stall = 0;
  // How long a call waits before it is handled; each one draws from this range.
  std::chrono::nanoseconds delay_min{0};
  std::chrono::nanoseconds delay_max{0};
  // How often an upload is stored for good and the connection broken instead of an answer.
  double drop_after_store = 0;
  // Only uploads whose file or component name contains this are hit; empty: all.
  std::string match;

  // Comma-separated: `CODE=PROBABILITY` (`unavailable=0.1`), `stall=PROBABILITY`, `delay=MIN..MAX`
  // (`delay=5ms..50ms`), `drop-after-store=PROBABILITY`, `match=TEXT`. An error names the part that
  // is wrong, and why.
  static absl::StatusOr<FaultSpec> Parse(std::string_view text);
};

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_FAULT_SPEC_H_
