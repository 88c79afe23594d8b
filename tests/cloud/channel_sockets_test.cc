#include "cloud/channel_sockets.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "cloud/address.h"
#include "cloud/channel.h"
#include "tests/cloud/fixture.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::cloud {
namespace {

class ChannelSocketsTest : public CloudTest {
 protected:
  struct Made {
    std::shared_ptr<grpc::Channel> channel;
    int64_t number = 0;
  };
  // A channel of its own to the server.
  Made Make() {
    const Endpoint endpoint{.address = *ParseAppAddress("http://" + server_.address())};
    Made made{.channel = MakeChannel(endpoint, {}, std::make_shared<std::atomic<bool>>(false))};
    const std::optional<int64_t> number = NewestChannel(endpoint.address.target);
    EXPECT_TRUE(number.has_value());
    made.number = number.value_or(0);
    return made;
  }
  static void Connect(const Made& made) {
    made.channel->GetState(/*try_to_connect=*/true);
    EXPECT_TRUE(
        testing::WaitUntil([&] { return made.channel->GetState(false) == GRPC_CHANNEL_READY; }));
  }
  // gRPC publishes it a moment after the channel is READY.
  static std::optional<TcpEnds> Ends(const Made& made) {
    std::optional<TcpEnds> ends;
    EXPECT_TRUE(testing::WaitUntil([&] { return (ends = ConnectionOf(made.number)).has_value(); }));
    return ends;
  }
};

TEST_F(ChannelSocketsTest, FindsNoConnection_BeforeThereIsOne) {
  EXPECT_FALSE(ConnectionOf(Make().number).has_value());
}

TEST_F(ChannelSocketsTest, FindsTheSocketOfAChannel) {
  const Made made = Make();
  Connect(made);
  const std::optional<TcpEnds> ends = Ends(made);
  ASSERT_TRUE(ends.has_value());
  EXPECT_EQ(ends->remote.port, server_.port());
  EXPECT_TRUE(TcpConnection(*ends).Look().has_value());
}

TEST_F(ChannelSocketsTest, TellsChannelsToOneServerApart) {
  const Made one = Make();
  const Made other = Make();
  EXPECT_NE(one.number, other.number);
  Connect(one);
  Connect(other);
  EXPECT_NE(Ends(one), Ends(other));
}

TEST_F(ChannelSocketsTest, BreakingTheSocketEndsTheConnection) {
  const Made made = Make();
  Connect(made);
  const std::optional<TcpEnds> ends = Ends(made);
  ASSERT_TRUE(ends.has_value());
  EXPECT_TRUE(TcpConnection(*ends).Break());
  EXPECT_TRUE(
      testing::WaitUntil([&] { return made.channel->GetState(false) != GRPC_CHANNEL_READY; }));
}

TEST_F(ChannelSocketsTest, KnowsNoChannelToAnotherTarget) {
  EXPECT_EQ(NewestChannel("dns:///nowhere.invalid:1"), std::nullopt);
  EXPECT_EQ(ConnectionOf(1 << 30), std::nullopt);
}

}  // namespace
}  // namespace datamanager::cloud
