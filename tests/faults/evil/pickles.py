"""Pickles and code wherever a data file may hold them."""

import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

from tests.faults.evil.table import BESIDE, LOGITS, MODEL, Evil, Make

ROWS, CLASSES = 10, 5


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.mkdir, (str(self.marker),)


def call(marker: Path) -> str:
    """An expression that makes a folder."""
    return f"__import__('os').mkdir('{marker}')"


def trapped(name: str, content: Callable[[Path], bytes]) -> Make:
    """A maker of a file whose content names the marker."""

    def make(folder: Path, marker: Path) -> None:
        (folder / name).write_bytes(content(marker))

    return make


def bare(protocol: int) -> Callable[[Path], bytes]:
    return lambda marker: pickle.dumps(Trap(marker), protocol)


def saved(value: Any) -> bytes:
    """As `numpy.save` writes objects."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([value], object), allow_pickle=True)
    return buffer.getvalue()


def header(marker: Path) -> bytes:
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({call(marker)}, 3), }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(120)


def descr(marker: Path) -> bytes:
    """A type that is a text, which NumPy's own parser of types could take for a Python type."""
    text = f"{{'descr': [('a', {call(marker)!r})], 'fortran_order': False, 'shape': (10, 3), }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(120)


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return buffer.getvalue()


def torch_saved(marker: Path, new: bool = True) -> bytes:
    import torch

    buffer = io.BytesIO()
    content = {"logits": torch.zeros(ROWS, CLASSES), "trap": Trap(marker)}
    torch.save(content, buffer, _use_new_zipfile_serialization=new)
    return buffer.getvalue()


def torch_tar(marker: Path) -> bytes:
    """The layout of torch before 0.1.10: a tar of pickles."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            content = pickle.dumps(Trap(marker), 2)
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def torch_module(marker: Path) -> bytes:
    """A whole module: its class is looked up, and built, by the pickle."""
    import torch

    module = torch.nn.Linear(4, CLASSES)
    module.register_buffer("trap", None)
    module.note = Trap(marker)
    buffer = io.BytesIO()
    torch.save(module, buffer)
    return buffer.getvalue()


def reached_by_torch(marker: Path) -> bytes:
    """A pickle that reaches for what torch itself has loaded, as broken `weights_only` once let it."""
    name = str(marker).encode()
    return _archive(
        b"\x80\x02ctorch.serialization\nos.mkdir\nX"
        + len(name).to_bytes(4, "little")
        + name
        + b"\x85R."
    )


def _archive(program: bytes) -> bytes:
    members = {
        "archive/data.pkl": program,
        "archive/byteorder": b"little",
        "archive/version": b"3\n",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def builtin(marker: Path) -> bytes:
    """`builtins.eval` by name."""
    text = call(marker).encode()
    program = b"\x80\x02cbuiltins\neval\nX" + len(text).to_bytes(4, "little") + text + b"\x85R."
    return _archive(program)


def by_stack(marker: Path) -> bytes:
    """A global that is put together on the stack."""
    return _archive(pickle.dumps(Trap(marker), 4))


def extension(marker: Path) -> pa.Schema:
    """The extension type by which pyarrow ran pickles until 14.0.1."""
    metadata = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(Trap(marker)),
    }
    logits = pa.field("logits", pa.list_(pa.float32(), CLASSES), metadata=metadata)
    return pa.schema([logits], metadata={b"pandas": pickle.dumps(Trap(marker)), b"lacal": b"{"})


def table(marker: Path) -> pa.Table:
    values = pa.array(np.zeros(ROWS * CLASSES, np.float32))
    logits = pa.FixedSizeListArray.from_arrays(values, CLASSES)
    return pa.Table.from_arrays([logits], schema=extension(marker))


def parquet(folder: Path, marker: Path) -> None:
    pq.write_table(table(marker), folder / "pickled.parquet")


def arrow(folder: Path, marker: Path) -> None:
    found = table(marker)
    with ipc.new_file(folder / "pickled.arrow", found.schema) as writer:
        writer.write_table(found)


def binary_column(folder: Path, marker: Path) -> None:
    """A pickle in every row, as some tools keep their arrays."""
    rows = [pickle.dumps(Trap(marker))] * ROWS
    pq.write_table(pa.table({"logits": pa.array(rows, pa.binary())}), folder / "rows.parquet")


PICKLES = [
    Evil("object.npy", trapped("object.npy", lambda marker: saved(Trap(marker))), (*LOGITS, *BESIDE)),
    Evil("header.npy", trapped("header.npy", header), (*LOGITS, *BESIDE)),
    Evil("descr.npy", trapped("descr.npy", descr), LOGITS),
    *(
        Evil(name, trapped(name, bare(protocol)), (*LOGITS, *BESIDE, *MODEL))
        for name, protocol in (("p2.npy", 2), ("p5.pt", 5), ("p4.pkl", 4), ("p0.csv", 0), ("p1.json", 1))
    ),
    Evil("p3.safetensors", trapped("p3.safetensors", bare(3)), LOGITS),
    Evil("object.npz", trapped("object.npz", lambda marker: zipped(logits__npy=saved(Trap(marker)))), (*LOGITS, *BESIDE)),
    Evil("member.npz", trapped("member.npz", lambda marker: zipped(logits__pkl=pickle.dumps(Trap(marker)))), LOGITS),
    Evil("raw.npz", trapped("raw.npz", lambda marker: zipped(logits__npy=pickle.dumps(Trap(marker)))), LOGITS),
    Evil("dict.pt", trapped("dict.pt", torch_saved), (*LOGITS, *BESIDE, MODEL[0])),
    Evil("old.pt", trapped("old.pt", lambda marker: torch_saved(marker, new=False)), (*LOGITS, MODEL[0])),
    Evil("tar.pt", trapped("tar.pt", torch_tar), (*LOGITS, MODEL[0])),
    Evil("module.pt", trapped("module.pt", torch_module), (*LOGITS, MODEL[0], MODEL[1])),
    Evil("reached.pt", trapped("reached.pt", reached_by_torch), LOGITS),
    Evil("eval.pt", trapped("eval.pt", builtin), (*LOGITS, MODEL[0])),
    Evil("stack.pt", trapped("stack.pt", by_stack), LOGITS),
    Evil("pickled.parquet", parquet, LOGITS, (0, 2)),
    Evil("pickled.arrow", arrow, LOGITS, (0, 2)),
    Evil("rows.parquet", binary_column, LOGITS),
]  # fmt: skip
