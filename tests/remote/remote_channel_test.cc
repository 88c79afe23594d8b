#include <grpcpp/channel.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "datamanager/remote_source.h"

namespace datamanager {
namespace {

TEST(RemoteChannelTest, KeepsItsAddress) {
  for (const char* address : {"robot.local:8080", "127.0.0.1:1", "[::1]:65535",
                              "unix:/run/module.sock", "unix:relative"}) {
    const absl::StatusOr<RemoteChannel> channel = ConnectRemote(address);
    ASSERT_TRUE(channel.ok()) << channel.status();
    EXPECT_EQ(channel->address, address);
    EXPECT_EQ(channel->channel->GetState(false), GRPC_CHANNEL_IDLE) << "connects when it is used";
  }
}

TEST(RemoteChannelTest, SaysWhatIsWrongWithAnAddressAndWhatToWrite) {
  const std::string long_path = "unix:/" + std::string(200, 'p');
  const std::string fields[][2] = {
      {"", "it is empty; write HOST:PORT, such as robot.local:8080, or unix:PATH"},
      {"robot", "\"robot\" has no port; write robot:PORT"},
      {"robot:", "\"robot:\" has no port; write robot:PORT"},
      {"robot:http",
       "\"robot:http\" has no valid port; write a number from 1 to 65535: robot:PORT"},
      {"robot:0", "\"robot:0\" has no valid port; write a number from 1 to 65535: robot:PORT"},
      {"robot:65536",
       "\"robot:65536\" has no valid port; write a number from 1 to 65535: robot:PORT"},
      {"robot:1/x", "\"robot:1/x\" has no valid port; write a number from 1 to 65535: robot:PORT"},
      {":80", "\":80\" has no host; write it like robot.local:8080"},
      {"a robot:80", "\"a robot:80\" has no valid host; write it like robot.local:8080"},
      {"::1:80", "\"::1:80\" has an IPv6 address without brackets; write [ADDRESS]:PORT"},
      {"[::g]:80", "\"[::g]:80\" has no valid host; write it like robot.local:8080"},
      {"http://robot:80",
       "\"http://robot:80\" has a scheme; write HOST:PORT, such as robot.local:8080, or unix:PATH"},
      {"unix:", "\"unix:\" has no path; write unix:PATH"},
      {long_path,
       absl::StrCat("\"", long_path, "\" has a path of 201 bytes; the system allows 107")},
  };
  for (const auto& [address, error] : fields) {
    const absl::Status status = ConnectRemote(address).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << address;
    EXPECT_EQ(std::string(status.message()), error);
  }
}

}  // namespace
}  // namespace datamanager
