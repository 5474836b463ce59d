#!/usr/bin/env bash
# Prints where Redis is; installs it by apt if it is missing. Debian has the program in `redis-tools`, which starts no service:
# it is a server if it is called one.
set -euo pipefail
dir=$1
if ! command -v redis-server >/dev/null && [ ! -x /usr/bin/redis-check-rdb ]; then
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends redis-tools; } >&2
fi
if command -v redis-server; then
    exit
fi
mkdir -p "$dir"
ln -sf /usr/bin/redis-check-rdb "$dir/redis-server"
echo "$dir/redis-server"
