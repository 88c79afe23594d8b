#!/usr/bin/env bash
# The README quotes examples/minimal.cc; the two must be the same. And each error in its table under
# "Connecting" is one that the sources know, word for word; "..." stands for what is filled in.
# Usage: readme.sh SOURCE_DIR
set -euo pipefail
diff -u "$1/examples/minimal.cc" <(awk '/^```cpp$/ {quoting = 1; next} /^```$/ {quoting = 0} quoting' "$1/README.md")

# Literals that go on in the next line are joined, and what is filled in reads "...".
sources=$(cat "$1"/src/cloud/*.cc | tr '\n' ' ' | sed -E 's/" +"//g; s/\\"/"/g; s/\{[a-z]+\}/.../g')
errors=$(awk '/^## / {inside = /^## Connecting$/; table = 0} inside && /^\| error / {table = 1} table' "$1/README.md" |
  awk -F ' [|] ' '/^\| `/ {print $1}' | grep -o '`[^`]*`' | tr -d '`')
status=0 count=0
while read -r error; do
  while read -r part; do
    count=$((count + 1))
    if [[ $sources != *"$part"* ]]; then
      echo "README: no source says: $part (of: $error)" >&2
      status=1
    fi
  done < <(sed 's/ *\.\.\. */\n/g; s/ *\.\.\.$//' <<< "$error" | grep '[a-z]')
done <<< "$errors"
((count >= 25)) || { echo "README: the table of errors was not found" >&2; exit 1; }
exit "$status"
