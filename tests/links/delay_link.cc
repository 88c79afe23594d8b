// Joins two network namespaces by a link with a fixed delay, because the machines that run the
// tests have no netem: a TUN device in each, and this program carries the packets between them.
//   delay_link NAMESPACE DEVICE NAMESPACE DEVICE DELAY_MS
// Each packet leaves DELAY_MS after it came. Prints "ready" once both devices exist; runs until a
// signal ends it.
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

// As much as a link of 100 Mbit/s holds within a second: beyond, packets are lost.
constexpr size_t kMostBytesOnTheWay = 12 << 20;
constexpr int kMostPacketBytes = 65536;

struct Packet {
  Clock::time_point due;
  std::vector<char> bytes;
};

// One direction.
struct Way {
  int from = -1;
  int to = -1;
  std::deque<Packet> packets;
  size_t bytes = 0;
};

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "delay_link: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

// Changes this thread's namespace.
int OpenDevice(const std::string& name_space, const char* device) {
  const int place = ::open(("/var/run/netns/" + name_space).c_str(), O_RDONLY | O_CLOEXEC);
  if (place < 0 || ::setns(place, CLONE_NEWNET) != 0) Die("namespace " + name_space);
  ::close(place);
  const int tun = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (tun < 0) Die("/dev/net/tun");
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  std::strncpy(request.ifr_name, device, IFNAMSIZ - 1);
  if (::ioctl(tun, TUNSETIFF, &request) != 0) Die(device);
  return tun;
}

void Take(Way& way, std::chrono::milliseconds delay) {
  std::array<char, kMostPacketBytes> packet;
  for (ssize_t got; (got = ::read(way.from, packet.data(), packet.size())) > 0;) {
    const auto size = static_cast<size_t>(got);
    if (way.bytes + size > kMostBytesOnTheWay) continue;
    way.bytes += size;
    way.packets.push_back({Clock::now() + delay, {packet.data(), packet.data() + size}});
  }
}

void GiveWhatIsDue(Way& way) {
  while (!way.packets.empty() && way.packets.front().due <= Clock::now()) {
    const Packet& packet = way.packets.front();
    // A device that takes nothing now loses the packet, as a wire would.
    [[maybe_unused]] const ssize_t written =
        ::write(way.to, packet.bytes.data(), packet.bytes.size());
    way.bytes -= packet.bytes.size();
    way.packets.pop_front();
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fputs("delay_link NAMESPACE DEVICE NAMESPACE DEVICE DELAY_MS\n", stderr);
    return 2;
  }
  const int one = OpenDevice(argv[1], argv[2]);
  const int other = OpenDevice(argv[3], argv[4]);
  const std::chrono::milliseconds delay(std::atoi(argv[5]));
  std::puts("ready");
  std::fflush(stdout);
  std::array<Way, 2> ways{Way{.from = one, .to = other}, Way{.from = other, .to = one}};
  while (true) {
    timespec wait{};
    const timespec* limit = nullptr;
    for (Way& way : ways) {
      if (way.packets.empty()) continue;
      const auto left = std::max<Clock::duration>(way.packets.front().due - Clock::now(), {});
      const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
      const timespec its{.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
      if (limit == nullptr || its.tv_sec < wait.tv_sec ||
          (its.tv_sec == wait.tv_sec && its.tv_nsec < wait.tv_nsec)) {
        wait = its;
      }
      limit = &wait;
    }
    std::array<pollfd, 2> polled{pollfd{one, POLLIN, 0}, pollfd{other, POLLIN, 0}};
    ::ppoll(polled.data(), polled.size(), limit, nullptr);
    for (Way& way : ways) {
      Take(way, delay);
      GiveWhatIsDue(way);
    }
  }
}
