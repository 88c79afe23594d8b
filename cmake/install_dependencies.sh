#!/usr/bin/env bash
# Installs the Debian packages that are missing, and says which. Arguments are further packages.
set -euo pipefail

packages=(
  g++ cmake make pkg-config
  libgrpc++-dev protobuf-compiler-grpc libprotobuf-dev protobuf-compiler
  libabsl-dev libre2-dev libc-ares-dev libspdlog-dev libssl-dev zlib1g-dev
  libsqlite3-dev sqlite3 libgtest-dev
  "$@"
)

missing=()
for package in "${packages[@]}"; do
  if ! dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed'; then
    missing+=("$package")
  fi
done
if ((${#missing[@]} == 0)); then
  exit 0
fi

if ! command -v apt-get > /dev/null; then
  echo "Please install, by the names they have here: ${missing[*]}" >&2
  exit 1
fi
sudo=()
if ((EUID != 0)); then
  if ! command -v sudo > /dev/null; then
    echo "Please install as root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  sudo=(sudo)
fi
echo "Installing ${missing[*]} with apt-get"
"${sudo[@]}" apt-get update -q
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
