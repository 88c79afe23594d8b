#include "cloud/link_progress.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace datamanager::cloud {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr SilenceLimits kLimits{.ping_interval = 20s, .ping_timeout = 20s};
const MonotonicTime kStart{std::chrono::hours(1)};

TEST(IsSilentTest, NeverWithoutAConnectionWhoseSocketIsKnown) {
  EXPECT_FALSE(IsSilent({}, kLimits, kStart + 1000s));
}

TEST(IsSilentTest, OnceThePingIsOverdue_WhenAllIsAcknowledged) {
  const LinkState state{.connection = 1, .moved = kStart, .heard = kStart + 5s};
  EXPECT_FALSE(IsSilent(state, kLimits, kStart + 44s));
  EXPECT_TRUE(IsSilent(state, kLimits, kStart + 45s));
}

TEST(IsSilentTest, OnceNothingIsAcknowledged_WhenBytesWait) {
  const LinkState state{
      .connection = 1, .queued = 1, .moved = kStart + 5s, .heard = kStart, .round_trip = 100ms};
  EXPECT_FALSE(IsSilent(state, kLimits, kStart + 44s));
  EXPECT_TRUE(IsSilent(state, kLimits, kStart + 45s));
}

TEST(IsSilentTest, LaterOnALinkWhoseRoundTripIsLong) {
  LinkState state{
      .connection = 1, .queued = 1, .moved = kStart, .heard = kStart, .round_trip = 15s};
  EXPECT_FALSE(IsSilent(state, kLimits, kStart + 59s));
  EXPECT_TRUE(IsSilent(state, kLimits, kStart + 60s));
  state.round_trip = 1000s;
  EXPECT_TRUE(IsSilent(state, kLimits, kStart + 300s));
}

class LinkProgressTest : public ::testing::Test {
 protected:
  LinkProgressTest() { link_.Begin(now_); }

  // The next look, `after` the last one.
  void Look(std::chrono::milliseconds after, LinkSample sample) {
    now_ += after;
    link_.Add(sample, now_);
  }
  // The link carries so many bytes a second, and more wait for it.
  void RunFull(uint64_t bytes_per_second, std::chrono::seconds span) {
    for (const auto end = now_ + span; now_ < end;) {
      acked_ += bytes_per_second / 10;
      Look(100ms, {.acked = acked_, .queued = 5000, .unsent = 1});
    }
  }

  // Of a call that does not wait if it has to.
  bool HasRoom(uint64_t bytes) {
    std::optional<RoomLine::Place> place;
    const bool taken = link_.TakeRoom(bytes, place, now_);
    link_.LeaveLine(place);
    return taken;
  }

  LinkProgress link_;
  MonotonicTime now_ = kStart;
  uint64_t acked_ = 0;
};

TEST_F(LinkProgressTest, TellsWhenThePeerAcknowledgedAndWhenItSpoke) {
  Look(1s, {.acked = 1000, .received = 50, .queued = 10});
  Look(1s, {.acked = 1000, .received = 60, .queued = 10});
  Look(1s, {.acked = 1000, .received = 60, .queued = 10});
  const LinkState state = link_.State();
  EXPECT_EQ(state.connection, 1U);
  EXPECT_EQ(state.acked, 1000U);
  EXPECT_EQ(state.queued, 10U);
  EXPECT_EQ(state.moved, kStart + 1s);
  EXPECT_EQ(state.heard, kStart + 2s);
}

// The kernel of a machine whose server hangs acknowledges the ping to which no answer comes.
TEST_F(LinkProgressTest, TakesAPingForNoProgress) {
  Look(1s, {.acked = 1000});
  Look(1s, {.acked = 1017});
  EXPECT_EQ(link_.State().moved, kStart + 1s);
  Look(1s, {.acked = 1200});
  EXPECT_EQ(link_.State().moved, kStart + 3s);
}

TEST_F(LinkProgressTest, CountsNoSilence_WhileTheProcessItselfDidNotRun) {
  Look(1s, {.acked = 1000, .received = 50});
  Look(300s, {.acked = 1000, .received = 50});
  EXPECT_FALSE(IsSilent(link_.State(), kLimits, now_));
  for (int i = 0; i < 4; ++i) Look(10s, {.acked = 1000, .received = 50});
  EXPECT_TRUE(IsSilent(link_.State(), kLimits, now_));
}

TEST_F(LinkProgressTest, KnowsWhatIsOutstanding) {
  EXPECT_EQ(link_.HandOver(5000).outstanding, 5000U);
  EXPECT_EQ(link_.HandOver(1000).outstanding, 6000U);
  Look(1s, {.acked = 4000, .queued = 2000});
  EXPECT_EQ(link_.State().outstanding, 2000U);
  Look(1s, {.acked = 9000, .queued = 1});
  EXPECT_EQ(link_.State().outstanding, 0U);
}

