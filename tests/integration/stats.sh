#!/usr/bin/env bash
# Whatever a DataManager counts, datamanager::service tells: each field of each struct in stats.h is
# read where stats_struct.cc fills in that struct, or anywhere there if it has no function of its own.
# Usage: stats.sh SOURCE_DIR
set -euo pipefail
status=0 count=0
while read -r struct field; do
  count=$((count + 1))
  body=$(awk -v type="const $struct& " '
    index($0, type) {inside = 1} inside {print} /^}/ {inside = 0}' "$1/src/service/stats_struct.cc")
  grep -q "\.$field\b" <<< "${body:-$(cat "$1/src/service/stats_struct.cc")}" || {
    echo "src/service/stats_struct.cc does not read $field of $struct" >&2
    status=1
  }
done < <(awk '
  /^struct / {struct = $2}
  /^  [A-Za-z][^()/]*;/ {
    sub(/;.*/, ""); sub(/ = .*|\{.*/, "")
    print struct, $NF
  }' "$1/include/datamanager/stats.h")
((count >= 80)) || { echo "the fields of stats.h were not found" >&2; exit 1; }
exit "$status"
