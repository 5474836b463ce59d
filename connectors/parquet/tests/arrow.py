"""`write FILE` writes the visits of the test as pyarrow does; `read FOLDER` prints the rows of all its files."""

import sys

import pyarrow as pa
import pyarrow.parquet as pq

what, path = sys.argv[1:]
if what == "write":
    n = range(20_000)
    columns = {
        "other": pa.array([f"{i}" for i in n]),
        "tags": pa.array([[f"t{i % 3}"] * (i % 4) for i in n]),
        "page": pa.array([f"/page/{i % 7}" for i in n]).dictionary_encode(),
        "millis": pa.array([None if i % 5 == 0 else i for i in n], pa.uint32()),
        "score": pa.array([i / 4 for i in n]),
        "at": pa.array([i - 10 for i in n], pa.int64()),
        "bot": pa.array([i % 2 == 0 for i in n]),
    }
    pq.write_table(pa.table(columns), path, row_group_size=3_000, compression="zstd")
else:
    table = pq.read_table(path)
    print("; ".join(f"{field.name}: {field.type}" for field in table.schema))
    for row in table.to_pylist():
        print(row["page"], row["at"], row["score"], row["bot"], row["millis"], ",".join(row["tags"]), sep="|")
