#!/usr/bin/env bash
# Uploads over slow and distant links, with the example programs as they are: how long it takes, how
# long the link alone would take, and what went over it.
#   tests/links/run.sh [--bin DIR] [--programs DIR] SCENARIO...
# Scenarios:
#   file KBIT BYTES             one file that is no capture file
#   backlog KBIT WORKERS FILES BYTES   pictures that wait, with so many workers
#   readings KBIT BYTES SECONDS a sensor at 1 Hz for so long, beside one file of BYTES (0: alone)
#   distant                     1,500 files of 30 collectors and 300 pictures, 100 ms a round trip
#   large MEBIBYTES             one file over 20 Mbit/s with 100 ms a round trip
#   silent KBIT                 the link is cut while a file is uploaded, later it comes back
#   frozen KBIT                 the server stops without a word (SIGSTOP) and goes on later
# --bin: where robot and ingest_server are (build/release/examples); --programs: where delay_link and
# upload_files are (build/release/tests/links). LIMIT: seconds after which a run is given up (900).
# WORKERS: of the scenario readings (the default number). STALL: the robot's --upload-stall-timeout.
# Bounds, each for the scenarios that show it; beyond one of them the status is 1:
#   MOST_TIMES   of the ideal time       MOST_BYTES    on the wire, of the bytes of the files
#   MOST_WAIT    seconds of a reading    MOST_SECONDS  until a silent server is noticed, or of the
#                                        scenario distant
# Needs root, because it makes network namespaces; where they are not allowed it says so and ends
# with status 77.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin="$here/../../build/release/examples" programs="$here/../../build/release/tests/links"
while [[ ${1:-} == --* ]]; do
  case "$1" in
    --bin) bin=$2 ;;
    --programs) programs=$2 ;;
    *) sed -n '2,24s/^# \{0,1\}//p' "$0"; exit 2 ;;
  esac
  shift 2
done
scenario=${1:?which scenario?}
shift
limit=${LIMIT:-900}
broken=0

# shellcheck source=link.sh
source "$here/link.sh"
if reason=$(link_missing); then
  echo "skipped: $reason"
  exit 77
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/datamanager-link.XXXXXX")
store="$work/store"
robot=0 server=0
finish() {
  local code=$? pid
  for pid in $robot $server; do
    ((pid == 0)) || { kill -CONT "$pid"; kill "$pid"; } 2> /dev/null || true
  done
  wait "$robot" "$server" 2> /dev/null || true
  link_down
  if ((code == 0)) && [[ -z ${KEEP:-} ]]; then rm -rf "$work" "$store"; else echo "What happened is in $work, and in the store $store" >&2; fi
}
trap finish EXIT
trap 'exit 130' INT TERM

now() { date +%s.%N; }
elapsed() { calculate "$(now) - $begin"; }
calculate() { awk "BEGIN { printf \"%.2f\", $1 }"; }
query() { sqlite3 -readonly "$store/ingest.db" "$1"; }

start_server() {
  ip netns exec "$link_server" "$bin/ingest_server" --listen "$server_host:7000" --store "$store" \
    --print-port > "$work/port" 2> "$work/server.log" &
  server=$!
  until [[ -s $work/port ]]; do
    kill -0 "$server" || { cat "$work/server.log" >&2; exit 1; }
    sleep 0.05
  done
}

# start_robot COMPONENTS WORKERS: WORKERS 0 is the default number.
start_robot() {
  : > "$work/robot.log"
  cat > "$work/robot.json" << JSON
{"cloud": {"id": "part", "app_address": "http://$server_host:7000"},
 "components": [$1],
 "services": [{"name": "data", "api": "rdk:service:data_manager", "model": "rdk:builtin:builtin",
   "attributes": {"capture_dir": "$work/capture", "sync_interval_mins": ${INTERVAL:-0.02},
     $( (($2 == 0)) || echo "\"maximum_num_sync_threads\": $2,")
     "additional_sync_paths": ["$work/outbox"], "file_last_modified_millis": 100}}]}
JSON
  ROBOT_LOG=${ROBOT_LOG:-debug} ip netns exec "$link_robot" "$bin/robot" --config "$work/robot.json" \
    ${STALL:+--upload-stall-timeout "$STALL"} --status-every 1s > "$work/robot.out" 2> "$work/robot.log" &
  robot=$!
}

files_left() { find "$work/capture" "$work/outbox" -type f ! -name '*.prog' | wc -l; }
# Blocks until no file is left, or the limit.
wait_for_empty() {
  until (($(files_left) == 0)); do
    if ! kill -0 "$robot" 2> /dev/null; then echo "the robot ended" >&2; exit 1; fi
    if awk "BEGIN { exit !($(now) - $begin > $limit) }"; then return 0; fi
    sleep 0.1
  done
}

# bound WHAT VALUE MOST: nothing if there is no bound.
bound() {
  [[ -n $3 ]] || return 0
  if awk "BEGIN { exit !($2 > $3) }"; then
    echo "  $1: $2, where at most $3 is allowed" >&2
    broken=1
  fi
}

# report NAME KBIT BYTES_OF_FILES SECONDS [FILES_THAT_MAY_BE_LEFT]
report() {
  local seconds ideal bytes sent left
  seconds=$4 ideal=$(calculate "$3 * 8 / ($2 * 1000)")
  bytes=$(($(link_bytes) - bytes_before)) sent=$(($(robot_bytes) - sent_before)) left=$(files_left)
  printf '%-40s %8s s  ideal %7s s  x%-5s wire %9d B x%-5s sent x%-5s files %9d B left %d stalled %s\n' "$1" \
    "$seconds" "$ideal" "$(calculate "$seconds / $ideal")" "$bytes" "$(calculate "$bytes / $3")" \
    "$(calculate "$sent / $3")" "$3" "$left" "$(grep -c "stalled: " "$work/robot.log" || true)"
  bound "files left" "$left" "${MOST_TIMES:+${5:-0}}"
  bound "times the ideal" "$(calculate "$seconds / $ideal")" "${MOST_TIMES:-}"
  bound "times the bytes" "$(calculate "$bytes / $3")" "${MOST_BYTES:-}"
}
begin_now() { begin=$(now) bytes_before=$(link_bytes) sent_before=$(robot_bytes); }
bytes_below() { find "$@" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum + 0 }'; }
connected() { until grep -q "Connected to app" "$work/robot.log"; do sleep 0.02; done; }

