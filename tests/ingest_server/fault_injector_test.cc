#include "ingest_server/fault_injector.h"

#include <gtest/gtest.h>

#include <map>

namespace ingest {
namespace {

using grpc::StatusCode;

FaultSpec Spec(const char* text) { return FaultSpec::Parse(text).value(); }

TEST(FaultInjectorTest, WithoutASpecNothingHappens) {
  FaultInjector faults({}, 1);
  for (int i = 0; i < 100; ++i) {
    const Faults next = faults.ForNextCall();
    EXPECT_EQ(next.failure, StatusCode::OK);
    EXPECT_EQ(next.delay.count(), 0);
    EXPECT_FALSE(next.drop_after_store);
  }
}

TEST(FaultInjectorTest, KeepsToTheProbabilities) {
  FaultInjector faults(Spec("unavailable=0.2,internal=0.1,drop-after-store=0.5,delay=1ms..3ms"), 1);
  constexpr int kCalls = 10000;
  std::map<StatusCode, int> failures;
  int drops = 0;
  for (int i = 0; i < kCalls; ++i) {
    const Faults next = faults.ForNextCall();
    ++failures[next.failure];
    drops += next.drop_after_store ? 1 : 0;
    EXPECT_GE(next.delay, std::chrono::milliseconds(1));
    EXPECT_LE(next.delay, std::chrono::milliseconds(3));
  }
  // Five standard deviations.
  EXPECT_NEAR(failures[StatusCode::UNAVAILABLE], 0.2 * kCalls, 200);
  EXPECT_NEAR(failures[StatusCode::INTERNAL], 0.1 * kCalls, 150);
  EXPECT_NEAR(drops, 0.5 * kCalls, 250);
}

TEST(FaultInjectorTest, CertainMeansAlways) {
  FaultInjector faults(Spec("aborted=1"), 1);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(faults.ForNextCall().failure, StatusCode::ABORTED);
  faults.SetSpec({});
  EXPECT_EQ(faults.ForNextCall().failure, StatusCode::OK);
}

TEST(FaultInjectorTest, TheSeedDecides) {
  FaultInjector one(Spec("unavailable=0.5"), 7);
  FaultInjector same(Spec("unavailable=0.5"), 7);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(one.ForNextCall().failure, same.ForNextCall().failure);
}

TEST(FaultInjectorTest, FailNextComesBeforeTheSpec) {
  FaultInjector faults(Spec("aborted=1"), 1);
  faults.FailNext(2, StatusCode::UNAVAILABLE);
  EXPECT_EQ(faults.ForNextCall().failure, StatusCode::UNAVAILABLE);
  EXPECT_EQ(faults.ForNextCall().failure, StatusCode::UNAVAILABLE);
  EXPECT_EQ(faults.ForNextCall().failure, StatusCode::ABORTED);
}

}  // namespace
}  // namespace ingest
