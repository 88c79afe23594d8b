#include "datamanager/clock.h"

namespace datamanager {
namespace {

class SystemClock final : public Clock {
 public:
  MonotonicTime MonotonicNow() const override { return std::chrono::steady_clock::now(); }
  WallTime WallNow() const override { return std::chrono::system_clock::now(); }
};

}  // namespace

const Clock& Clock::System() {
  // Never destroyed: a thread that was left alone may outlive main().
  static const auto* const clock = new SystemClock;
  return *clock;
}

}  // namespace datamanager
