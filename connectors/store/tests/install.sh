#!/usr/bin/env bash
# Installs moto's server, which speaks S3, into DIR, once.
set -euo pipefail
dir=$1
if [ ! -e "$dir/moto/server.py" ]; then
    rm -rf "$dir" "$dir.new"
    pip install --quiet --disable-pip-version-check --target "$dir.new" 'moto[server]==5.2.5' >&2
    mv "$dir.new" "$dir"
fi
