#!/usr/bin/env bash
# Prints the folder of PostgreSQL's programs; installs them by apt if they are missing.
set -euo pipefail
find_it() {
    ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1
}
if [ -z "$(find_it)" ] || [ ! -x "$(find_it)/initdb" ]; then
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends postgresql; } >&2
fi
find_it
