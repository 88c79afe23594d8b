#!/usr/bin/env bash
# Installs what is missing, builds, runs all benches and prints their table.
#   tests/bench/run.sh [--json FILE] [--only ID,ID...] [--brief]
# The whole takes about half an hour on an idle machine with two processors; P9 (memory) and
# P13-build (a clean build) take most of it. Status 1 if a bench is broken; a row beyond its bound
# stands in the table.
set -euo pipefail
here="$(pwd)"
cd "$(dirname "$0")/../.."

json=()
arguments=()
while (($# > 0)); do
  case "$1" in
    --json)
      [[ "${2:?--json needs a file}" == /* ]] && json=(--json "$2") || json=(--json "$here/$2")
      shift
      ;;
    *) arguments+=("$1") ;;
  esac
  shift
done

./cmake/install_dependencies.sh libbenchmark-dev
cmake --preset release -DDATAMANAGER_BUILD_BENCHES=ON
cmake --build --preset release --target bench
exec build/release/tests/bench/bench --source "$PWD" "${json[@]}" "${arguments[@]}"