TEST_F(LinkProgressTest, ForgetsWhatACancelledCallNeverSent) {
  link_.HandOver(5000);
  Look(1s, {});
  EXPECT_EQ(link_.State().outstanding, 5000U);  // It may be about to reach the kernel.
  Look(1s, {});
  EXPECT_EQ(link_.State().outstanding, 0U);
}

TEST_F(LinkProgressTest, BeginsAgainWithEachConnection) {
  link_.HandOver(5000);
  Look(1s, {.acked = 1000, .queued = 4000});
  link_.Begin(now_);
  const LinkState state = link_.State();
  EXPECT_EQ(state.connection, 2U);
  EXPECT_EQ(state.acked, 0U);
  EXPECT_EQ(state.outstanding, 0U);
  EXPECT_EQ(state.moved, now_);
}

TEST_F(LinkProgressTest, LimitsNothing_WhereNoSocketIsKnown) {
  EXPECT_LT(link_.PieceBytes(), LinkProgress::kUnlimited);
  link_.End();
  EXPECT_EQ(link_.State().connection, 0U);
  EXPECT_EQ(link_.PieceBytes(), LinkProgress::kUnlimited);
  EXPECT_EQ(link_.UnaryBytes(), LinkProgress::kUnlimited);
  EXPECT_EQ(link_.HandOver(1 << 30).outstanding, 0U);
  EXPECT_TRUE(HasRoom(1 << 30));
}

TEST_F(LinkProgressTest, OffersSizesThatFitTheLink) {
  RunFull(20000, std::chrono::seconds(10));
  EXPECT_NEAR(static_cast<double>(link_.PieceBytes()), 5000, 500);
  EXPECT_NEAR(static_cast<double>(link_.UnaryBytes()), 100000, 10000);
  RunFull(100, std::chrono::seconds(30));
  EXPECT_EQ(link_.PieceBytes(), 1400U);
  EXPECT_EQ(link_.UnaryBytes(), 8192U);
  RunFull(4 << 20, std::chrono::seconds(1));
  EXPECT_EQ(link_.PieceBytes(), LinkProgress::kUnlimited);
  EXPECT_EQ(link_.UnaryBytes(), LinkProgress::kUnlimited);
}

// Nothing shows how fast the link is before it was full.
TEST_F(LinkProgressTest, BeginsWithALittleRoom_ThatDoublesWithEachRoundThatLeavesNothingWaiting) {
  // So slowly that what is acknowledged proves no rate.
  const auto look = [&](LinkSample sample) { Look(10s, sample); };
  uint64_t room = LinkProgress::kFirstRoom;
  uint64_t acked = 0;
  for (int i = 0; i < 3; ++i) {
    link_.HandOver(room - 1);
    EXPECT_TRUE(HasRoom(5000)) << room;
    link_.HandOver(1);
    EXPECT_FALSE(HasRoom(5000)) << room;
    acked += room;
    look({.acked = acked});
    room *= 2;
  }
  // What waits does not widen it.
  link_.HandOver(room);
  acked += room;
  look({.acked = acked, .queued = 1, .unsent = 1});
  link_.HandOver(room);
  EXPECT_FALSE(HasRoom(5000));
  // As on a good link, in the end there is no limit.
  for (; room < (1 << 20); room *= 2) {
    acked += room;
    look({.acked = acked});
  }
  EXPECT_EQ(link_.UnaryBytes(), LinkProgress::kUnlimited);
}

TEST_F(LinkProgressTest, HasRoomForASecondOfTheLink) {
  RunFull(20000, std::chrono::seconds(10));
  Look(100ms, {.acked = acked_});
  Look(100ms, {.acked = acked_});
  EXPECT_TRUE(HasRoom(1 << 20)) << "Even a large request may go once nothing is before it.";
  link_.HandOver(15000);
  EXPECT_TRUE(HasRoom(5000));
  link_.HandOver(7000);
  EXPECT_FALSE(HasRoom(5000));
  EXPECT_TRUE(HasRoom(500)) << "A small request waits for no room.";
  Look(100ms, {.acked = acked_ + 4000, .queued = 18000});
  EXPECT_TRUE(HasRoom(5000));
  Look(100ms, {.acked = acked_ + 4000, .queued = 30000});
  EXPECT_FALSE(HasRoom(5000)) << "What the kernel holds counts, whoever sent it.";
}

