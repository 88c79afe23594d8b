# Sourced: a link between a robot and a server, each in a network namespace of its own.
#   robot (10.77.1.2) -- veth -- router (10.77.1.1, 10.77.2.1) -- delay_link -- server (10.77.2.2)
# The router's token buckets set the rate of each direction; what they hold back waits in the
# router, as in a modem, and not in the robot. Needs root.

link_robot="dm$$robot" link_router="dm$$router" link_server="dm$$server"
server_host=10.77.2.2

# Says why there can be no link here; status 1 if there can.
link_missing() {
  if ((EUID != 0)); then echo "needs root"; return 0; fi
  local tool
  for tool in ip tc sqlite3; do
    if ! command -v "$tool" > /dev/null; then echo "needs $tool"; return 0; fi
  done
  if [[ ! -c /dev/net/tun ]]; then echo "needs /dev/net/tun"; return 0; fi
  local try="dm$$try"
  if ! ip netns add "$try" 2> /dev/null; then echo "may not make network namespaces"; return 0; fi
  local reason=""
  ip -n "$try" link add v0 type veth peer name v1 2> /dev/null || reason="has no veth devices"
  [[ -n $reason ]] || ip netns exec "$try" tc qdisc add dev v0 root tbf rate 1mbit burst 2000 limit 9000 2> /dev/null ||
    reason="the kernel has no token bucket (tbf)"
  ip netns del "$try"
  if [[ -n $reason ]]; then echo "$reason"; return 0; fi
  return 1
}

# link_up DELAY_LINK_PROGRAM KBIT ROUND_TRIP_MS
link_up() {
  local program=$1 kbit=$2 ms=$3
  ip netns add "$link_robot"
  ip netns add "$link_router"
  ip netns add "$link_server"
  ip -n "$link_router" link add robot type veth peer name uplink netns "$link_robot"
  : > "$work/link.out"
  "$program" "$link_router" server "$link_server" uplink $((ms / 2)) > "$work/link.out" 2>&1 &
  link_program=$!
  until grep -q ready "$work/link.out"; do
    kill -0 "$link_program" || { cat "$work/link.out" >&2; return 1; }
    sleep 0.02
  done
  ip -n "$link_robot" addr add 10.77.1.2/24 dev uplink
  ip -n "$link_router" addr add 10.77.1.1/24 dev robot
  ip -n "$link_router" addr add 10.77.2.1/24 dev server
  ip -n "$link_server" addr add 10.77.2.2/24 dev uplink
  local one
  for one in "$link_robot lo" "$link_robot uplink" "$link_router robot" "$link_router server" \
    "$link_server lo" "$link_server uplink"; do
    # shellcheck disable=SC2086
    ip -n ${one% *} link set ${one#* } up
  done
  ip -n "$link_robot" route add default via 10.77.1.1
  ip -n "$link_server" route add default via 10.77.2.1
  ip netns exec "$link_router" sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
  link_rate "$kbit"
}

# link_rate KBIT: of both directions, from now on. The router holds half a second, at least 16 KB.
link_rate() {
  local kbit=$1 device limit
  limit=$((kbit * 1000 / 8 / 2))
  ((limit > 16000)) || limit=16000
  for device in robot server; do
    ip netns exec "$link_router" tc qdisc replace dev "$device" root tbf rate "${kbit}kbit" \
      burst $((kbit > 4000 ? 10000 : 1600)) limit "$limit"
  done
}

# From now on all packets are lost.
link_cut() { ip -n "$link_server" link set uplink down; }

# What went over the slow part towards the server, IP headers included.
link_bytes() { ip netns exec "$link_router" cat /sys/class/net/server/statistics/tx_bytes; }
# What the robot has sent, with what the router lost.
robot_bytes() { ip netns exec "$link_robot" cat /sys/class/net/uplink/statistics/tx_bytes; }

link_down() {
  [[ -z ${link_program:-} ]] || { kill "$link_program" 2> /dev/null || true; }
  local name
  for name in "$link_robot" "$link_router" "$link_server"; do
    ip netns del "$name" 2> /dev/null || true
  done
}