sensor='{"name": "memory", "api": "rdk:component:sensor", "model": "host-memory",
  "service_configs": [{"type": "data_manager", "attributes": {"capture_methods": [
    {"method": "Readings", "capture_frequency_hz": 1}]}}]}'

mkdir -p "$work/capture" "$work/outbox"
case "$scenario" in
  file)
    link_up "$programs/delay_link" "$1" 20
    start_server
    start_robot "" 0
    connected
    "$programs/upload_files" file "$work/new" "$2"
    begin_now
    mv "$work/new" "$work/outbox/big"
    wait_for_empty
    report "file of $2 B at $1 kbit/s" "$1" "$2" "$(elapsed)"
    ;;
  backlog)
    "$programs/upload_files" pictures "$work/capture" 1 "$3" "$4"
    size=$(bytes_below "$work/capture")
    link_up "$programs/delay_link" "$1" 20
    start_server
    begin_now
    start_robot "" "$2"
    wait_for_empty
    report "$3 pictures of $4 B, $2 workers, $1 kbit/s" "$1" "$size" "$(elapsed)"
    ;;
  readings)
    link_up "$programs/delay_link" "$1" 20
    start_server
    # The first walk finds it.
    ((${2} == 0)) || "$programs/upload_files" file "$work/outbox/big" "$2"
    begin_now
    INTERVAL=0.1 start_robot "$sensor" "${WORKERS:-0}"  # A file of readings each 6 s.
    # The sensor goes on for the whole time: what is measured is when the file has gone.
    while [[ -e $work/outbox/big ]] || awk "BEGIN { exit !($(now) - $begin < $3) }"; do
      if awk "BEGIN { exit !($(now) - $begin > $limit) }"; then break; fi
      sleep 0.1
    done
    seconds=$(elapsed)
    size=$(sed -n 's/^status.* uploaded_bytes=\([0-9]*\).*/\1/p' "$work/robot.out" | tail -n 1)
    ((size > $2)) || size=$(($2 + size))
    report "readings beside $2 B at $1 kbit/s" "$1" "$size" "$seconds" 1000
    query "select 'readings: ' || count(*) || ', waited on average '
        || round(avg(wait), 1) || ' s, at most ' || round(max(wait), 1) || ' s'
      from (select (julianday(arrived_at) - julianday(time_requested)) * 86400 as wait
            from received where kind != 'file')"
    bound "seconds that a reading waited" "$(query "select coalesce(max(julianday(arrived_at)
      - julianday(time_requested)), 1) * 86400 from received where kind != 'file'")" "${MOST_WAIT:-}"
    ;;
  distant)
    "$programs/upload_files" readings "$work/capture" 30 "${1:-50}" 2000
    "$programs/upload_files" pictures "$work/capture" 1 "${2:-300}" 50000
    size=$(bytes_below "$work/capture")
    # In memory where it can be: how long the server's disk takes to flush each file is not the link.
    if [[ -w /dev/shm ]]; then store=$(mktemp -d /dev/shm/datamanager-link.XXXXXX); fi
    link_up "$programs/delay_link" 100000 100
    start_server
    begin_now
    # Passes begin at a random time of the interval.
    INTERVAL=0.001 ROBOT_LOG=info start_robot "" 0
    wait_for_empty
    seconds=$(elapsed)
    report "1,500 files and 300 pictures, 100 ms" 100000 "$size" "$seconds"
    bound "seconds" "$seconds" "${MOST_SECONDS:-}"
    ;;
  large)
    link_up "$programs/delay_link" 20000 100
    start_server
    start_robot "" 0
    connected
    "$programs/upload_files" file "$work/new" $(($1 << 20))
    begin_now
    mv "$work/new" "$work/outbox/big"
    wait_for_empty
    report "$1 MiB at 20 Mbit/s, 100 ms" 20000 $(($1 << 20)) "$(elapsed)"
    ;;
  silent | frozen)
    link_up "$programs/delay_link" "$1" 20
    start_server
    start_robot "" 0
    connected
    "$programs/upload_files" file "$work/new" $(($1 * 1000))  # 8 s of the link.
    begin_now
    mv "$work/new" "$work/outbox/big"
    until (($(link_bytes) - bytes_before > $1 * 250)); do sleep 0.05; done
    cut=$(now)
    if [[ $scenario == silent ]]; then link_cut; else kill -STOP "$server"; fi
    until grep -qE "Lost connection|stalled|keepalive|UNAVAILABLE|DEADLINE" "$work/robot.log"; do
      if awk "BEGIN { exit !($(now) - $cut > $limit) }"; then break; fi
      sleep 0.1
    done
    noticed=$(calculate "$(now) - $cut")
    echo "$scenario at $1 kbit/s: noticed after $noticed s: $(
      grep -E "Lost connection|stalled|keepalive|UNAVAILABLE|DEADLINE" "$work/robot.log" | head -1 | cut -c1-200)"
    bound "seconds" "$noticed" "${MOST_SECONDS:-}"
    ;;
  *)
    echo "no scenario $scenario" >&2
    exit 2
    ;;
esac
exit "$broken"
