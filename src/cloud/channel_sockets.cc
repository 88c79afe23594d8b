#include "cloud/channel_sockets.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <grpc/grpc.h>
#include <grpc/support/alloc.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"

namespace datamanager::cloud {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

// Takes gRPC's text. Null is gRPC's answer for what no longer exists.
std::optional<Struct> Parse(char* text) {
  if (text == nullptr) return std::nullopt;
  Struct parsed;
  const bool ok = google::protobuf::util::JsonStringToMessage(text, &parsed).ok();
  gpr_free(text);
  if (!ok) return std::nullopt;
  return parsed;
}

// Value's default stands for a field that is not there.
const Value& Field(const Struct& in, const std::string& name) {
  const auto found = in.fields().find(name);
  return found == in.fields().end() ? Value::default_instance() : found->second;
}

const Struct& Inside(const Struct& in, const std::string& name) {
  return Field(in, name).struct_value();
}

int64_t Number(const Struct& in, const std::string& name) {
  int64_t number = 0;
  return absl::SimpleAtoi(Field(in, name).string_value(), &number) ? number : 0;
}

// The numbers in a list of references, in ascending order.
std::vector<int64_t> References(const Struct& in, const std::string& list,
                                const std::string& name) {
  std::vector<int64_t> numbers;
  for (const Value& item : Field(in, list).list_value().values()) {
    numbers.push_back(Number(item.struct_value(), name));
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::optional<TcpAddress> AddressOf(const Struct& socket, const std::string& end) {
  const Struct& tcp = Inside(Inside(socket, end), "tcpip_address");
  std::string ip;
  if (!absl::Base64Unescape(Field(tcp, "ip_address").string_value(), &ip)) return std::nullopt;
  TcpAddress address{.port = static_cast<uint16_t>(Field(tcp, "port").number_value())};
  if (ip.size() == 4) {
    address.ip[10] = address.ip[11] = 0xff;
    std::memcpy(&address.ip[12], ip.data(), 4);
  } else if (ip.size() == 16) {
    std::memcpy(address.ip.data(), ip.data(), 16);
  } else {
    return std::nullopt;
  }
  return address;
}

}  // namespace

std::optional<int64_t> NewestChannel(const std::string& target) {
  std::optional<int64_t> newest;
  int64_t from = 0;
  while (true) {
    const std::optional<Struct> page = Parse(grpc_channelz_get_top_channels(from));
    if (!page.has_value()) return newest;
    const auto& channels = Field(*page, "channel").list_value().values();
    for (const Value& item : channels) {
      const Struct& channel = item.struct_value();
      const int64_t number = Number(Inside(channel, "ref"), "channelId");
      from = std::max(from, number + 1);
      if (Field(Inside(channel, "data"), "target").string_value() == target) newest = number;
    }
    if (channels.empty() || Field(*page, "end").bool_value()) return newest;
  }
}

std::optional<TcpEnds> ConnectionOf(int64_t channel) {
  const std::optional<Struct> found = Parse(grpc_channelz_get_channel(channel));
  if (!found.has_value()) return std::nullopt;
  std::optional<TcpEnds> newest;
  for (const int64_t number :
       References(Inside(*found, "channel"), "subchannelRef", "subchannelId")) {
    const std::optional<Struct> subchannel = Parse(grpc_channelz_get_subchannel(number));
    if (!subchannel.has_value()) continue;
    for (const int64_t id :
         References(Inside(*subchannel, "subchannel"), "socketRef", "socketId")) {
      const std::optional<Struct> socket = Parse(grpc_channelz_get_socket(id));
      if (!socket.has_value()) continue;
      const std::optional<TcpAddress> local = AddressOf(Inside(*socket, "socket"), "local");
      const std::optional<TcpAddress> remote = AddressOf(Inside(*socket, "socket"), "remote");
      if (local.has_value() && remote.has_value()) newest = TcpEnds{*local, *remote};
    }
  }
  return newest;
}

}  // namespace datamanager::cloud
