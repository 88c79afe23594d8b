#!/usr/bin/env bash
# Captures this machine's own telemetry and a simulated camera for 20 s, uploads to a local server that
# goes away for a few seconds in between, and compares what was captured with what arrived.
# Installs what is missing and builds first. Exit status 0 only if every record arrived exactly once.
set -euo pipefail
cd "$(dirname "$0")/.."

./cmake/install_dependencies.sh
echo "Building into build/release (the first time takes a few minutes)"
log=$(mktemp)
if ! { cmake --preset release && cmake --build --preset release --target robot ingest_server; } > "$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
rm -f "$log"
bin=build/release/examples

work=$(mktemp -d "${TMPDIR:-/tmp}/datamanager-demo.XXXXXX")
robot=0 server=0
finish() {
  local code=$?
  ((robot == 0)) || kill "$robot" 2> /dev/null || true
  ((server == 0)) || kill "$server" 2> /dev/null || true
  wait 2> /dev/null || true
  if ((code == 0)); then rm -rf "$work"; else echo "What happened is in $work"; fi
}
trap finish EXIT
trap 'exit 130' INT TERM

start_server() {  # address
  "$bin/ingest_server" --listen "$1" --store "$work/store" --print-port > "$work/port" 2>> "$work/server.log" &
  server=$!
  for _ in $(seq 200); do
    if [[ -s $work/port ]]; then return; fi
    sleep 0.05
  done
  cat "$work/server.log" >&2
  exit 1
}
start_server 127.0.0.1:0
port=$(head -n 1 "$work/port")

readings='"service_configs": [{"type": "data_manager", "attributes": {"capture_methods": [
      {"method": "Readings", "capture_frequency_hz": 10}]}}]'
sensor='"api": "rdk:component:sensor"'
cat > "$work/robot.json" <<JSON
{
  "cloud": {"id": "demo-part", "app_address": "http://127.0.0.1:$port"},
  "components": [
    {"name": "cpu", $sensor, "model": "host-cpu", $readings},
    {"name": "memory", $sensor, "model": "host-memory", $readings},
    {"name": "network", $sensor, "model": "host-network", $readings},
    {"name": "disk", $sensor, "model": "host-disk", $readings},
    {"name": "thermal", $sensor, "model": "host-thermal", $readings},
    {"name": "simulated-camera", "api": "rdk:component:camera", "model": "simulated-camera",
     "attributes": {"frame_bytes": [300000, 1200000]},
     "service_configs": [{"type": "data_manager", "attributes": {"capture_methods": [
       {"method": "GetImages", "capture_frequency_hz": 5}]}}]}
  ],
  "services": [{"name": "data", "api": "rdk:service:data_manager", "model": "rdk:builtin:builtin",
    "attributes": {"capture_dir": "$work/capture", "sync_interval_mins": 0.01, "tags": ["demo"],
                   "additional_sync_paths": ["$work/outbox"], "file_last_modified_millis": 500}}]
}
JSON
mkdir -p "$work/outbox/tag=field-notes"
echo "An arbitrary file: $(uname -sr) on $(date -u +%FT%TZ)" > "$work/outbox/tag=field-notes/note.txt"

echo "Capturing this machine's CPU, memory, network, disk and temperatures at 10 Hz, and a SIMULATED"
echo "camera at 5 frames/s with frames of 0.3 and 1.2 MB; uploading to 127.0.0.1:$port"
"$bin/robot" --config "$work/robot.json" --run-for 20s --status-every 1s \
  > "$work/robot.out" 2> "$work/robot.log" &
robot=$!

# Shows the robot's status as it comes, with the words a reader needs.
shown=0
show_status() {
  local line
  while IFS= read -r line; do
    ((++shown))
    awk -v away="$1" '{
      for (i = 2; i <= NF; ++i) { split($i, pair, "="); v[pair[1]] = pair[2] }
      printf "  %5s  captured %4d records, waiting %2d files, uploaded %3d files, retried %2d, %s%s\n",
        v["t"], v["records"], v["waiting_files"], v["uploaded_files"], v["retries"], v["connection"], away
    }' <<< "$line"
  done < <(grep '^status' "$work/robot.out" | tail -n +$((shown + 1)))
}
away=""
for ((tick = 0; ; ++tick)); do
  show_status "$away"
  kill -0 "$robot" 2> /dev/null || break
  if ((tick == 28)); then
    kill "$server" && wait "$server" 2> /dev/null || true
    server=0 away="  <- the server is away"
  elif ((tick == 48)); then
    : > "$work/port"
    start_server "127.0.0.1:$port"
    away=""
  fi
  sleep 0.25
done
code=0
wait "$robot" || code=$?
robot=0
show_status ""
if ((code != 0)); then
  cat "$work/robot.log" >&2
  echo "robot ended with $code" >&2
  exit 1
fi

query() { sqlite3 "$work/store/ingest.db" "$1"; }
echo
printf '  %-34s %9s %9s %8s %6s\n' collector captured arrived missing twice
failures=0
while read -r name method captured; do
  where="component_name = '$name' and method_name = '$method'"
  arrived=$(query "select count(*) from received where $where")
  # The time a record was requested tells it from every other one of its collector.
  distinct=$(query "select count(distinct time_requested) from received where $where")
  missing=$((captured - distinct)) twice=$((arrived - distinct))
  printf '  %-34s %9d %9d %8d %6d\n' "$name $method" "$captured" "$arrived" "$missing" "$twice"
  if ((captured == 0 || missing != 0 || twice != 0)); then ((++failures)); fi
done < <(awk '$1 == "collector" {
  for (i = 5; i <= NF; ++i) { split($i, pair, "="); if (pair[1] == "records") print $3, $4, pair[2] }
}' "$work/robot.out")
files=$(query "select count(*) from received where kind = 'file' and tags like '%field-notes%'")
printf '  %-34s %9d %9d %8d %6d\n' "outbox/tag=field-notes/note.txt" 1 "$files" $((1 - (files > 0))) $((files > 0 ? files - 1 : 0))
if ((files != 1)); then ((++failures)); fi
echo
if ((failures > 0)); then
  echo "$failures rows are wrong"
  exit 1
fi
echo "Every record arrived exactly once, although the server was away in between."
