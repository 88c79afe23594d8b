#include "ingest_server/fault_injector.h"

#include <utility>

namespace ingest {

using datamanager::MutexLock;

FaultInjector::FaultInjector(FaultSpec spec, uint64_t seed)
    : spec_(std::move(spec)), random_(seed) {}

void FaultInjector::SetSpec(FaultSpec spec) {
  MutexLock lock(mutex_);
  spec_ = std::move(spec);
}

void FaultInjector::FailNext(int count, grpc::StatusCode code) {
  MutexLock lock(mutex_);
  forced_count_ = count;
  forced_code_ = code;
}

Faults FaultInjector::ForNextCall() {
  MutexLock lock(mutex_);
  if (forced_count_ > 0) {
    --forced_count_;
    return {.failure = forced_code_};
  }
  Faults faults;
  const std::chrono::duration<double, std::nano> spread = spec_.delay_max - spec_.delay_min;
  faults.delay =
      spec_.delay_min + std::chrono::duration_cast<std::chrono::nanoseconds>(spread * Draw());
  double draw = Draw();
  for (const FaultSpec::Failure& failure : spec_.failures) {
    draw -= failure.probability;
    if (draw < 0) {
      faults.failure = failure.code;
      break;
    }
  }
  faults.drop_after_store = Draw() < spec_.drop_after_store;
  return faults;
}

double FaultInjector::Draw() { return std::uniform_real_distribution<double>()(random_); }

}  // namespace ingest
