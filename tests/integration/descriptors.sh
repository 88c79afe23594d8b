#!/usr/bin/env bash
# The library obtains descriptors in one place, which keeps them above those of the standard
# streams: any other call that opens one must be wrapped in AboveStandardStreams.
# Usage: descriptors.sh SOURCE_DIR
set -euo pipefail
calls='::(open|open64|openat|creat|dup|opendir|socket|socketpair|accept|accept4|eventfd|pipe|pipe2|epoll_create1?|timerfd_create|signalfd|inotify_init1?|memfd_create|fopen|fdopen|tmpfile|mkstemp|mkostemp|pidfd_open)\('
found=$(grep -rnE "(^|[^A-Za-z0-9_>])($calls|F_DUPFD|SYS_openat|[io]fstream )" "$1/src" "$1/include" |
  grep -vE '^[^:]*/src/base/(file_ops\.cc|unique_fd\.h):' | grep -v AboveStandardStreams || true)
if [[ -n $found ]]; then
  echo "these may get the descriptor of a closed standard stream:" >&2
  echo "$found" >&2
  exit 1
fi
# Checks that the pattern finds anything at all.
grep -qE "(^|[^A-Za-z0-9_>])($calls)" "$1/src/base/file_ops.cc" || { echo "the pattern finds nothing" >&2; exit 1; }
