#include "ingest_server/fault_injector.h"

#include <utility>

namespace ingest {

using datamanager::MutexLock;

namespace {

// A picture of 1 MB comes in 16 messages.
constexpr int kMaxMessagesBefore = 8;

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

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

Faults FaultInjector::ForNextCall(std::string_view component_name, std::string_view file_name) {
  MutexLock lock(mutex_);
  if (forced_count_ > 0) {
    --forced_count_;
    return {.failure = forced_code_};
  }
  if (!Contains(component_name, spec_.match) && !Contains(file_name, spec_.match)) return {};
  Faults faults;
  const std::chrono::duration<double, std::nano> spread = spec_.delay_max - spec_.delay_min;
  faults.delay =
      spec_.delay_min + std::chrono::duration_cast<std::chrono::nanoseconds>(spread * Draw());
  double draw = Draw() - spec_.stall;
  faults.stall = draw < 0;
  for (const FaultSpec::Failure& failure : spec_.failures) {
    if (draw < 0) break;
    draw -= failure.probability;
    if (draw < 0) faults.failure = failure.code;
  }
  faults.after_messages = static_cast<int>(Draw() * (kMaxMessagesBefore + 1));
  faults.drop_after_store = Draw() < spec_.drop_after_store;
  return faults;
}

double FaultInjector::Draw() { return std::uniform_real_distribution<double>()(random_); }

}  // namespace ingest
