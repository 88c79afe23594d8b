#!/usr/bin/env bash
# A server that answers each upload with one status, and then recovers: with the example programs as
# they are, how many requests a minute a robot sends and how much it logs, and where its files are in
# the end.
#   tests/soak/pressure.sh PROGRAMS_DIR EXAMPLES_DIR [STATUS...]
# All 16 statuses by default, side by side. PROGRAMS_DIR: where upload_files is
# (build/release/tests/links); EXAMPLES_DIR: where robot and ingest_server are. FILES (12000): capture
# files of 30 collectors that wait. SPAN (60): seconds for which the server answers with the status.
# LIMIT (600): seconds that the files may take afterwards.
# Status 1 if there are more than MOST_REQUESTS (60) requests or MOST_LINES (60) lines of log a
# minute, or if a file is neither stored once nor, for INVALID_ARGUMENT, kept in failed/.
set -euo pipefail
programs=$(realpath "$1") bin=$(realpath "$2")
shift 2
files=${FILES:-12000} span=${SPAN:-60} limit=${LIMIT:-600}
most_requests=${MOST_REQUESTS:-60} most_lines=${MOST_LINES:-60}
(($# > 0)) || set -- cancelled unknown invalid_argument deadline_exceeded not_found already_exists \
  permission_denied resource_exhausted failed_precondition aborted out_of_range unimplemented \
  internal unavailable data_loss unauthenticated

work=$(mktemp -d "${TMPDIR:-/tmp}/datamanager-pressure.XXXXXX")
finish() {
  local code=$?
  # shellcheck disable=SC2046
  kill $(jobs -p) 2> /dev/null || true
  wait
  if ((code == 0)); then rm -rf "$work"; else echo "What happened is in $work" >&2; fi
}
trap finish EXIT
trap 'exit 130' INT TERM

# start_server DIRECTORY ADDRESS [OPTION...]: sets `server`.
start_server() {
  local place=$1 address=$2
  shift 2
  rm -f "$place/port"
  "$bin/ingest_server" --listen "$address" --store "$place/store" --print-port "$@" \
    > "$place/port" 2>> "$place/server.log" &
  server=$!
  until [[ -s $place/port ]]; do
    kill -0 "$server" || { cat "$place/server.log" >&2; return 1; }
    sleep 0.05
  done
}
waiting() { find "$1/capture" -name '*.capture' -not -path '*/failed/*' | wc -l; }

# try_status STATUS: one line of the table.
try_status() (
  status=$1
  place=$work/$status
  mkdir -p "$place/capture" "$place/home"
  "$programs/upload_files" readings "$place/capture" 30 $((files / 30)) 500
  before=$(waiting "$place")
  start_server "$place" 127.0.0.1:0 --fail "$status=1"
  port=$(cat "$place/port")
  cat > "$place/robot.json" << JSON
{"cloud": {"id": "part", "app_address": "http://127.0.0.1:$port"},
 "services": [{"name": "data", "api": "rdk:service:data_manager", "model": "rdk:builtin:builtin",
   "attributes": {"capture_dir": "$place/capture", "sync_interval_mins": 0.1}}]}
JSON
  HOME=$place/home ROBOT_LOG=info "$bin/robot" --config "$place/robot.json" > /dev/null 2> "$place/robot.log" &
  robot=$!
  trap 'kill "$server" "$robot" 2> /dev/null || true; wait' EXIT
  sleep "$span"
  lines=$(wc -l < "$place/robot.log")
  kill "$server"
  wait "$server"
  requests=$(sed -n 's/.*faults: failures=\([0-9]*\).*/\1/p' "$place/server.log")
  start_server "$place" "127.0.0.1:$port"
  began=$SECONDS
  until (($(waiting "$place") == 0 || SECONDS - began > limit)); do sleep 0.5; done
  took=$((SECONDS - began))
  kill "$robot"
  wait "$robot" || true
  stored=$(sqlite3 -readonly "$place/store/ingest.db" "select count(distinct upload_key) from received")
  rows=$(sqlite3 -readonly "$place/store/ingest.db" "select count(*) from received")
  failed=$(find "$place/capture" -name '*.capture' -path '*/failed/*' | wc -l)
  printf '%-20s %6s requests %6s lines of log in %s s; then %5s stored (%s rows), %s in failed/, %s waiting, after %s s\n' \
    "$status" "$requests" "$lines" "$span" "$stored" "$rows" "$failed" "$(waiting "$place")" "$took"
  ((requests > 0 && requests * 60 <= most_requests * span && lines * 60 <= most_lines * span)) || exit 1
  ((stored + failed == before && before == files)) || exit 1
  [[ $status == invalid_argument ]] || ((failed == 0))
)

broken=0 pids=()
for status in "$@"; do
  try_status "$status" &
  pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || broken=1; done
exit "$broken"
