"""Any damage gives arrays or an error of lacal's own: never another exception, never a crash."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacal.errors import LacalError
from tests.formats.test_spoiled import use

LOGITS = np.arange(30, dtype="f4").reshape(10, 3)
IDS = [f"id-{i}" for i in range(10)]
TABLE = pa.table({"logits": list(LOGITS), "label": range(10), "id": IDS})


def npy() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asfortranarray(LOGITS))
    return stream.getvalue()


def npz() -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, logits=LOGITS, id=np.array(IDS))
    return stream.getvalue()


def safetensors() -> bytes:
    header = b'{"x":{"dtype":"F32","shape":[10,3],"data_offsets":[0,120]}}'
    return struct.pack("<Q", len(header)) + header + LOGITS.tobytes()


def parquet() -> bytes:
    stream = io.BytesIO()
    pq.write_table(TABLE, stream)
    return stream.getvalue()


def arrow_file() -> bytes:
    stream = io.BytesIO()
    with pa.ipc.new_file(stream, TABLE.schema) as writer:
        writer.write_table(TABLE)
    return stream.getvalue()


def arrow_stream() -> bytes:
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, TABLE.schema) as writer:
        writer.write_table(TABLE)
    return stream.getvalue()


def csv() -> bytes:
    rows = [f'"{name}",{i},{i}.5,{-i}e3' for i, name in enumerate(IDS)]
    return "\n".join(["id,label,c0,c1", *rows]).encode()


def txt() -> bytes:
    return "\n".join(IDS).encode()


def pt() -> bytes:
    torch = pytest.importorskip("torch")
    stream = io.BytesIO()
    torch.save({"logits": torch.from_numpy(LOGITS), "label": torch.arange(10)}, stream)
    return stream.getvalue()


WRITERS: list[tuple[Callable[[], bytes], str, int]] = [
    (npy, ".npy", 300),
    (npz, ".npz", 300),
    (safetensors, ".safetensors", 300),
    (parquet, ".parquet", 300),
    (arrow_file, ".arrow", 300),
    (arrow_stream, ".arrow", 300),
    (csv, ".csv", 300),
    (txt, ".txt", 200),
    (pt, ".pt", 200),
]

FLIPS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4)


@pytest.mark.parametrize(("write", "suffix", "examples"), WRITERS)
def test_mutated(write: Callable[[], bytes], suffix: str, examples: int) -> None:
    whole = write()
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"

        @settings(max_examples=examples, derandomize=True, deadline=None, database=None)
        @given(FLIPS, st.one_of(st.just(1.0), st.floats(0, 1)))
        def mutated(flips: list[tuple[float, int]], kept: float) -> None:
            data = bytearray(whole)
            for where, value in flips:
                data[int(where * (len(data) - 1))] = value
            path.write_bytes(data[: int(kept * len(data))])
            try:
                use(path)
            except LacalError as error:
                assert str(error).isprintable()  # noqa: PT017 - arrays are a fair outcome too

        mutated()
