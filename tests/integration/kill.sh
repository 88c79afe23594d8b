#!/usr/bin/env bash
# Kills `robot` and `ingest_server` with SIGKILL at random, then accounts for every record: see
# tests/soak/kill_soak.cc. A seed brings back the same choices.
# Usage: kill.sh DIRECTORY_OF_EXAMPLE_BINARIES [KILLS [SEED]]
set -euo pipefail
bin=$(cd "$1" && pwd)
exec "$bin/../tests/soak/kill_soak" "$bin" "${@:2}"
