#include "base/task.h"

#include <gtest/gtest.h>

#include <coroutine>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace datamanager {
namespace {

// Something to wait for: ends when it is opened.
class Door {
 public:
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiting) { waiting_.push_back(waiting); }
  void await_resume() const {}

  void Open() {
    for (const std::coroutine_handle<> waiting : std::exchange(waiting_, {})) waiting.resume();
  }

 private:
  std::vector<std::coroutine_handle<>> waiting_;
};

Task<int> Twice(Door& door, int value) {
  co_await door;
  co_return 2 * value;
}

Task<std::string> Sum(Door& door, int count) {
  int sum = 0;
  for (int i = 1; i <= count; ++i) sum += co_await Twice(door, i);
  co_return std::to_string(sum);
}

TEST(TaskTest, BeginsWhenItIsStartedAndWaitsWithoutItsThread) {
  Door door;
  Task<std::string> task = Sum(door, 2);
  door.Open();
  task.Start();
  EXPECT_FALSE(task.done());
  door.Open();
  EXPECT_FALSE(task.done());
  door.Open();
  ASSERT_TRUE(task.done());
  EXPECT_EQ(task.TakeResult(), "6");
}

Task<int> Immediately(int value) { co_return value; }

Task<int> CountTo(int end) {
  int sum = 0;
  for (int i = 0; i < end; ++i) sum += co_await Immediately(1);
  co_return sum;
}

TEST(TaskTest, ATaskThatDoesNotWaitEndsAtOnce) {
  Task<int> task = CountTo(100);
  task.Start();
  ASSERT_TRUE(task.done());
  EXPECT_EQ(task.TakeResult(), 100);
}

Task<void> Throws(Door& door) {
  co_await door;
  throw std::runtime_error("broken");
}

Task<std::string> Catches(Door& door) {
  try {
    co_await Throws(door);
  } catch (const std::runtime_error& error) {
    co_return error.what();
  }
  co_return "nothing";
}

TEST(TaskTest, AnExceptionReachesWhoeverAwaits) {
  Door door;
  Task<std::string> task = Catches(door);
  task.Start();
  door.Open();
  EXPECT_EQ(task.TakeResult(), "broken");

  Task<void> uncaught = Throws(door);
  uncaught.Start();
  door.Open();
  ASSERT_TRUE(uncaught.done());
  EXPECT_THROW(uncaught.TakeResult(), std::runtime_error);
}

Task<void> Holds(Door& door, std::shared_ptr<int> held) {
  co_await door;
  ++*held;
}

TEST(TaskTest, WhatWaitsMayBeDestroyed) {
  Door door;
  const auto held = std::make_shared<int>(0);
  {
    Task<void> task = Holds(door, held);
    task.Start();
    EXPECT_EQ(held.use_count(), 2);
  }
  EXPECT_EQ(held.use_count(), 1);
}

Task<std::unique_ptr<int>> Moves(std::unique_ptr<int> value) { co_return value; }

TEST(TaskTest, ResultsAndTasksAreMoved) {
  Task<std::unique_ptr<int>> task = Moves(std::make_unique<int>(7));
  Task<std::unique_ptr<int>> other = std::move(task);
  other.Start();
  EXPECT_EQ(*other.TakeResult(), 7);
}

}  // namespace
}  // namespace datamanager
