#!/usr/bin/env bash
# Installs a broker that speaks Kafka's protocol into DIR, once, and prints where it is. It is no Apache Kafka, whose server
# can't be had from a package registry; it keeps topics, offsets and transactions over a kill.
set -euo pipefail
dir=$1
version=0.2.3
if [ ! -x "$dir/bin/noida-db" ]; then
    python3 -m venv "$dir.new" >&2
    "$dir.new/bin/pip" install --quiet --disable-pip-version-check "noida-db==$version" >&2
    rm -rf "$dir"
    mv "$dir.new" "$dir"
    # The scripts of an environment hold its path.
    python3 -m venv --upgrade "$dir" >&2
fi
find "$dir" -path '*noida_db/noida-db' -type f
