#!/usr/bin/env bash
# Unpacks mosquitto and its clients into DIR, once. They are not installed: that would start a service.
set -euo pipefail
dir=$1
if [ ! -x "$dir/usr/sbin/mosquitto" ]; then
    rm -rf "$dir.new"
    mkdir -p "$dir.new"
    cd "$dir.new"
    apt-get update -q >&2
    # What they need beside what every system has.
    for package in mosquitto mosquitto-clients libmosquitto1 libcjson1 libdlt2 libwrap0 libwebsockets17 libnsl2 \
        libtirpc3 libev4; do
        apt-get download -q $package >&2 || true
    done
    for package in *.deb; do
        dpkg-deb -x "$package" .
    done
    rm ./*.deb
    [ -x usr/sbin/mosquitto ]
    cd /
    rm -rf "$dir"
    mv "$dir.new" "$dir"
fi
