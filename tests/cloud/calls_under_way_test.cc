#include "cloud/calls_under_way.h"

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "tests/cloud/fixture.h"
#include "tests/support/blocking_calls.h"
#include "tests/support/wait_until.h"

namespace datamanager::cloud {
namespace {

class CallsUnderWayTest : public ::testing::Test {
 protected:
  int wakes_ = 0;
  CallsUnderWay calls_{[this] { ++wakes_; }};
  // So that nothing here waits for kLookEvery.
  std::stop_source stopped_;
};

TEST_F(CallsUnderWayTest, WithoutCallsOneMayWaitForEvents) {
  EXPECT_TRUE(calls_.MayWaitForEvents(true, {}));
  EXPECT_EQ(wakes_, 0);
}

TEST_F(CallsUnderWayTest, TheFirstCallWakesWhoWaitsAndTheOthersDoNot) {
  ASSERT_TRUE(calls_.MayWaitForEvents(true, {}));
  CallsUnderWay::Call first(calls_);
  CallsUnderWay::Call second(calls_);
  EXPECT_EQ(wakes_, 1);
  calls_.Woken();
  EXPECT_FALSE(calls_.MayWaitForEvents(true, {}));
  first.End(true);
  second.End(true);
  const CallsUnderWay::Call third(calls_);
  EXPECT_EQ(wakes_, 1);
}

TEST_F(CallsUnderWayTest, OneRestsForAWhileAfterACall) {
  { CallsUnderWay::Call(calls_).End(true); }
  EXPECT_FALSE(calls_.MayWaitForEvents(true, {}));
  EXPECT_TRUE(testing::WaitUntil([&] { return calls_.MayWaitForEvents(true, {}); }));
}

TEST_F(CallsUnderWayTest, AFailedCallMakesItWaitForEventsUntilOneSucceeds) {
  const CallsUnderWay::Call goes_on(calls_);
  { const CallsUnderWay::Call dropped(calls_); }
  EXPECT_TRUE(calls_.MayWaitForEvents(true, {}));
  CallsUnderWay::Call(calls_).End(true);
  EXPECT_EQ(wakes_, 0);
  const CallsUnderWay::Call after(calls_);
  EXPECT_EQ(wakes_, 1);
}

TEST_F(CallsUnderWayTest, AFailureEndsTheRest) {
  std::optional<CallsUnderWay::Call> call(std::in_place, calls_);
  const std::jthread follower([&] {
    while (!calls_.MayWaitForEvents(true, {})) {
    }
  });
  call->End(false);
}

TEST_F(CallsUnderWayTest, NobodyRestsWithoutAConnectionOrAtTheEnd) {
  const CallsUnderWay::Call call(calls_);
  EXPECT_TRUE(calls_.MayWaitForEvents(false, {}));
  stopped_.request_stop();
  EXPECT_TRUE(calls_.MayWaitForEvents(true, stopped_.get_token()));
}

using RestingTest = CloudTest;

// How often threads of that name have gone to sleep.
uint64_t SleepsOf(const std::string& name) {
  uint64_t sleeps = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string comm;
    std::getline(std::ifstream(task.path() / "comm"), comm);
    if (comm != name) continue;
    std::ifstream status(task.path() / "status");
    for (std::string line; std::getline(status, line);) {
      const std::string_view key = "voluntary_ctxt_switches:";
      if (line.starts_with(key)) sleeps += std::stoull(line.substr(key.size()));
    }
  }
  return sleeps;
}

TEST_F(RestingTest, TheThreadThatFollowsTheStateLeavesRepliesToWhoWaitsForThem) {
  server_.on_data_capture = [](grpc::ServerContext&, const auto&, auto&) {
    return grpc::Status::OK;
  };
  const auto cloud = MakeConnectedCloud();
  const auto call = [&] {
    return testing::Unary(cloud->uploader(), sync::UploadMethod::kDataCaptureUpload, "", {}).status;
  };
  ASSERT_TRUE(call().ok());
  const uint64_t before = SleepsOf("dm-cloud");
  constexpr int kCalls = 200;
  for (int i = 0; i < kCalls; ++i) ASSERT_TRUE(call().ok());
  EXPECT_LT(SleepsOf("dm-cloud") - before, kCalls / 4);
}

TEST_F(RestingTest, ALossDuringACallIsTold) {
  Event arrived;
  server_.on_data_capture = [&](grpc::ServerContext& context, const auto&, auto&) {
    arrived.Set();
    TestServer::Hang(context);
    return grpc::Status::OK;
  };
  const auto cloud = MakeConnectedCloud();
  Record<bool> ready;
  cloud->uploader().SetReadyListener([&](bool now) { ready.Add(now); });
  const std::jthread caller([&] {
    EXPECT_FALSE(testing::Unary(cloud->uploader(), sync::UploadMethod::kDataCaptureUpload, "", {})
                     .status.ok());
  });
  ASSERT_TRUE(arrived.Wait());
  server_.Stop();
  ASSERT_TRUE(ready.WaitForCount(1));
  EXPECT_FALSE(ready.All().front());
  cloud->uploader().SetReadyListener(nullptr);
}

}  // namespace
}  // namespace datamanager::cloud
