#include "ingest_server/fault_injector.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>

namespace ingest {
namespace {

using grpc::StatusCode;

// Of an upload whose names do not matter.
Faults NextOf(FaultInjector& faults) { return faults.ForNextCall("", ""); }

FaultSpec Spec(const char* text) { return FaultSpec::Parse(text).value(); }

TEST(FaultInjectorTest, WithoutASpecNothingHappens) {
  FaultInjector faults({}, 1);
  for (int i = 0; i < 100; ++i) {
    const Faults next = NextOf(faults);
    EXPECT_EQ(next.failure, StatusCode::OK);
    EXPECT_EQ(next.delay.count(), 0);
    EXPECT_FALSE(next.stall);
    EXPECT_FALSE(next.drop_after_store);
  }
}

TEST(FaultInjectorTest, KeepsToTheProbabilities) {
  FaultInjector faults(
      Spec("unavailable=0.2,internal=0.1,stall=0.1,drop-after-store=0.5,delay=1ms..3ms"), 1);
  constexpr int kCalls = 10000;
  std::map<StatusCode, int> failures;
  int stalls = 0;
  int drops = 0;
  for (int i = 0; i < kCalls; ++i) {
    const Faults next = NextOf(faults);
    ++failures[next.failure];
    if (next.stall) {
      ++stalls;
      EXPECT_EQ(next.failure, StatusCode::OK);  // Either the one or the other.
    }
    drops += next.drop_after_store ? 1 : 0;
    EXPECT_GE(next.delay, std::chrono::milliseconds(1));
    EXPECT_LE(next.delay, std::chrono::milliseconds(3));
  }
  // Five standard deviations.
  EXPECT_NEAR(failures[StatusCode::UNAVAILABLE], 0.2 * kCalls, 200);
  EXPECT_NEAR(failures[StatusCode::INTERNAL], 0.1 * kCalls, 150);
  EXPECT_NEAR(stalls, 0.1 * kCalls, 150);
  EXPECT_NEAR(drops, 0.5 * kCalls, 250);
}

TEST(FaultInjectorTest, CertainMeansAlways) {
  FaultInjector faults(Spec("aborted=1"), 1);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(NextOf(faults).failure, StatusCode::ABORTED);
  faults.SetSpec({});
  EXPECT_EQ(NextOf(faults).failure, StatusCode::OK);
}

TEST(FaultInjectorTest, TheSeedDecides) {
  FaultInjector one(Spec("unavailable=0.5"), 7);
  FaultInjector same(Spec("unavailable=0.5"), 7);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(NextOf(one).failure, NextOf(same).failure);
}

TEST(FaultInjectorTest, FailNextComesBeforeTheSpec) {
  FaultInjector faults(Spec("aborted=1"), 1);
  faults.FailNext(2, StatusCode::UNAVAILABLE);
  EXPECT_EQ(NextOf(faults).failure, StatusCode::UNAVAILABLE);
  EXPECT_EQ(NextOf(faults).failure, StatusCode::UNAVAILABLE);
  EXPECT_EQ(NextOf(faults).failure, StatusCode::ABORTED);
}

TEST(FaultInjectorTest, StrikesStreamsEarlyAndLate) {
  FaultInjector faults(Spec("stall=0.5,internal=0.5"), 1);
  std::map<int, int> moments;
  for (int i = 0; i < 1000; ++i) ++moments[NextOf(faults).after_messages];
  EXPECT_EQ(moments.begin()->first, 0);
  EXPECT_EQ(moments.rbegin()->first, 8);
  EXPECT_EQ(moments.size(), 9U);
}

TEST(FaultInjectorTest, MatchSparesTheOthers) {
  FaultInjector faults(Spec("stall=1,delay=1ms..1ms,drop-after-store=1,match=cam"), 1);
  EXPECT_TRUE(faults.ForNextCall("left-camera", "").stall);
  EXPECT_TRUE(faults.ForNextCall("", "/home/cam.txt").stall);
  for (const auto& [component, file] : {std::pair("cpu", ""), {"", "/home/x"}, {"ca", "m"}}) {
    const Faults spared = faults.ForNextCall(component, file);
    EXPECT_FALSE(spared.stall);
    EXPECT_FALSE(spared.drop_after_store);
    EXPECT_EQ(spared.delay.count(), 0);
  }
}

}  // namespace
}  // namespace ingest
