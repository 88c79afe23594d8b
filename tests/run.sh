#!/usr/bin/env bash
# Installs what is missing, builds, and runs all tests. Arguments go to ctest:
#   tests/run.sh --repeat until-fail:20
set -euo pipefail
cd "$(dirname "$0")/.."

./cmake/install_dependencies.sh
cmake --preset release
cmake --build --preset release
exec ctest --preset release "$@"
