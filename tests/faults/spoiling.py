"""The same sixty labelled rows in every format of arrays, as bytes to be spoiled; and paths that are no files."""

import io
import json
import os
import socket
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tests.small_world import world

WORLD = world()
ROWS, CLASSES = WORLD.logits.shape
Maker = Callable[[], bytes]


def npy_bytes(array: Any, **options: Any) -> bytes:
    """What `numpy.save` writes."""
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def npy_claiming(shape: str, descr: str = "'<f4'", data: bytes = b"") -> bytes:
    """An .npy file of this header, whatever lies behind it."""
    literal = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".encode()
    literal = literal.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(literal)) + literal + data


def zip_bytes(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of these members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def fixed(logits: NDArray[Any]) -> Any:
    """Logits (n, k) as a column of n lists of length k."""
    return pa.FixedSizeListArray.from_arrays(pa.array(logits.ravel()), logits.shape[1])


def table_of(logits: Any = None, **more: Any) -> Any:
    """An Arrow table of logits and labels, and of more columns."""
    column = fixed(WORLD.logits) if logits is None else logits
    return pa.table({"logits": column, "label": WORLD.labels, **more})


def parquet_bytes(table: Any, **options: Any) -> bytes:
    """A Parquet file."""
    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    return stream.getvalue()


def ipc_bytes(table: Any, *, stream: bool = False, rows: int = 25, **options: Any) -> bytes:
    """An Arrow IPC file, or stream, in batches of so many rows."""
    target = io.BytesIO()
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(target, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=rows)
    return target.getvalue()


def npz_bytes(compressed: bool = False) -> bytes:
    """Logits and labels in a zip."""
    stream = io.BytesIO()
    save = np.savez_compressed if compressed else np.savez
    save(stream, logits=WORLD.logits, labels=WORLD.labels)
    return stream.getvalue()


def safetensors_bytes() -> bytes:
    """Logits and labels behind a JSON header."""
    at, half = WORLD.logits.nbytes, WORLD.logits.nbytes + WORLD.labels.nbytes
    header = json.dumps(
        {
            "logits": {"dtype": "F32", "shape": [ROWS, CLASSES], "data_offsets": [0, at]},
            "labels": {"dtype": "I64", "shape": [ROWS], "data_offsets": [at, half]},
        }
    ).encode()
    return struct.pack("<Q", len(header)) + header + WORLD.logits.tobytes() + WORLD.labels.tobytes()


def csv_bytes() -> bytes:
    """A line a row, a column a class."""
    lines = ["label," + ",".join(f"logit_{j}" for j in range(CLASSES))]
    for label, row in zip(WORLD.labels, WORLD.logits, strict=True):
        lines.append(f"{label}," + ",".join(repr(float(x)) for x in row))
    return "\n".join(lines).encode() + b"\n"


def torch_bytes() -> bytes:
    """What `torch.save` writes."""
    import torch

    stream = io.BytesIO()
    torch.save({name: torch.from_numpy(getattr(WORLD, name)) for name in ("logits", "labels")}, stream)  # fmt: skip
    return stream.getvalue()


# Suffix -> one file of each format whose length is known from itself.
MAKERS: dict[str, Maker] = {
    ".npy": lambda: npy_bytes(WORLD.logits),
    ".npz": npz_bytes,
    "_packed.npz": lambda: npz_bytes(compressed=True),
    ".safetensors": safetensors_bytes,
    ".parquet": lambda: parquet_bytes(table_of()),
    ".arrow": lambda: ipc_bytes(table_of()),
    "_stream.arrow": lambda: ipc_bytes(table_of(), stream=True),
    ".pt": torch_bytes,
}


def written(folder: Path, name: str, data: bytes) -> Path:
    """The path of a file of these bytes."""
    (folder / name).write_bytes(data)
    return folder / name


def pipe(folder: Path) -> Path:
    """A pipe that nobody writes to."""
    os.mkfifo(folder / "a.npz")
    return folder / "a.npz"


def unix_socket(folder: Path) -> Path:
    """A socket that nobody listens at."""
    path = Path(os.path.relpath(folder / "s"))  # the name of a socket is limited to 108 bytes
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    return path


def device(folder: Path) -> Path:
    """A device that can be read for ever."""
    return Path("/dev/zero")
