#!/usr/bin/env bash
# Installs what is missing, builds, runs all benches and prints their table.
#   tests/bench/run.sh [--json FILE] [--only ID,ID...] [--brief]
# The whole takes a quarter of an hour on an idle machine with two processors; P9 (memory) and
# P13-build (a clean build) take most of it. Status 1 if a bench is broken; a row beyond its bound
# stands in the table.
#   tests/bench/run.sh --curves [--to DIR] [--only SUBJECT,SUBJECT...] [--brief]
# Measures how costs grow, a quarter of an hour; writes data and plots to DIR. The subjects: backlog,
# memory, collectors, record, round_trip, workers.
set -euo pipefail
here="$(pwd)"
cd "$(dirname "$0")/../.."

program=bench
files=()
arguments=()
while (($# > 0)); do
  case "$1" in
    --curves) program=curves ;;
    --json | --to)
      [[ "${2:?$1 needs a place}" == /* ]] && files=("$1" "$2") || files=("$1" "$here/$2")
      shift
      ;;
    *) arguments+=("$1") ;;
  esac
  shift
done
[[ $program == bench ]] && files+=(--source "$PWD")

# The table, or the curves, alone go to standard output.
{
  ./cmake/install_dependencies.sh libbenchmark-dev
  cmake --preset release -DDATAMANAGER_BUILD_BENCHES=ON
  cmake --build --preset release --target "$program"
} >&2
exec "build/release/tests/bench/$program" "${files[@]}" "${arguments[@]}"
