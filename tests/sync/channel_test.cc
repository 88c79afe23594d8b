#include "sync/channel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <stop_token>
#include <thread>
#include <vector>

#include "tests/support/wait_until.h"

namespace datamanager::sync {
namespace {

using std::chrono::milliseconds;
using Sent = Channel<int>::Sent;

MonotonicTime In(milliseconds wait) { return std::chrono::steady_clock::now() + wait; }
MonotonicTime Later() { return In(std::chrono::hours(1)); }

TEST(ChannelTest, SendReturnsOnlyWhenTheItemIsTaken) {
  Channel<int> channel;
  std::atomic<bool> returned{false};
  std::jthread sender([&] {
    int item = 7;
    EXPECT_EQ(channel.Send(item, Later(), {}), Sent::kTaken);
    returned = true;
  });
  // Nobody has received, so that it cannot have returned, however far it has come.
  EXPECT_FALSE(returned);
  EXPECT_EQ(channel.Receive({}), 7);
  sender.join();
  EXPECT_TRUE(returned);
}

TEST(ChannelTest, WithoutAReceiverTheItemIsLeftAsItIs) {
  Channel<std::unique_ptr<int>> channel;
  auto item = std::make_unique<int>(7);
  EXPECT_EQ(channel.Send(item, In(milliseconds(10)), {}),
            Channel<std::unique_ptr<int>>::Sent::kTimedOut);
  ASSERT_NE(item, nullptr);
  EXPECT_EQ(*item, 7);
}

TEST(ChannelTest, OneReceiverTakesOneItem) {
  Channel<int> channel;
  auto received = std::async(std::launch::async, [&] { return channel.Receive({}); });
  int first = 1;
  int second = 2;
  EXPECT_EQ(channel.Send(first, Later(), {}), Sent::kTaken);
  EXPECT_EQ(channel.Send(second, In(milliseconds(10)), {}), Sent::kTimedOut);
  EXPECT_EQ(received.get(), 1);
}

TEST(ChannelTest, StopEndsReceivers) {
  Channel<int> channel;
  std::stop_source stop;
  auto one = std::async(std::launch::async, [&] { return channel.Receive(stop.get_token()); });
  auto other = std::async(std::launch::async, [&] { return channel.Receive(stop.get_token()); });
  stop.request_stop();
  EXPECT_EQ(one.get(), std::nullopt);
  EXPECT_EQ(other.get(), std::nullopt);
  // They no longer count as receivers.
  int item = 7;
  EXPECT_EQ(channel.Send(item, In(milliseconds(5)), {}), Sent::kTimedOut);
}

TEST(ChannelTest, StopEndsSenders) {
  Channel<std::unique_ptr<int>> channel;
  std::stop_source stop;
  auto item = std::make_unique<int>(7);
  auto sent =
      std::async(std::launch::async, [&] { return channel.Send(item, Later(), stop.get_token()); });
  stop.request_stop();
  EXPECT_EQ(sent.get(), Channel<std::unique_ptr<int>>::Sent::kStopped);
  ASSERT_NE(item, nullptr);
}

TEST(ChannelTest, ASendAfterTheStopIsStopped) {
  Channel<int> channel;
  std::stop_source stop;
  stop.request_stop();
  int item = 7;
  EXPECT_EQ(channel.Send(item, Later(), stop.get_token()), Sent::kStopped);
  EXPECT_EQ(channel.Receive(stop.get_token()), std::nullopt);
}

TEST(ChannelTest, ManySendersAndReceiversLoseAndDuplicateNothing) {
  constexpr int kThreads = 3;
  constexpr int kItems = 10000;
  Channel<int> channel;
  std::stop_source stop;
  std::vector<std::atomic<int>> seen(kItems);
  std::atomic<int> received{0};
  std::atomic<int> next{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        while (const std::optional<int> item = channel.Receive(stop.get_token())) {
          ++seen[static_cast<size_t>(*item)];
          ++received;
        }
      });
      threads.emplace_back([&] {
        for (int item = next++; item < kItems; item = next++) {
          EXPECT_EQ(channel.Send(item, Later(), {}), Sent::kTaken);
        }
      });
    }
    EXPECT_TRUE(testing::WaitUntil([&] { return received == kItems; }));
    stop.request_stop();
  }
  for (const std::atomic<int>& count : seen) ASSERT_EQ(count, 1);
}

TEST(ChannelTest, ASenderHoldsOutOneItemUntilReceiversAreQuick) {
  using Sender = Channel<int>::Sender;
  Channel<int> channel;
  Sender sender(channel);
  // How many fit beside the first, with nobody there to take them; all are taken back.
  const auto room = [&] {
    size_t more = 0;
    for (sender.HoldOut(1); sender.AwaitRoom(In(milliseconds(5)), {}) == Sent::kTaken; ++more) {
      sender.HoldOut(1);
    }
    EXPECT_EQ(sender.TakeBack().size(), more + 1);
    return more;
  };
  EXPECT_EQ(room(), 0U);

  // On a busy machine it may take several attempts.
  EXPECT_TRUE(testing::WaitUntil([&] {
    std::stop_source stop;
    auto received = std::async(std::launch::async, [&] {
      int sum = 0;
      while (const std::optional<int> item = channel.Receive(stop.get_token())) sum += *item;
      return sum;
    });
    constexpr int kItems = 8 * Sender::kQuickWaits;
    for (int i = 0; i < kItems; ++i) {
      sender.HoldOut(1);
      EXPECT_EQ(sender.AwaitRoom(Later(), {}), Sent::kTaken);
    }
    EXPECT_EQ(sender.AwaitAll(Later(), {}), Sent::kTaken);
    stop.request_stop();
    EXPECT_EQ(received.get(), kItems);
    return room() == Sender::kMost - 1;
  }));
  // Nobody took the last ones.
  EXPECT_EQ(room(), 0U);
}

TEST(ChannelTest, ASenderHoldsOutOneItemWhileReceiversAreSlow) {
  using Sender = Channel<int>::Sender;
  Channel<int> channel;
  Sender sender(channel);
  for (int i = 0; i < 2 * Sender::kQuickWaits; ++i) {
    sender.HoldOut(i);
    const MonotonicTime slow = In(2 * Sender::kQuick);
    auto received = std::async(std::launch::async, [&] {
      std::this_thread::sleep_until(slow);  // How slow it is, not a wait for anything.
      return channel.Receive({});
    });
    EXPECT_EQ(sender.AwaitRoom(Later(), {}), Sent::kTaken);
    EXPECT_EQ(received.get(), i) << "there was room before it was taken";
  }
  sender.HoldOut(0);
  EXPECT_EQ(sender.AwaitRoom(In(milliseconds(5)), {}), Sent::kTimedOut);
}

// What a sender was told has been taken is received, also when the receivers are being stopped.
TEST(ChannelTest, WhatWasTakenSurvivesTheStopOfReceivers) {
  for (int round = 0; round < 200; ++round) {
    Channel<int> channel;
    std::stop_source stop;
    std::atomic<int> received{0};
    int taken = 0;
    {
      std::vector<std::jthread> receivers;
      for (int i = 0; i < 2; ++i) {
        receivers.emplace_back([&] {
          while (channel.Receive(stop.get_token()).has_value()) ++received;
        });
      }
      std::jthread stopper([&] { stop.request_stop(); });
      int item = 0;
      while (channel.Send(item, Later(), stop.get_token()) == Sent::kTaken) ++taken;
    }
    ASSERT_EQ(received, taken);
  }
}

}  // namespace
}  // namespace datamanager::sync
