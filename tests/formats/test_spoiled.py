"""Spoiled file -> fragment of the message: one small function for each way to spoil one."""

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lacal.errors import DataError, LacalError, RunError
from lacal.formats import open_table, read_text
from tests.faults.spoiling import device, npy_bytes, pipe, unix_socket

Spoil = Callable[[Path], Path]


def use(path: Path) -> None:
    """Open the file, read every field whole and in blocks, as a command would."""
    table = open_table(path)
    for name in table.fields:
        for _ in table.blocks([name], 3):
            pass
        table.read(name)
    assert table.class_names is None or table.class_names


def npy_claiming(header: str, data: bytes = b"") -> bytes:
    literal = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(literal)) + literal + data


def claim(shape: str, descr: str = "'<f4'") -> bytes:
    return npy_claiming(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}")


def safetensors_bytes(header: str, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header.encode() + data


def entry(start: int, stop: int, dtype: str = "F32", shape: str = "[1]") -> str:
    return f'{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{start},{stop}]}}'


def zip_bytes(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return stream.getvalue()


ONE = npy_bytes(np.ones(5))
DATA: dict[str, tuple[str, bytes, str]] = {
    "empty": ("a.npy", b"", "is empty (0 bytes)"),
    "lfs pointer": (
        "a.csv",
        b"version https://git-lfs.github.com/spec/v1\noid",
        "run `git lfs pull`",
    ),
    "html page": ("a.npy", b"\n<!DOCTYPE html><html>", "is an HTML or XML page"),
    "gzip": ("a.csv", b"\x1f\x8b\x08", "is compressed with gzip"),
    "utf-16": ("a.csv", "a,b".encode("utf-16"), "is text in UTF-16"),
    "utf-16 without a mark": ("a.csv", "a,b".encode("utf-16-le"), "NUL bytes"),
    "unknown": ("a.npy", b"hello", "is of no format that lacal knows"),
    "pickle": ("a.pt", pickle.dumps([1]), "is a Python pickle"),
    "hdf5": ("a.h5", b"\x89HDF\r\n", "is an HDF5 file"),
    "feather 1": ("a.feather", b"FEA1....", "Feather file of version 1"),
    "encrypted parquet": ("a.parquet", b"PARE....PARE", "is an encrypted Parquet file"),
    # npy
    "npy cut in its data": ("a", ONE[:-3], "it was cut off"),
    "npy cut in its header": ("a", ONE[:50], "ends inside its header"),
    "npy cut in its magic": ("a", ONE[:7], "does not start as an .npy file"),
    "npy with junk behind": ("a", ONE + b"x", "something was appended"),
    "npy of 400 GB": ("a", claim("(1000000, 100000)"), "claims 400,000,000,128"),
    "npy of 2**64": ("a", claim("(4294967296, 4294967296)"), "it was cut off"),
    "npy negative shape": ("a", claim("(-1, 4)"), "claims shape (-1, 4)"),
    "npy bool shape": ("a", claim("(True, 4)"), "claims shape (True, 4)"),
    "npy code": ("a", claim("__import__('os').getcwd()"), "its header cannot be read"),
    "npy deep": ("a", npy_claiming("(" * 60_000), "its header cannot be read"),
    "npy long header": ("a", b"\x93NUMPY\x02\x00\xff\xff\xff\x00", "claims 16,777,215 bytes"),
    "npy version": ("a", b"\x93NUMPY\x09\x00" + ONE[8:], "of .npy version 9.0"),
    "npy objects": ("a", npy_bytes(np.array([{}]), allow_pickle=True), "lacal never unpickles"),
    "npy structured": ("a", npy_bytes(np.zeros(2, "f4,i4")), "which lacal cannot use"),
    "npy of no bytes": ("a", claim("(1000000000000,)", "'<U0'"), "values of no bytes"),
    "npy complex": ("a", npy_bytes(np.zeros(2, complex)), "is of type complex128"),
    "npy dates": ("a", npy_bytes(np.zeros(2, "M8[s]")), "is of type datetime64[s]"),
    "npy long double": ("a", npy_bytes(np.zeros(2, np.longdouble)), "cannot use"),
    "npy single value": ("a", npy_bytes(np.float32(1)), "is a single value"),
    "npy rows of nothing": ("a", claim("(1000000000000000, 0)"), "rows without values"),
    "npy not Unicode": ("a", claim("(1,)", "'<U1'") + b"\xff\xff\xff\x7f", "is not Unicode"),
    "npy not UTF-8": ("a", claim("(1,)", "'|S1'") + b"\xff", "is not UTF-8"),
    # npz
    "npz cut": ("a", zip_bytes([("x.npy", ONE)])[:-30], "is a damaged zip file"),
    "npz without members": ("a", zip_bytes([]), "holds no .npy arrays"),
    "npz of none": ("a", zip_bytes([("a.npy/x", b"1")]), "is a zip file that holds a.npy/x"),
    "npz not npy inside": ("a", zip_bytes([("x.npy", b"hello")]), "x.npy: does not start as"),
    "npz size differs": ("a", zip_bytes([("x.npy", ONE[:-1])]), "x.npy: holds 167 bytes"),
    "npz bzip2": ("a", zip_bytes([("x.npy", ONE)], zipfile.ZIP_BZIP2), "packed with bzip2"),
    "npz object": (
        "a",
        zip_bytes([("x.npy", npy_bytes(np.array([None]), allow_pickle=True))]),
        "'x' holds Python objects",
    ),
    "npz bit flipped": ("a", zip_bytes([("x.npy", ONE)]).replace(ONE[-8:], b"\1" * 8), "CRC"),
    "npz bomb": (
        "a",
        zip_bytes([("x.npy", npy_bytes(np.zeros(3 << 20)))], zipfile.ZIP_DEFLATED),
        "more than 1000:1",
    ),
    "a zip of something": ("a", zip_bytes([("../../x\x1b[1m", b"1")]), "holds ../../x\\x1b[1m"),
    # safetensors
    "safetensors cut": ("a", safetensors_bytes(f'{{"x":{entry(0, 4)}}}', b"123"), "take 4 bytes"),
    "safetensors junk": (
        "a",
        safetensors_bytes(f'{{"x":{entry(0, 4)}}}', b"12345"),
        "take 4 bytes",
    ),
    "safetensors hole": (
        "a",
        safetensors_bytes(f'{{"x":{entry(0, 4)},"y":{entry(8, 12)}}}', b"1" * 12),
        "starts at 8; expected 4",
    ),
    "safetensors overlap": (
        "a",
        safetensors_bytes(f'{{"x":{entry(0, 4)},"y":{entry(0, 4)}}}', b"1" * 4),
        "starts at 0; expected 4",
    ),
    "safetensors twice": (
        "a",
        safetensors_bytes(f'{{"x":{entry(0, 4)},"x":{entry(0, 4)}}}', b"1" * 4),
        "'x' is there twice",
    ),
    "safetensors negative": (
        "a",
        safetensors_bytes(f'{{"x":{entry(-4, 0)}}}'),
        "no proper dtype, shape and data_offsets",
    ),
    "safetensors size": (
        "a",
        safetensors_bytes(f'{{"x":{entry(0, 4, shape="[2]")}}}', b"1234"),
        "of F32 and shape (2,) has 4 bytes",
    ),
    "safetensors of none": ("a", safetensors_bytes("{}"), "holds no tensors"),
    "safetensors header": ("a", struct.pack("<Q", 1 << 40) + b"{}", "its header claims"),
    "safetensors not JSON": ("a", safetensors_bytes("{nonsense}"), "header cannot be read"),
    "safetensors nested": ("a", safetensors_bytes('{"a":' + "[" * 90_000), "header cannot be read"),
    "safetensors metadata": ("a", safetensors_bytes('{"__metadata__":3}'), "is not an object"),
    "safetensors float8": (
        "a",
        safetensors_bytes(f'{{"x":{entry(0, 1, "F8_E4M3")}}}', b"1"),
        "'x' is of type F8_E4M3",
    ),
    "safetensors names": (
        "a",
        safetensors_bytes(f'{{"__metadata__":{{"class_names":"a,b"}},"x":{entry(0, 4)}}}', b"1234"),
        "not a JSON list of strings",
    ),
    # csv
    "csv without header": ("a.csv", b"1,2\n3,4\n", "looks like it has no header"),
    "csv no name": ("a.csv", b",x\n0,1\n", "column 1 has no name"),
    "csv twice": ("a.csv", b"x,x\n0,1\n", "two columns named 'x'"),
    "csv blank header": ("a.csv", b"\nx\n", "line 1 is empty"),
    "csv ragged": ("a.csv", b"x,y\n1,2\n1,2,3\n", "line 3 has 3 cells; expected 2"),
    "csv short": ("a.csv", b"x,y\n1,2\n1\n", "line 3 has 1 cells; expected 2"),
    "csv ragged first": ("a.csv", b"x,y\n1,5;2,5\n", "line 2 has 3 cells"),
    "csv decimal comma": ("a.csv", b"x;y\n1,5;2,5\n", "decimal comma"),
    "csv one column": ("a.csv", b"logits\n1;2;3\n", "has one column whose rows hold several"),
    "csv not a number": ("a.csv", b"x,y\n1,2\n1,abc\n", "line 3 has 'abc' in column 'y'"),
    "csv hexadecimal": ("a.csv", b"x,y\n1,2\n1,0x10\n", "line 3 has '0x10' in column 'y'"),
    "csv empty cell": ("a.csv", b"x,y\n1,2\n,2\n", "line 3 has an empty cell in column 'x'"),
    "csv missing": ("a.csv", b"x,y\n1,2\nNA,2\n", "line 3 has 'NA' in column 'x'"),
    "csv blank line": ("a.csv", b"x,y\n1,2\n\n3,4\n", "line 3 is empty"),
    "csv stray quote": ("a.csv", b'id,x\na,1\n"b,2\nc,3\n', "line 3 has a stray quote"),
    "csv two quotes": ("a.csv", b'id,x\na,1\n"b,2\nc",3\n', "line 3 has a stray quote"),
    "csv quote in header": ("a.csv", b'"id,x\na,1\n', "line 1 has a stray quote"),
    "csv NUL": ("a.csv", b"id,x\n" + b"a,1\n" * 500 + b"a\0,1\n", "NUL byte"),
    "csv Latin-1": ("a.csv", b"id,x\na,1\n\xe9,1\n", "line 3 is not UTF-8"),
    "csv Latin-1 header": ("a.csv", b"\xe9,x\na,1\n", "line 1 is not UTF-8"),
    "csv CR": ("a.csv", b"id,x\ra,1\r", "with CR alone"),
    "csv a CR": ("a.csv", b"id,x\na,1\rb,2\n", "with CR alone"),
    "csv later CR": ("a.csv", b"id,x\na,1\na,1\rb,2\n", "line 3 holds a carriage return"),
    "csv long id": ("a.csv", b"id,x\na,1\n" + b"b" * 5000 + b",2\n", "more than 4,096 characters"),
    "csv escapes": ("a.csv", b"x,\x1b[31m\n1,2\n1,\x1b]0;\n", "'\\x1b]0;' in column '\\x1b[31m'"),
    # lines
    "txt of lists": ("a.txt", b"a/b.jpg 3\n", "line 1 holds whitespace: 'a/b.jpg 3'"),
    "txt blank": ("a.txt", b"a\n\nb\n", "line 2 is empty"),
    "txt long": ("a.txt", b"a" * 5000, "longer than 4,096 bytes"),
    "txt Latin-1": ("a.txt", b"a\n\xe9\n", "line 2 is not UTF-8"),
    "txt NUL": ("a.txt", b"a\n" * 999 + b"\0\n", "line 1,000 holds a NUL"),
    # torch
    "torchscript": (
        "a.pt",
        zip_bytes([("m/data.pkl", b""), ("m/constants.pkl", b"")]),
        "TorchScript",
    ),
    "pt2": ("a.pt2", zip_bytes([("m/archive_format", b"pt2")]), "is an exported model"),
    "pt compressed": (
        "a.pt",
        zip_bytes([("a/data.pkl", b"1" * 99)], zipfile.ZIP_DEFLATED),
        "packed with deflate; torch itself never compresses",
    ),
}


@pytest.mark.parametrize("case", DATA)
def test_spoiled_bytes(tmp_path: Path, case: str) -> None:
    name, data, fragment = DATA[case]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError) as caught:
        use(tmp_path / name)
    message = str(caught.value)
    assert fragment in message
    assert message.startswith(f"{tmp_path / name}: ")
    assert message.isprintable()
    assert len(message.removeprefix(str(tmp_path))) < 400


def missing(folder: Path) -> Path:
    return folder / "none.npy"


def nul_in_name(folder: Path) -> Path:
    return folder / "a\0b"


def folder_without_parts(folder: Path) -> Path:
    (folder / "_SUCCESS").touch()
    return folder


def folder_with_other_files(folder: Path) -> Path:
    (folder / "a.npy").write_bytes(ONE)
    return folder


def folder_in_folder(folder: Path) -> Path:
    (folder / "split=val").mkdir()
    return folder


def pattern_of_nothing(folder: Path) -> Path:
    return folder / "*.parquet"


def parts_of_other_types(folder: Path) -> Path:
    pq.write_table(pa.table({"x": [1]}), folder / "1")
    pq.write_table(pa.table({"x": [1.0]}), folder / "2")
    return folder


def parts_of_other_columns(folder: Path) -> Path:
    pq.write_table(pa.table({"x": [1]}), folder / "1")
    pq.write_table(pa.table({"y": [1]}), folder / "2")
    return folder


def parts_of_other_widths(folder: Path) -> Path:
    pq.write_table(pa.table({"x": [[1, 2]]}), folder / "1")
    pq.write_table(pa.table({"x": [[1, 2, 3]]}), folder / "2")
    return folder


def encrypted_npz(folder: Path) -> Path:
    data = bytearray(zip_bytes([("x.npy", ONE)]))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (folder / "a").write_bytes(data)
    return folder / "a"


def duplicate_npz(folder: Path) -> Path:
    with pytest.warns(UserWarning, match="Duplicate"):
        (folder / "a").write_bytes(zip_bytes([("x.npy", ONE), ("x.npy", ONE)]))
    return folder / "a"


def parquet_of(column: Any, **options: Any) -> Spoil:
    def write(folder: Path) -> Path:
        pq.write_table(pa.table({"x": column}), folder / "a", **options)
        return folder / "a"

    return write


def ipc_of(column: Any) -> Spoil:
    def write(folder: Path) -> Path:
        table = pa.table({"x": column})
        with pa.ipc.new_file(str(folder / "a"), table.schema) as writer:
            writer.write_table(table)
        return folder / "a"

    return write


def parquet_cut(folder: Path) -> Path:
    path = parquet_of([1.0, 2.0])(folder)
    path.write_bytes(path.read_bytes()[:-20])
    return path


def parquet_flipped(folder: Path) -> Path:
    values = np.arange(100.0)
    path = parquet_of(values, write_page_checksum=True, compression="none", use_dictionary=False)(
        folder
    )
    data = path.read_bytes()
    path.write_bytes(data.replace(values[50:52].tobytes(), b"\1" * 16))
    return path


def duplicate_columns(folder: Path) -> Path:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    pq.write_table(table, folder / "a")
    return folder / "a"


def ipc_bad_offsets(folder: Path) -> Path:
    path = ipc_of(["abc", "defg"])(folder)
    data = path.read_bytes()
    good = struct.pack("<iii", 0, 3, 7)
    assert good in data
    path.write_bytes(data.replace(good, struct.pack("<iii", 0, 1 << 30, 7)))
    return path


def wrong_class_names(folder: Path) -> Path:
    table = pa.table({"x": [1]}).replace_schema_metadata({"class_names": json.dumps([1])})
    pq.write_table(table, folder / "a")
    return folder / "a"


LONG_TEXT = pa.array(["a", "b" * 5000]).dictionary_encode()
FILES: list[tuple[Spoil, str]] = [
    (missing, "there is no such file"),
    (nul_in_name, "there is no such file"),
    (pipe, "is a pipe, not a regular file"),
    (unix_socket, "is a socket, not a regular file"),
    (device, "is a device, not a regular file"),
    (folder_without_parts, "holds no parts"),
    (folder_with_other_files, "is not a Parquet or Arrow file"),
    (folder_in_folder, "is a folder among the parts"),
    (pattern_of_nothing, "holds no parts"),
    (parts_of_other_types, "column 'x' is double; expected int64"),
    (parts_of_other_columns, "has no column"),
    (parts_of_other_widths, "of 3 values; expected list<element: int64> of 2 values"),
    (encrypted_npz, "is encrypted"),
    (duplicate_npz, "is there twice"),
    (parquet_cut, "its writer was probably interrupted"),
    (parquet_flipped, "cannot be read"),
    (duplicate_columns, "two columns named 'x'"),
    (parquet_of([1.0, None]), "column 'x' is empty (null) in row 1"),
    (parquet_of([1] * 7 + [None]), "column 'x' is empty (null) in row 7"),
    (parquet_of(["a", "b", None]), "column 'x' is empty (null) in row 2"),
    (parquet_of([[1.0], [2.0], [3.0], None]), "is empty (null) in row 3"),
    (parquet_of([[1.0, 2.0]] * 5 + [[None, 2.0]]), "holds an empty (null) value in row 5"),
    (parquet_of([[1.0, 2.0]] * 4 + [[1.0]]), "has 1 values in row 4; expected 2"),
    (parquet_of([None, [1.0]]), "is empty (null) in row 0"),
    (parquet_of(pa.array([[1.0], None], pa.list_(pa.float32(), 1))), "(null) in row 1"),
    (parquet_of(["a", "b\0"]), "holds a NUL character in row 1"),
    (parquet_of(LONG_TEXT), "more than 4,096 characters in row 1"),
    (parquet_of([{"a": 1}]), "'x' is of type struct<a: int64>, which lacal cannot use"),
    (parquet_of([b"a"]), "'x' is of type binary"),
    (parquet_of(pa.array([1], pa.decimal128(30))), "'x' is of type decimal128(30, 0)"),
    (parquet_of([["a"]]), "'x' is of type list<element: string>"),
    (ipc_of([1, None]), "is empty (null) in row 1"),
    (ipc_of(pa.array(["a", None]).dictionary_encode()), "is empty (null) in row 1"),
    (ipc_of(pa.array([1, 2]).dictionary_encode()), "is of type dictionary"),
    (ipc_bad_offsets, "cannot be read"),
    (wrong_class_names, "not a JSON list of strings"),
]


@pytest.mark.parametrize(
    ("spoil", "fragment"), FILES, ids=lambda value: getattr(value, "__name__", value)
)
def test_spoiled_files(tmp_path: Path, spoil: Spoil, fragment: str) -> None:
    path = spoil(tmp_path)
    with pytest.raises(DataError) as caught:
        use(path)
    message = str(caught.value)
    assert fragment in message
    assert message.isprintable()


def test_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The suite may run as root, who may read everything: the system's refusal is played.
    (tmp_path / "a.npy").write_bytes(ONE)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match="may not be read"):
        open_table(tmp_path / "a.npy")


