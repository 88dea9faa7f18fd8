"""Every sentence with which a reader refuses a file, whole, as it is kept in tests/formats/refusals.txt.

`python -m tests.formats.test_sentences` writes that file anew. Other libraries' words are left out of it.
"""

import json
import re
import struct
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lacal.errors import DataError
from lacal.formats import open_table, read_text
from lacal.formats.text import csv_lines
from tests.faults.spoiling import ipc_bytes, npy_bytes, parquet_bytes, unix_socket
from tests.formats.test_spoiled import (
    DATA,
    FILES,
    ONE,
    Spoil,
    claim,
    entry,
    npy_claiming,
    parquet_of,
    safetensors_bytes,
    use,
    zip_bytes,
)

GOLDEN = Path(__file__).with_name("refusals.txt")
OTHERS_WORDS = re.compile(r"(damaged zip file|cannot be read|as tensors) \(.*\); ")
F4 = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


def tensors(**entries: Any) -> bytes:
    """A .safetensors file of this header and four bytes."""
    return safetensors_bytes(json.dumps(entries), b"1234")


def directory(at: int, value: int, *, of: bytes = ONE) -> bytes:
    """A zip of one member whose directory says something else at an offset."""
    data = bytearray(zip_bytes([("x.npy", of)]))
    place = data.index(b"PK\x01\x02") + at
    data[place : place + 4] = struct.pack("<I", value)
    return bytes(data)


def behind_the_file() -> bytes:
    """A zip whose second member begins at the file's last byte, as its directory says."""
    data = bytearray(zip_bytes([("w.npy", b""), ("x.npy", ONE)]))
    place = data.rindex(b"PK\x01\x02") + 42
    data[place : place + 4] = struct.pack("<I", len(data) - 1)
    return bytes(data)


def turned(shape: str, descr: str, data: bytes = b"") -> bytes:
    """An .npy file in Fortran order."""
    header = f"{{'descr': {descr}, 'fortran_order': True, 'shape': {shape}}}"
    return npy_claiming(header, data)


def method(number: int) -> bytes:
    """A zip whose one member says that it is packed in this way."""
    data = bytearray(zip_bytes([("x.npy", ONE)]))
    for mark, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.index(mark) + at] = number
    return bytes(data)


STREAM = ipc_bytes(pa.table({"x": [1.0, 2.0]}), stream=True)
FILE = ipc_bytes(pa.table({"x": [1.0, 2.0]}))
PARQUET = parquet_bytes(pa.table({"x": [1.0, 2.0]}))

