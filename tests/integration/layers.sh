#!/usr/bin/env bash
# Capture and sync must not know each other: neither names a header of the other, and neither's include
# directories lead to one. Usage: layers.sh SOURCE_DIR CXX CAPTURE_INCLUDES SYNC_INCLUDES
# (the include directories separated by ':')
set -euo pipefail
source=$1 cxx=$2 capture=$3 sync=$4

if grep -rnE '#include "((src|\.\.)/)*sync/' "$source/src/capture" ||
  grep -rnE '#include "((src|\.\.)/)*capture/' "$source/src/sync"; then
  echo "capture and sync include each other's headers" >&2
  exit 1
fi

# Whether a header can be included with these include directories.
includes() {
  local flags=()
  IFS=':' read -ra directories <<< "$1"
  for directory in "${directories[@]}"; do
    if [[ -n $directory ]]; then flags+=("-I$directory"); fi
  done
  echo "#include \"$2\"" | "$cxx" -std=c++20 -x c++ "${flags[@]}" -E - > /dev/null 2>&1
}
# The check itself must be able to tell.
includes "$capture" capture/keeper.h || { echo "capture cannot include itself" >&2; exit 1; }
includes "$sync" sync/pass.h || { echo "sync cannot include itself" >&2; exit 1; }
! includes "$capture" sync/pass.h || { echo "capture can include sync" >&2; exit 1; }
! includes "$sync" capture/keeper.h || { echo "sync can include capture" >&2; exit 1; }
