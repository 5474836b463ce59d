#!/usr/bin/env bash
# Installs kinesis-local, a server that speaks Kinesis, into DIR, once, and prints where it is. It runs with node.
set -euo pipefail
dir=$1
if [ ! -e "$dir/node_modules/kinesis-local/main.js" ]; then
    rm -rf "$dir" "$dir.new"
    mkdir -p "$dir.new"
    timeout 300 npm install --silent --no-audit --no-fund --prefix "$dir.new" kinesis-local@0.6.2 >&2
    mv "$dir.new" "$dir"
fi
node --version >&2
echo "$dir/node_modules/kinesis-local"
