#!/usr/bin/env python3
"""Runs W1 to W6 with the JVM original, from its package `pyspark` on PyPI, on the files of `dstream-compare write-data DIR`.

    python3 -m venv venv && venv/bin/pip install pyspark==3.5.1     # needs Java 8, 11 or 17
    cargo run --release -p dstream-compare -- write-data /tmp/words
    venv/bin/python benches/dstream-compare/jvm/compare.py /tmp/words --only w1-zipf

The pipelines are Scala (compare.scala) and run in Spark's own shell, so no record passes through Python. Prints, for each
workload, CPU and wall time a batch and CPU time a record: medians of the second half of the batches. CPU time is that of
the whole JVM from the start of a batch to its end, with garbage collection and compilation.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder that `write-data` has written")
    parser.add_argument("--only", default="", help="workloads whose names begin like one of these, as in w1,w5")
    parser.add_argument("--batches", type=int, default=12, help="large batches of a workload (default: 12)")
    parser.add_argument("--memory", default="8g", help="the JVM's heap (default: 8g)")
    args = parser.parse_args()
    if not (args.data / "zipf-0.txt").exists():
        parser.error(f"{args.data} has no zipf-0.txt: run `cargo run --release -p dstream-compare -- write-data {args.data}`")
    try:
        import pyspark
    except ImportError:
        parser.error("pyspark is not installed here: `python3 -m venv venv && venv/bin/pip install pyspark==3.5.1`")
    home = Path(pyspark.__file__).parent
    script = Path(__file__).with_suffix(".scala")
    with tempfile.TemporaryDirectory() as checkpoint:
        properties = {"data": args.data.resolve(), "only": args.only, "batches": args.batches, "checkpoint": checkpoint}
        options = " ".join(f"-Ddstream.{name}={value}" for name, value in properties.items())
        command = [
            home / "bin" / "spark-shell", "--master", "local[2]", "--driver-memory", args.memory,
            "--conf", "spark.ui.enabled=false", "--conf", "spark.default.parallelism=2",
            "--driver-java-options", options, "-i", script,
        ]
        environment = {**os.environ, "SPARK_HOME": str(home)}
        shell = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        found = 0
        for line in shell.stdout:
            for part in line.split("\r"):
                if part.startswith("FAILED "):
                    print(part.splitlines()[0], file=sys.stderr, flush=True)
                if part.startswith("RESULT "):
                    found += 1
                    print(part.removeprefix("RESULT ").strip(), flush=True)
        return shell.wait() or (0 if found else 1)


if __name__ == "__main__":
    sys.exit(main())
