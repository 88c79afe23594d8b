#!/usr/bin/env bash
# Runs the scenarios on slow links in full, with their bounds: see run.sh.
#   tests/links/soak.sh PROGRAMS_DIR EXAMPLES_DIR
# Readings may wait 10 s longer than alone on the link, where it is at most 8 s: a file of them is
# finished each 6 s. Workers are as many as by default.
set -uo pipefail
run="$(cd "$(dirname "$0")" && pwd)/run.sh"
status=0
scenario() {
  "$run" --programs "$programs" --bin "$examples" "$@"
  local code=$?
  if ((code == 77)); then exit 77; fi
  ((code == 0)) || status=1
}
programs=$1 examples=$2
export MOST_TIMES=1.5 MOST_BYTES=1.2 MOST_WAIT=18 MOST_SECONDS=60 LIMIT=600
scenario file 24 200000
scenario file 10 100000
scenario backlog 400 8 16 450000
scenario backlog 400 1 16 450000
scenario readings 10 75000 60
scenario readings 64 480000 60
scenario readings 128 960000 60
MOST_TIMES=1.17 scenario large 1024
MOST_TIMES= MOST_SECONDS=25 scenario distant
scenario silent 1000
scenario frozen 1000
exit "$status"