TEST_F(LinkProgressTest, WhoWaitsForRoomGetsItInTurn) {
  RunFull(20000, std::chrono::seconds(10));
  link_.HandOver(21000);
  std::optional<RoomLine::Place> large;
  std::optional<RoomLine::Place> small;
  std::optional<RoomLine::Place> gone;
  EXPECT_FALSE(link_.TakeRoom(5000, gone, now_));
  EXPECT_FALSE(link_.TakeRoom(2000, small, now_));
  EXPECT_FALSE(link_.TakeRoom(5000, large, now_));
  link_.LeaveLine(gone);
  Look(100ms, {.acked = acked_ + 2000});
  EXPECT_FALSE(link_.TakeRoom(5000, large, now_)) << "The small one is before it.";
  EXPECT_TRUE(link_.TakeRoom(500, gone, now_)) << "Who needs no room does not wait.";
  EXPECT_TRUE(link_.TakeRoom(2000, small, now_));
  link_.HandOver(2000);
  EXPECT_FALSE(link_.TakeRoom(5000, large, now_));
  Look(100ms, {.acked = acked_ + 4000});
  EXPECT_TRUE(link_.TakeRoom(5000, large, now_));
}

TEST_F(LinkProgressTest, WhoWaitsForRoomNeedNotAskFirst) {
  RunFull(20000, std::chrono::seconds(10));
  link_.HandOver(21000);
  std::array<std::optional<RoomLine::Place>, 5> calls;
  for (auto& place : calls) EXPECT_FALSE(link_.TakeRoom(8000, place, now_));
  for (int i = 0; i < 2; ++i) Look(100ms, {.acked = acked_ + 2000});  // All has arrived.
  EXPECT_FALSE(link_.TakeRoom(8000, calls[4], now_)) << "The room is kept for those before it.";
  EXPECT_FALSE(link_.TakeRoom(8000, calls[3], now_));
  for (const size_t served : {2, 0, 1}) {
    EXPECT_TRUE(link_.TakeRoom(8000, calls[served], now_)) << served;
    link_.HandOver(8000);
  }
  EXPECT_FALSE(link_.TakeRoom(8000, calls[3], now_));
}

TEST_F(LinkProgressTest, ASmallRequestGoesBeforeLargeOnesThatWait) {
  RunFull(20000, std::chrono::seconds(10));
  link_.HandOver(21000);
  std::array<std::optional<RoomLine::Place>, 3> large;
  std::array<std::optional<RoomLine::Place>, 20> small;
  for (auto& place : large) EXPECT_FALSE(link_.TakeRoom(60000, place, now_));
  for (auto& place : small) EXPECT_FALSE(link_.TakeRoom(2000, place, now_));
  EXPECT_EQ(link_.Waiting(now_), 23);
  uint64_t acked = acked_;
  std::string order;
  const auto ask = [&](auto& places, uint64_t bytes, char name) {
    for (auto& place : places) {
      if (!place.has_value() || !link_.TakeRoom(bytes, place, now_)) continue;
      link_.HandOver(bytes);
      order += name;
    }
  };
  while (order.size() < 12) {
    acked += 2000;
    Look(100ms, {.acked = acked, .queued = 10});
    ask(large, 60000, 'L');
    ask(small, 2000, 's');
  }
  EXPECT_EQ(order, "ssssssssLsss");
}

TEST_F(LinkProgressTest, TheSmallestWaitToo_WhenSecondsOfThemAreOnTheirWay) {
  link_.HandOver(500000);
  EXPECT_TRUE(HasRoom(500)) << "Nothing says that the link is slow.";
  EXPECT_EQ(link_.Waiting(now_), 0);
  Look(100ms, {.acked = acked_});
  Look(100ms, {.acked = acked_});
  RunFull(20000, std::chrono::seconds(10));
  link_.HandOver(59000);
  EXPECT_TRUE(HasRoom(500));
  link_.HandOver(2000);
  EXPECT_FALSE(HasRoom(500));
  EXPECT_EQ(link_.Waiting(now_), 0) << "It has left.";
}

TEST_F(LinkProgressTest, WhoDoesNotAskForRoomAgainHoldsUpNobody) {
  RunFull(20000, std::chrono::seconds(10));
  link_.HandOver(21000);
  std::optional<RoomLine::Place> hangs;
  std::optional<RoomLine::Place> other;
  EXPECT_FALSE(link_.TakeRoom(15000, hangs, now_));
  EXPECT_FALSE(link_.TakeRoom(5000, other, now_));
  Look(100ms, {.acked = acked_ + 2000});
  EXPECT_FALSE(link_.TakeRoom(5000, other, now_)) << "The room is kept for the one before it.";
  Look(RoomLine::kPatience, {.acked = acked_ + 2000});
  EXPECT_TRUE(link_.TakeRoom(5000, other, now_));
  EXPECT_TRUE(link_.TakeRoom(15000, hangs, now_)) << "It keeps its place.";
}

}  // namespace
}  // namespace datamanager::cloud
