#!/usr/bin/env bash
# Installs what plays a Flume agent into DIR, once: the Java libraries that agents have for Avro and Thrift (Avro's with Netty,
# which later versions don't have, are part of an old release of PySpark), Python's Thrift, and `avsc` for Node. Needs a JDK,
# Python and Node, and prints which of them there are.
set -euo pipefail
dir=$1
mkdir -p "$dir"
if ! command -v javac >/dev/null; then
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends default-jdk-headless; } >&2
fi
if [ ! -d "$dir/java" ]; then
    rm -rf "$dir/java.new" "$dir/pip"
    mkdir "$dir/java.new"
    python3 -m venv "$dir/pip" >&2
    # With a newer setuptools, or pypandoc, the release can't even say what it is.
    "$dir/pip/bin/pip" install --quiet --disable-pip-version-check 'setuptools<70' wheel pypandoc==1.5 >&2
    "$dir/pip/bin/pip" download --quiet --disable-pip-version-check --no-build-isolation --no-deps --no-binary :all: \
        --dest "$dir/java.new" pyspark==2.4.8 >&2
    for jar in avro-1.8.2 avro-ipc-1.8.2 netty-3.9.9.Final libthrift-0.9.3 jackson-core-asl-1.9.13 jackson-mapper-asl-1.9.13 \
        slf4j-api-1.7.16; do
        echo "pyspark-2.4.8/deps/jars/$jar.jar"
    done | tar xzf "$dir"/java.new/pyspark-2.4.8.tar.gz -C "$dir/java.new" --strip-components 3 --files-from -
    rm -rf "$dir"/java.new/pyspark-2.4.8.tar.gz "$dir/pip"
    mv "$dir/java.new" "$dir/java"
fi
echo java
if [ ! -d "$dir/python" ]; then
    python3 -m pip install --quiet --disable-pip-version-check --target "$dir/python.new" thrift==0.25.0 >&2
    mv "$dir/python.new" "$dir/python"
fi
echo python
if [ ! -d "$dir/node" ] && command -v npm >/dev/null; then
    npm install --silent --prefix "$dir/node.new" avsc@5.7.9 >&2
    mv "$dir/node.new" "$dir/node"
fi
[ ! -d "$dir/node" ] || echo node