def test_a_payload_does_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "marker"),)

    np.save(tmp_path / "a.npy", np.array([Evil()]), allow_pickle=True)
    with pytest.raises(DataError):
        use(tmp_path / "a.npy")
    assert not (tmp_path / "marker").exists()


def test_a_file_shortened_while_it_is_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((100, 3)))
    blocks = open_table(tmp_path / "a.npy").blocks([""], 10)
    next(blocks)
    os.truncate(tmp_path / "a.npy", 900)
    with pytest.raises(RunError, match="was changed while it was read"):
        list(blocks)


@pytest.mark.parametrize("name", ["a.npz", "a.parquet", "a.csv", "a.safetensors"])
def test_a_field_asked_for_and_missing(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "a.npz":
        np.savez(path, x=np.ones(2))
    elif name == "a.csv":
        path.write_text("x\n1\n")
    elif name == "a.safetensors":
        path.write_bytes(safetensors_bytes(f'{{"x":{entry(0, 4)}}}', b"1234"))
    else:
        pq.write_table(pa.table({"x": [1]}), path)
    for ask in (lambda t: t.read("zzz"), lambda t: list(t.blocks(["zzz"], 2))):
        with pytest.raises(LacalError, match="has no field 'zzz'; it holds x"):
            ask(open_table(path))


def test_fields_of_different_lengths_do_not_pair(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.ones(2), y=np.ones(3))
    with pytest.raises(DataError, match="'y' has 3 rows, 'x' has 2; they must pair up"):
        list(open_table(tmp_path / "a.npz").blocks(["x", "y"], 2))


@pytest.mark.parametrize(
    ("data", "fragment"),
    [
        (b"", "is empty (0 bytes)"),
        (b"version https://git-lfs", "run `git lfs pull`"),
        (b"a\n\xe9\n", "is no UTF-8 text (byte 2)"),
        (b"a\0", "holds NUL characters"),
        ("é".encode("utf-16"), "is text in UTF-16"),
    ],
)
def test_spoiled_text(tmp_path: Path, data: bytes, fragment: str) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_text(tmp_path / "a.json")
    assert fragment in str(caught.value)


def test_text_loses_its_mark_alone(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf{}\r\n")
    assert read_text(tmp_path / "a.json") == "{}\r\n"
