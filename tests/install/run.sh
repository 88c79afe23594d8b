#!/usr/bin/env bash
# Installs a build into an empty prefix, builds a consumer with find_package(datamanager) against that
# alone, and runs it. Usage: run.sh BUILD_DIR CONSUMER_SOURCE_DIR WORK_DIR CXX [CXX_FLAGS]
set -euo pipefail
build=$1 source=$2 work=$3 cxx=$4 flags=${5:-}

rm -rf "$work"
mkdir -p "$work"
cmake --install "$build" --prefix "$work/prefix" > "$work/install.log"
cmake -S "$source" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_CXX_COMPILER="$cxx" \
  -DCMAKE_CXX_FLAGS="$flags" -DCMAKE_EXE_LINKER_FLAGS=-Wl,--strip-debug > "$work/configure.log"
cmake --build "$work/build" > "$work/build.log"
"$work/build/consumer" "$work/capture"
"$work/build/front"
test -z "$(find "$work/capture" -name '*.prog')"
test -n "$(find "$work/capture" -name '*.capture')"