BYTES: dict[str, tuple[str, bytes]] = {
    **{case: (name, data) for case, (name, data, _) in DATA.items()},
    "bzip2": ("a", b"BZh9"),
    "xz": ("a", b"\xfd7zXZ\0"),
    "zstd": ("a", b"\x28\xb5\x2f\xfd"),
    "utf-16 big-endian": ("a.csv", "\ufeffa,b".encode("utf-16-be")),
    "an XML page behind a mark": ("a.csv", b'\xef\xbb\xbf <?XML version="1.0"?>'),
    "old pickle": ("a.csv", b"\x80\x02}q"),
    "no suffix": ("a", b"1,2\n"),
    "npy of version 2, cut": ("a", b"\x93NUMPY\x02\0\x10\0\0\0{"),
    "npy of version 3, long": ("a", b"\x93NUMPY\x03\0\x01\0\x01\0{"),
    "npy of sizes that are none": ("a", claim("(4.0, 4)")),
    "npy one byte short": ("a", ONE[:-1]),
    "npy subarray": ("a", npy_bytes(np.zeros(2, [("a", "f4", 3)]))),
    "npy objects in a structure": ("a", claim("(2,)", "[('a', '|O')]")),
    "npy columns of nothing": ("a", turned("(1000000000000000, 0)", "'<f4'")),
    "npy columns not UTF-8": ("a", turned("(1, 2)", "'|S1'", b"a\xff")),
    "npy columns not Unicode": ("a", turned("(1, 2)", "'<U1'", b"a\0\0\0\xff\xff\xff\x7f")),
    "npz not UTF-8": ("a", zip_bytes([("x.npy", npy_bytes(np.array([b"a", b"\xff"])))])),
    "npz columns not UTF-8": ("a", zip_bytes([("x.npy", turned("(1, 2)", "'|S1'", b"a\xff"))])),
    "npz two in one": ("a", zip_bytes([("x.npy", ONE)]) * 2),
    "npz members beyond the file": ("a", directory(20, 1 << 30)),
    "npz member unpacks to another length": ("a", directory(24, 99)),
    "npz member begins behind the file": ("a", behind_the_file()),
    "npz deflate64": ("a", method(9)),
    "npz lzma": ("a", method(14)),
    "npz zstd": ("a", method(93)),
    "npz method 77": ("a", method(77)),
    "npz with many others": ("a", zip_bytes([(f"{i}.txt", b"") for i in range(10)])),
    "safetensors of a long type": ("a", tensors(x={**F4, "dtype": "F8_" + "E" * 30})),
    "safetensors second of another size": (
        "a",
        safetensors_bytes(f'{{"x":{entry(0, 4)},"y":{entry(4, 8, shape="[3]")}}}', b"1" * 8),
    ),
    "safetensors starts late": ("a", tensors(x={**F4, "data_offsets": [1, 5]})),
    "safetensors backwards": (
        "a",
        safetensors_bytes(f'{{"x":{entry(0, -4)}}}'),
    ),
    "safetensors no dtype": ("a", tensors(x={**F4, "dtype": 3})),
    "safetensors no shape": ("a", tensors(x={**F4, "shape": [True]})),
    "safetensors three offsets": ("a", tensors(x={**F4, "data_offsets": [0, 4, 4]})),
    "safetensors no object": ("a", tensors(x=[0])),
    "safetensors other size": ("a", tensors(x={**F4, "dtype": "F64"})),
    "safetensors header longer than the file": ("a", struct.pack("<Q", 3) + b"{}"),
    "csv long header": ("a.csv", b"x" * (16 << 20)),
    "csv long first row": ("a.csv", b"x\n" + b"1" * (16 << 20)),
    "csv first row's quote": ("a.csv", b'x,y\n"1,2\n'),
    "csv NUL in the header": ("a.csv", b"x" * 1024 + b"\0,y\n1,2\n"),
    "csv joined by spaces": ("a.csv", b"logits\n 1 2\t3 \n"),
    "csv decimal comma behind tabs": ("a.tsv", b"x\ty\n1,5\t 2,5 \n"),
    "csv spaces in a cell": ("a.csv", b"x,y\n1,2\n1,  \n"),
    "csv with a word at the end": ("a.csv", b"x,y\n1,2\n1,X\n"),
    "tsv with an empty cell at the end": ("a.tsv", b"x\ty\n1\t2\n1\t\n"),
    "csv with CRLF": ("a.csv", b"x,y\r\n1,2\r\n1,abc\r\n"),
    "csv of semicolons": ("a.csv", b"x;y\n1;2\n1;abc\n"),
    "csv row of its own": ("a.csv", b"x,y\n1,2\n1,2,3,4\n"),
    "csv ends in a blank line and a row": ("a.csv", b"x,y\n1,2\n\n\n1,2\n3,4\n"),
    "csv several": ("a.csv", b"1,2,3,4,5,6,7,8,9,10\n1,2,3,4,5,6,7,8,9,10\n"),
    "txt space at the end": ("a.txt", b"a \n"),
    "txt with a word at the end": ("a.txt", b"aX\nbX X\n"),
    "txt blank lines": ("a.txt", b"a\n\n\nb\n"),
    "stream without its end": ("a", STREAM[:-8]),
    "stream and another": ("a", STREAM + STREAM),
    "parquet without its end": ("a", PARQUET[:-1]),
    "arrow file without its end": ("a", FILE[:-1]),
    "torchscript by another name": ("a.npz", zip_bytes([("constants.pkl", b"")])),
    "pt2 by its program": ("a.npz", zip_bytes([("serialized_exported_program.json", b"{}")])),
    "zip of a text": ("a", zip_bytes([("a/b.txt", b"")])),
}  # fmt: skip


def bytes_in(name: str, data: bytes) -> Spoil:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return write


