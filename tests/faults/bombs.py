"""Small files that unpack to gigabytes, made in well under a second each.

`python -m tests.faults.bombs COMMANDS` takes command lines of lacal as JSON, each with the MB that it may reserve or null,
runs each in a process of its own, and prints `[exit code, seconds, MB at most, what it said]` for each.
"""

import importlib
import io
import json
import os
import resource
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lacal.cli.main import run
from tests.faults.spoiling import ipc_bytes, npy_claiming

TEXT = "x" * 20_000_000


def npz(path: Path) -> None:
    """4 MB that unpack to 4 GB: one piece of deflate again and again."""
    piece, pieces = bytes(1 << 20), 3_815
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = npy_claiming(f"({pieces << 11}, 128)")  # 1 MB is 2^11 rows of 128 float32
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)
    body = start + again * pieces + packer.flush(zlib.Z_FINISH)
    name, size = b"logits.npy", len(head) + pieces * len(piece)
    # The sum is never looked at: such a member is not unpacked.
    facts = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, 0, len(body), size, len(name), 0)
    entry = b"PK\x01\x02\x14\0" + facts + bytes(14) + name
    local = b"PK\x03\x04" + facts + name
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 1, 1, len(entry), len(local + body), 0)
    path.write_bytes(local + body + entry + end)


def parquet_rows(path: Path) -> None:
    """A thousand row groups of a million rows, all of the same pages: 10^9 rows."""
    rows, groups = 1_000_000, 1_000
    columns = {f"logit_{j}": np.full(rows, 2.0 * j, "f4") for j in range(2)}
    table = pa.table({**columns, "label": np.zeros(rows, "i1")})
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd", row_group_size=rows)
    data = stream.getvalue()
    once = pq.read_metadata(pa.BufferReader(data))
    footer = pq.read_metadata(pa.BufferReader(data))
    while footer.num_row_groups < groups:
        footer.append_row_groups(footer if footer.num_row_groups <= groups // 2 else once)
    told = io.BytesIO()
    footer.write_metadata_file(told)
    length = struct.unpack("<I", data[-8:-4])[0]
    path.write_bytes(data[: -8 - length] + told.getvalue()[4:])


def _with_ids(ids: pa.Array) -> pa.Table:
    rows = len(ids)
    logits = {f"logit_{j}": np.full(rows, 2.0 * j, "f4") for j in range(2)}
    return pa.table({**logits, "label": np.zeros(rows, "i1"), "id": ids})


def _repeated() -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(1000, "i4")), pa.array([TEXT]))


def parquet_dictionary(path: Path) -> None:
    """One text of 20 MB, 1,000 times: 20 GB."""
    pq.write_table(_with_ids(_repeated()), path, compression="zstd")


def parquet_texts(path: Path) -> None:
    """Texts of 20 MB, no two alike, in pages of one."""
    with pq.ParquetWriter(
        path,
        _with_ids(pa.array(["a"])).schema,
        compression="zstd",
        use_dictionary=False,
        write_statistics=False,
    ) as writer:
        for i in range(25):
            writer.write_table(_with_ids(pa.array([f"{i}{TEXT}"])))


def ipc_batch(path: Path) -> None:
    """One batch of 300 MB in 20 kB."""
    half, labels = pa.array(np.zeros(37_500_000, "f4")), pa.array(np.zeros(37_500_000, "i1"))
    table = pa.table({"logit_0": half, "logit_1": half, "label": labels})
    path.write_bytes(ipc_bytes(table, rows=len(labels), compression="zstd"))


def ipc_dictionary(path: Path) -> None:
    """One text of 20 MB, 1,000 times."""
    path.write_bytes(ipc_bytes(_with_ids(_repeated()), rows=1000, compression="zstd"))


BOMBS: dict[str, Callable[[Path], None]] = {
    "npz": npz,
    "parquet rows": parquet_rows,
    "parquet dictionary": parquet_dictionary,
    "parquet texts": parquet_texts,
    "ipc batch": ipc_batch,
    "ipc dictionary": ipc_dictionary,
}


def big_batch(path: Path) -> None:
    """No bomb: one batch of 160 MB, as it is."""
    column = pa.array(np.zeros(20_000_000, "f8"))
    path.write_bytes(ipc_bytes(pa.table({"id": column}), rows=len(column)))


def _run_within(command: list[str], megabytes: int | None) -> int:
    if megabytes is None:
        return run(command)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(
        resource.RLIMIT_AS, (pages * resource.getpagesize() + (megabytes << 20), hard)
    )
    try:
        return run(command)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def main(commands: list[tuple[list[str], int | None]]) -> list[tuple[int, float, int, str]]:
    """Run every command line in a fork of this process, which has read no file yet."""
    importlib.import_module("lacal.pipeline")  # as every command does, before the first is timed
    found = []
    for command, megabytes in commands:
        with tempfile.TemporaryFile() as said:
            began = time.monotonic()
            child = os.fork()
            if not child:
                os.dup2(said.fileno(), 2)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                os._exit(_run_within(command, megabytes))
            _, status, used = os.wait4(child, 0)
            said.seek(0)
            took = time.monotonic() - began
            code = os.waitstatus_to_exitcode(status)
            found.append((code, took, used.ru_maxrss >> 10, said.read().decode()))
    return found


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
