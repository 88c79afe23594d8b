// Decides, call by call, what goes wrong.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_FAULT_INJECTOR_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_FAULT_INJECTOR_H_

#include <chrono>
#include <cstdint>
#include <random>
#include <string_view>

#include "base/mutex.h"
#include "ingest_server/fault_spec.h"

namespace ingest {

// What is to befall one call.
struct Faults {
  std::chrono::nanoseconds delay{0};
  grpc::StatusCode failure = grpc::StatusCode::OK;  // OK: none.
  bool stall = false;
  // A failure or a stall strikes when so many messages of a stream's content have been read, or all
  // if it has no more: before the first one, in the middle, and right before it would be stored.
  int after_messages = 0;
  bool drop_after_store = false;
};

// Thread-safe; no call blocks.
class FaultInjector {
 public:
  // The same seed and the same order of calls bring the same faults.
  FaultInjector(FaultSpec spec, uint64_t seed);

  void SetSpec(FaultSpec spec) DM_EXCLUDES(mutex_);
  // The next `count` calls fail with `code`, whatever the spec; replaces what is left of an earlier
  // request.
  void FailNext(int count, grpc::StatusCode code) DM_EXCLUDES(mutex_);

  // For a call whose metadata has these names.
  Faults ForNextCall(std::string_view component_name, std::string_view file_name)
      DM_EXCLUDES(mutex_);

 private:
  double Draw() DM_REQUIRES(mutex_);  // From [0, 1).

  datamanager::Mutex mutex_;
  FaultSpec spec_ DM_GUARDED_BY(mutex_);
  std::mt19937_64 random_ DM_GUARDED_BY(mutex_);
  int forced_count_ DM_GUARDED_BY(mutex_) = 0;
  grpc::StatusCode forced_code_ DM_GUARDED_BY(mutex_) = grpc::StatusCode::OK;
};

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_FAULT_INJECTOR_H_