def two_parts(**tables: Any) -> Spoil:
    def write(folder: Path) -> Path:
        for name, table in tables.items():
            pq.write_table(table, folder / name)
        return folder

    return write


def named(*names: str) -> Any:
    return pa.table({"x": [1]}).replace_schema_metadata({"class_names": json.dumps(names)})


def images_without_bytes(folder: Path) -> Path:
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = pa.array([{"bytes": b"1", "path": None}, {"bytes": None, "path": "a.png"}], image)
    return parquet_of(rows)(folder)


def inner_list(folder: Path) -> Path:
    return parquet_of([[[1, 2], [3, 4]], [[1, 2], [3]]])(folder)


def unequal(folder: Path) -> Path:
    np.savez(folder / "a.npz", x=np.ones(2), y=np.ones(3000))
    return folder / "a.npz"


def sparse_text(folder: Path) -> Path:
    with (folder / "a.json").open("wb") as file:
        file.write(b"{")
        file.truncate((1 << 28) + 1)
    return folder / "a.json"


def both(path: Path) -> None:
    for _ in open_table(path).blocks(["x", "y"], 2):
        pass


def read_images(path: Path) -> None:
    open_table(path).read("x")


Use = Callable[[Path], Any]
MADE: dict[str, tuple[Spoil, Use]] = {
    **{
        fragment: (spoil, use)
        for spoil, fragment in FILES
        if spoil is not unix_socket  # whose path depends on the working folder
    },
    "parts of other names": (two_parts(a=named("a", "b"), b=named("a", "c")), use),
    "parts of which the first lacks a column": (
        two_parts(a=pa.table({"x": [1]}), b=pa.table({"x": [1], "y": [1]})),
        use,
    ),
    "images without bytes": (images_without_bytes, use),
    "images read whole": (parquet_of([b"1", b"2"]), read_images),
    "a ragged inner list": (inner_list, use),
    "a shorter list": (parquet_of([[1.0] * 2000] * 1500 + [[1.0] * 1001]), use),
    "unequal lengths": (unequal, both),
    "a field that is not there": (parquet_of([1]), both),
    "a text too large": (sparse_text, read_text),
    "a text that is empty": (bytes_in("a.json", b""), read_text),
    "a text that is no UTF-8": (bytes_in("a.json", b"a\xe9"), read_text),
    "a text with a NUL": (bytes_in("a.json", b"a\0"), read_text),
    "a stray quote": (bytes_in("a.json", b'a,b\n"c,d\ne,f\n'), csv_lines),
    "two stray quotes": (bytes_in("a.tsv", b'a\tb\n"c\td\ne"\tf\n'), csv_lines),
}  # fmt: skip
TORCH = find_spec("torch") is not None
if TORCH:
    from tests.formats.test_torch_tensors import SPOILED

    MADE |= {fragment: (spoil, use) for spoil, fragment in SPOILED}


def sentence_of(folder: Path, case: str) -> str:
    """What is said of the case's file, of which the folder is called HERE."""
    if case in MADE:
        spoil, look = MADE[case]
    else:
        name, data = BYTES[case]
        spoil, look = bytes_in(name, data), use
    path = spoil(folder)
    with pytest.raises(DataError) as caught:
        look(path)
    return OTHERS_WORDS.sub(r"\1 (...); ", str(caught.value).replace(str(folder), "HERE"))


def kept() -> dict[str, str]:
    lines = GOLDEN.read_text().splitlines()
    return dict(zip(lines[::3], lines[1::3], strict=True))


@pytest.mark.parametrize("case", [*BYTES, *MADE])
def test_the_whole_sentence(tmp_path: Path, case: str) -> None:
    assert sentence_of(tmp_path, case) == kept()[case]


@pytest.mark.skipif(not TORCH, reason="needs torch")
def test_none_is_kept_that_nobody_says() -> None:
    assert list(kept()) == [*BYTES, *MADE]


def write_golden() -> None:
    """Write what is said today."""
    lines = []
    for case in [*BYTES, *MADE]:
        with tempfile.TemporaryDirectory() as folder:
            lines += [case, sentence_of(Path(folder), case), ""]
    GOLDEN.write_text("\n".join(lines[:-1]) + "\n")


if __name__ == "__main__":
    write_golden()
