#!/usr/bin/env bash
# Installs pyarrow, which reads and writes Parquet by code of its own, into DIR, once.
set -euo pipefail
dir=$1
if [ ! -e "$dir/pyarrow/parquet/__init__.py" ]; then
    rm -rf "$dir" "$dir.new"
    pip install --quiet --disable-pip-version-check --target "$dir.new" pyarrow==26.0.1 >&2
    mv "$dir.new" "$dir"
fi
