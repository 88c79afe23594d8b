#include "sync/loop_turn.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/gate.h"
#include "tests/support/wait_until.h"

namespace datamanager::sync {
namespace {

using testing::WaitUntil;

class LoopTurnTest : public ::testing::Test {
 protected:
  // A time at which every step takes too long.
  static MonotonicTime Later() { return Clock::System().MonotonicNow() + 2 * LoopTurn::kPatience; }

  std::atomic<int> wakes_{0};
  LoopTurn turn_{[this] { ++wakes_; }};
};

TEST_F(LoopTurnTest, AThreadThatIsNotStuckKeepsIt) {
  ASSERT_TRUE(turn_.Acquire());
  EXPECT_FALSE(turn_.TakeFromStuck(Later()).from_counted);
  turn_.BeginStep();
  EXPECT_FALSE(turn_.TakeFromStuck(Clock::System().MonotonicNow()).from_counted);
  turn_.Own();
  turn_.EndStep();
  EXPECT_TRUE(turn_.Yield());
  EXPECT_EQ(wakes_, 0);
  turn_.End();
}

TEST_F(LoopTurnTest, AnotherRunsTheLoopWhileOneIsStuckAndGivesTheTurnBack) {
  testing::Gate disk;
  disk.Close();
  std::vector<std::string> log;  // Of the thread with the turn.
  std::thread first([&] {
    ASSERT_TRUE(turn_.Acquire());
    turn_.BeginStep();
    disk.Pass();
    turn_.EndStep();
    log.push_back("first is back");
    EXPECT_TRUE(turn_.Yield());
    turn_.End();
  });
  EXPECT_TRUE(WaitUntil([&] { return disk.waiting() == 1; }));
  const LoopTurn::Taken taken = turn_.TakeFromStuck(Later());
  EXPECT_TRUE(taken.from_counted);
  EXPECT_TRUE(taken.needs_thread);
  const LoopTurn::Taken again = turn_.TakeFromStuck(Later());
  EXPECT_FALSE(again.from_counted);
  EXPECT_TRUE(again.needs_thread) << "no thread has come";
  EXPECT_EQ(turn_.stuck(), 1U);
  std::atomic<bool> runs{false};
  std::thread second([&] {
    ASSERT_TRUE(turn_.Acquire());
    log.push_back("second runs");
    runs = true;
    while (turn_.Yield()) {
    }
  });
  EXPECT_TRUE(WaitUntil([&] { return runs.load(); }));
  disk.Open();
  first.join();
  second.join();
  EXPECT_EQ(log, (std::vector<std::string>{"second runs", "first is back"}));
  EXPECT_EQ(wakes_, 1);
  EXPECT_EQ(turn_.stuck(), 0U);
}

TEST_F(LoopTurnTest, OneThatWaitsTakesOverWithoutANewThread) {
  testing::Gate disk;
  disk.Close();
  std::atomic<bool> ended{false};
  std::thread first([&] {
    ASSERT_TRUE(turn_.Acquire());
    turn_.BeginStep();
    disk.Pass();
    turn_.EndStep();
    turn_.End();
  });
  EXPECT_TRUE(WaitUntil([&] { return disk.waiting() == 1; }));
  std::thread spare([&] {
    if (!turn_.Acquire()) return;
    while (turn_.Yield()) {
    }
    ended = true;
  });
  // Once the spare one waits.
  EXPECT_TRUE(WaitUntil([&] { return turn_.spare() == 1; }));
  const LoopTurn::Taken taken = turn_.TakeFromStuck(Later());
  EXPECT_TRUE(taken.from_counted);
  EXPECT_FALSE(taken.needs_thread);
  EXPECT_EQ(turn_.stuck(), 1U);
  EXPECT_TRUE(WaitUntil([&] { return turn_.spare() == 0; }));
  disk.Open();
  first.join();
  spare.join();
  EXPECT_TRUE(ended);
}

TEST_F(LoopTurnTest, LoopTurn_ReportsACountedStep_OnlyIfTheStepCounts) {
  for (const bool counts : {false, true}) {
    LoopTurn turn([] {});
    testing::Gate disk;
    disk.Close();
    bool reported = !counts;
    std::thread first([&] {
      ASSERT_TRUE(turn.Acquire());
      turn.BeginStep(counts);
      disk.Pass();
      reported = turn.EndStep();
      turn.End();
    });
    EXPECT_TRUE(WaitUntil([&] { return disk.waiting() == 1; }));
    const LoopTurn::Taken taken = turn.TakeFromStuck(Later());
    EXPECT_EQ(taken.from_counted, counts);
    EXPECT_TRUE(taken.needs_thread) << "the loop must run on in either case";
    disk.Open();
    first.join();
    EXPECT_EQ(reported, counts);
  }
}

TEST_F(LoopTurnTest, LoopTurn_AsksForAThread_UntilOneRunsTheLoop) {
  testing::Gate disk;
  disk.Close();
  std::atomic<int> requests{0};
  std::optional<LoopTurn> turn;
  // A stuck thread calls this when it is back and waits for the turn.
  turn.emplace([&] { requests += turn->TakeFromStuck(Later()).needs_thread ? 1 : 0; });
  std::thread first([&] {
    ASSERT_TRUE(turn->Acquire());
    turn->BeginStep();
    disk.Pass();
    turn->EndStep();
    while (turn->Yield()) std::this_thread::yield();
  });
  EXPECT_TRUE(WaitUntil([&] { return disk.waiting() == 1; }));
  // No thread could be started each time.
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(turn->TakeFromStuck(Later()).needs_thread);
  ASSERT_TRUE(turn->Acquire());
  EXPECT_FALSE(turn->TakeFromStuck(Later()).needs_thread) << "this thread has the turn";
  turn->BeginStep();
  EXPECT_TRUE(turn->TakeFromStuck(Later()).needs_thread) << "this thread is stuck too";
  disk.Open();
  EXPECT_TRUE(WaitUntil([&] { return turn->stuck() == 1; }));
  EXPECT_EQ(requests, 0) << "the first thread is back and takes the turn";
  turn->EndStep();
  turn->End();
  first.join();
  EXPECT_EQ(requests, 0);
}

TEST_F(LoopTurnTest, Own_GivesTheStepItsWholePatienceAgain) {
  ASSERT_TRUE(turn_.Acquire());
  turn_.BeginStep();
  const MonotonicTime begun = Clock::System().MonotonicNow();
  EXPECT_TRUE(WaitUntil([&] { return Clock::System().MonotonicNow() > begun; }));
  EXPECT_FALSE(turn_.Own()) << "the turn was not taken";
  EXPECT_FALSE(turn_.TakeFromStuck(begun + LoopTurn::kPatience).from_counted);
  EXPECT_EQ(turn_.stuck(), 0U);
  EXPECT_TRUE(turn_.TakeFromStuck(Later()).from_counted) << "the step goes on";
  EXPECT_TRUE(turn_.EndStep());
  EXPECT_FALSE(turn_.Own());
  EXPECT_FALSE(turn_.TakeFromStuck(Later()).from_counted) << "no step is under way";
  EXPECT_TRUE(turn_.Yield());
  turn_.End();
}

// The thread hangs twice in one step. Another thread makes a step of the other kind in between.
TEST_F(LoopTurnTest, Own_RegainsATurnThatWasTaken_AndTheStepCountsAsBefore) {
  for (const bool counts : {false, true}) {
    std::atomic<int> wakes{0};
    LoopTurn turn([&] { ++wakes; });
    testing::Gate disk;
    testing::Gate disk_again;
    disk.Close();
    disk_again.Close();
    std::atomic<bool> owned{!counts};
    std::atomic<bool> ended{!counts};
    std::thread first([&] {
      ASSERT_TRUE(turn.Acquire());
      turn.BeginStep(counts);
      disk.Pass();
      owned = turn.Own();
      disk_again.Pass();
      ended = turn.EndStep();
      turn.End();
    });
    EXPECT_TRUE(WaitUntil([&] { return disk.waiting() == 1; }));
    turn.TakeFromStuck(Later());
    std::atomic<bool> runs{false};
    std::atomic<bool> yields{false};
    std::thread second([&] {
      ASSERT_TRUE(turn.Acquire());
      turn.BeginStep(!counts);
      turn.EndStep();
      runs = true;
      while (!yields) std::this_thread::yield();
      while (turn.Yield()) std::this_thread::yield();
    });
    EXPECT_TRUE(WaitUntil([&] { return runs.load(); }));
    disk.Open();
    EXPECT_TRUE(WaitUntil([&] { return wakes == 1; }));
    // The wait for the turn is no part of the step.
    const MonotonicTime before = Clock::System().MonotonicNow();
    yields = true;
    EXPECT_TRUE(WaitUntil([&] { return disk_again.waiting() == 1; }));
    EXPECT_EQ(owned, counts);
    EXPECT_EQ(turn.stuck(), 0U);
    turn.TakeFromStuck(before + LoopTurn::kPatience);
    EXPECT_EQ(turn.stuck(), 0U) << "the step has its whole patience again";
    EXPECT_EQ(turn.TakeFromStuck(Later()).from_counted, counts);
    EXPECT_EQ(turn.stuck(), 1U);
    disk_again.Open();
    first.join();
    second.join();
    EXPECT_EQ(ended, counts);
  }
}

TEST_F(LoopTurnTest, Yield_LetsThreadsThatAreBackGoFirst_BeforeSpareOnes) {
  testing::Gate disk;
  disk.Close();
  std::vector<std::string> log;  // Only the thread with the turn writes to it.
  const auto hang = [&] {
    ASSERT_TRUE(turn_.Acquire());
    turn_.BeginStep();
    disk.Pass();
    turn_.EndStep();
    log.emplace_back("back");
    if (turn_.Yield() && log.size() == 2) turn_.End();
  };
  std::thread first(hang);
  EXPECT_TRUE(WaitUntil([&] { return disk.waiting() == 1; }));
  EXPECT_TRUE(turn_.TakeFromStuck(Later()).from_counted);
  std::thread second(hang);
  EXPECT_TRUE(WaitUntil([&] { return disk.waiting() == 2; }));
  EXPECT_TRUE(turn_.TakeFromStuck(Later()).from_counted);
  ASSERT_TRUE(turn_.Acquire());
  std::thread spare([&] {
    if (!turn_.Acquire()) return;
    log.emplace_back("spare");
    turn_.End();
  });
  EXPECT_TRUE(WaitUntil([&] { return turn_.spare() == 1; }));
  disk.Open();
  EXPECT_TRUE(WaitUntil([&] { return wakes_ == 2; }));
  const bool again = turn_.Yield();
  EXPECT_FALSE(again) << "the loop has ended before this thread has the turn again";
  if (again) turn_.End();
  first.join();
  second.join();
  spare.join();
  EXPECT_EQ(log, (std::vector<std::string>{"back", "back"}));
}

TEST_F(LoopTurnTest, End_LetsOnlyStuckThreadsFinish) {
  testing::Gate disk;
  disk.Close();
  std::atomic<bool> finished{false};
  std::thread stuck([&] {
    ASSERT_TRUE(turn_.Acquire());
    turn_.BeginStep();
    disk.Pass();
    turn_.EndStep();
    EXPECT_TRUE(turn_.Yield());
    finished = true;
    turn_.End();
  });
  EXPECT_TRUE(WaitUntil([&] { return disk.waiting() == 1; }));
  EXPECT_TRUE(turn_.TakeFromStuck(Later()).needs_thread);
  ASSERT_TRUE(turn_.Acquire());
  std::thread spare([&] { EXPECT_FALSE(turn_.Acquire()); });
  EXPECT_TRUE(WaitUntil([&] { return turn_.spare() == 1; }));
  turn_.End();
  spare.join();
  EXPECT_FALSE(turn_.Acquire());
  EXPECT_FALSE(turn_.TakeFromStuck(Later()).needs_thread) << "the loop has ended";
  EXPECT_EQ(turn_.stuck(), 1U);
  disk.Open();
  stuck.join();
  EXPECT_TRUE(finished);
  EXPECT_EQ(turn_.stuck(), 0U);
  EXPECT_FALSE(turn_.Acquire());
}

}  // namespace
}  // namespace datamanager::sync
