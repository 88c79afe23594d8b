#!/usr/bin/env bash
# Kills `robot` with SIGKILL while it captures a 500 Hz counter that journals each value before it
# returns it, then lets it drain, and compares the journal with what the server stored:
#   - nothing journalled is missing but the record in flight at each kill,
#   - nothing is stored twice,
#   - no in-progress file remains.
# Usage: kill.sh DIRECTORY_OF_EXAMPLE_BINARIES [KILLS]
set -euo pipefail
bin=$1 kills=${2:-10}

work=$(mktemp -d)
robot=0 server=0
finish() {
  local code=$?
  ((robot == 0)) || kill -9 "$robot" 2> /dev/null || true
  ((server == 0)) || kill "$server" 2> /dev/null || true
  if ((code == 0)); then rm -rf "$work"; else echo "kept $work"; fi
}
trap finish EXIT
fail() { echo "kill.sh: $*" >&2; tail -n 20 "$work"/*.log >&2; exit 1; }

# Waits until a command succeeds.
wait_for() {
  local what=$1 deadline=$((SECONDS + 20))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || fail "gave up waiting for $what"
    sleep 0.02
  done
}

"$bin/ingest_server" --listen 127.0.0.1:0 --store "$work/store" --print-port \
  > "$work/port" 2> "$work/server.log" &
server=$!
has_port() { [[ -s $work/port ]]; }
wait_for "the server" has_port
port=$(head -n 1 "$work/port")

config() {  # capture_disabled
  cat > "$work/robot.json" <<JSON
{
  "cloud": {"id": "part-1", "app_address": "http://127.0.0.1:$port"},
  "components": [{
    "name": "count", "api": "rdk:component:sensor", "model": "counter",
    "attributes": {"journal": "$work/journal"},
    "service_configs": [{"type": "data_manager", "attributes": {"capture_methods": [
      {"method": "Readings", "capture_frequency_hz": 500}]}}]
  }],
  "services": [{"name": "data", "api": "rdk:service:data_manager", "model": "rdk:builtin:builtin",
    "attributes": {"capture_dir": "$work/capture", "capture_disabled": $1,
                   "sync_interval_mins": 0.002, "maximum_capture_file_size_bytes": 4096}}]
}
JSON
}
start_robot() {
  "$bin/robot" --config "$work/robot.json" >> "$work/robot.out" 2>> "$work/robot.log" &
  robot=$!
}
journalled() { if [[ -f $work/journal ]]; then wc -l < "$work/journal"; else echo 0; fi; }
grown() { (($(journalled) >= $1)); }

config false
for ((kill = 1; kill <= kills; ++kill)); do
  start_robot
  # Between 20 and 219 values after the start of the run.
  wait_for "the counter" grown $(($(journalled) + 20 + RANDOM % 200))
  kill -9 "$robot"
  wait "$robot" 2> /dev/null || true
  robot=0
done

start_robot
wait_for "the counter" grown $(($(journalled) + 50))
config true
kill -HUP "$robot"
drained() { [[ -z $(find "$work/capture" -name '*.prog' -o -name '*.capture') ]]; }
wait_for "the capture directory to empty" drained
kill -TERM "$robot"
wait "$robot" || fail "robot ended with $?"
robot=0

stored() {
  sqlite3 -separator ' ' "$work/store/ingest.db" \
    "select json_extract(json, '\$.readings.run'), json_extract(json, '\$.readings.seq')
     from received where kind = 'reading' and component_name = 'count'"
}
stored | sort > "$work/stored"
sort "$work/journal" > "$work/journalled"
lost=$(comm -23 "$work/journalled" <(uniq "$work/stored") | wc -l)
twice=$(uniq -d "$work/stored" | wc -l)
unknown=$(comm -13 "$work/journalled" <(uniq "$work/stored") | wc -l)
echo "kills $kills, journalled $(wc -l < "$work/journalled"), stored $(wc -l < "$work/stored")," \
  "lost $lost (at most $kills in flight), twice $twice, not journalled $unknown"
((lost <= kills)) || fail "lost more than what was in flight"
((twice == 0)) || fail "stored twice"
((unknown == 0)) || fail "stored what was never captured"
