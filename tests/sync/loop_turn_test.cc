#include "sync/loop_turn.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
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

}  // namespace
}  // namespace datamanager::sync
