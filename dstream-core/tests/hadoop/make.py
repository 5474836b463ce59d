"""Makes the SequenceFiles of this folder with Hadoop, and reads with it what dstream has written.

    python3 make.py write          plain.seq, record.seq and block.seq, here
    python3 make.py read FOLDER    prints the pairs of FOLDER, one a line: key, tab, value

Needs pyspark (3.5.9 was used) and a Java runtime.
"""

import glob
import os
import shutil
import sys
import tempfile

from pyspark import SparkConf, SparkContext

context = SparkContext(conf=SparkConf().setMaster("local[1]").set("spark.ui.enabled", "false"))
context.setLogLevel("ERROR")
IO = "org.apache.hadoop.io."


def write():
    here = os.path.dirname(os.path.abspath(__file__))
    # Larger than an IntWritable holds, so that all are LongWritables.
    pairs = context.parallelize([(f"word {n % 37}", 2**40 + n * n) for n in range(400)], 1)
    codec = IO + "compress.DefaultCodec"
    kinds = {
        "plain": {"mapreduce.output.fileoutputformat.compress": "false"},
        "record": {"codec": codec, "type": "RECORD"},
        "block": {"codec": codec, "type": "BLOCK"},
    }
    for name, conf in kinds.items():
        folder = os.path.join(tempfile.mkdtemp(), name)
        if "codec" in conf:
            conf = {
                "mapreduce.output.fileoutputformat.compress": "true",
                "mapreduce.output.fileoutputformat.compress.codec": conf["codec"],
                "mapreduce.output.fileoutputformat.compress.type": conf["type"],
            }
        pairs.saveAsNewAPIHadoopFile(
            folder,
            "org.apache.hadoop.mapreduce.lib.output.SequenceFileOutputFormat",
            keyClass=IO + "Text",
            valueClass=IO + "LongWritable",
            conf=conf,
        )
        shutil.copy(glob.glob(folder + "/part-*")[0], os.path.join(here, name + ".seq"))


def read(folder):
    for key, value in context.sequenceFile(folder).collect():
        print(f"{key}\t{value}")


if sys.argv[1:] == ["write"]:
    write()
else:
    read(sys.argv[2])
