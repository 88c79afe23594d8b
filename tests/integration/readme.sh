#!/usr/bin/env bash
# The README quotes examples/minimal.cc; the two must be the same. Usage: readme.sh SOURCE_DIR
set -euo pipefail
diff -u "$1/examples/minimal.cc" <(awk '/^```cpp$/ {quoting = 1; next} /^```$/ {quoting = 0} quoting' "$1/README.md")
