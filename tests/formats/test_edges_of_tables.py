"""Tables at their edges: parts in their order, cells of text files, types of tensors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lacal.errors import DataError
from lacal.formats import delimited, lines, open_table, safetensors
from lacal.formats import fields as fields_of
from lacal.formats.delimited import NUMBER
from lacal.formats.parts import natural_key
from lacal.formats.shown import listed
from lacal.formats.table import Field
from lacal.formats.unchanged import state_of
from tests.faults.spoiling import MAKERS, csv_bytes, ipc_bytes
from tests.formats.test_edges import said
from tests.formats.test_sentences import turned
from tests.formats.test_spoiled import safetensors_bytes, zip_bytes


def written(folder: Path, name: str, data: bytes | str) -> Path:
    (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
    return folder / name


def noted(**metadata: str) -> Any:
    return pa.table({"x": [1]}).replace_schema_metadata(metadata)


# Every format


@pytest.fixture(params=[*MAKERS, ".csv", ".txt", "parts"])
def table_and_path(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, Path]:
    """The same rows in every format."""
    suffix = request.param
    if suffix == "parts":
        written(tmp_path, "1.parquet", MAKERS[".parquet"]())
        return open_table(tmp_path), tmp_path
    if suffix == ".pt":
        pytest.importorskip("torch")
    data = b"a\nX\n" if suffix == ".txt" else {**MAKERS, ".csv": csv_bytes}[suffix]()
    path = written(tmp_path, f"a{suffix}", data)
    return open_table(path), path


def test_a_field_that_is_not_there_in_a_whole_sentence(table_and_path: tuple[Any, Path]) -> None:
    table, path = table_and_path
    sentence = f"{path}: has no field 'zzz'; it holds {listed(table.fields)}"
    assert said(DataError, lambda: table.read("zzz")) == sentence
    assert said(DataError, lambda: list(table.blocks(["zzz"], 7))) == sentence
    first = next(iter(table.fields))
    assert said(DataError, lambda: list(table.blocks([first, "zzz"], 7))) == sentence


def test_a_field_may_be_drawn_twice(table_and_path: tuple[Any, Path]) -> None:
    table, _ = table_and_path
    name = next(iter(table.fields))
    whole = table.read(name)
    drawn = [(one.copy(), other.copy()) for one, other in table.blocks([name, name], 7)]
    for column in zip(*drawn, strict=True):
        np.testing.assert_array_equal(np.concatenate(column), whole)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pt"])
def test_fields_that_do_not_pair(tmp_path: Path, suffix: str) -> None:
    if suffix == ".npz":
        np.savez(tmp_path / f"a{suffix}", x=np.ones(2), y=np.ones(3))
    elif suffix == ".pt":
        torch = pytest.importorskip("torch")
        torch.save({"x": torch.ones(2), "y": torch.ones(3)}, tmp_path / f"a{suffix}")
    else:
        x, y = (
            {"dtype": "U8", "shape": [n], "data_offsets": at}
            for n, at in ((2, [0, 2]), (3, [2, 5]))
        )
        header = json.dumps(
            {"x": x, "y": y, "z": {"dtype": "U8", "shape": [], "data_offsets": [5, 6]}}
        )
        written(tmp_path, f"a{suffix}", safetensors_bytes(header, bytes(6)))
        sentence = f"{tmp_path}/a{suffix}: 'z' is a single value; expected one row an example"
        table = open_table(tmp_path / f"a{suffix}")
        assert said(DataError, lambda: list(table.blocks(["x", "z"], 2))) == sentence
    table = open_table(tmp_path / f"a{suffix}")
    sentence = f"{tmp_path}/a{suffix}: 'y' has 3 rows, 'x' has 2; they must pair up"
    assert said(DataError, lambda: list(table.blocks(["x", "y"], 2))) == sentence


@pytest.mark.parametrize(
    ("stored", "out"), [("f2", "f2"), (">f4", "f4"), ("i1", "i1"), ("?", "?"), ("U3", "U3"), ("S3", "U3"), ("S1", "U1")]
)  # fmt: skip
@pytest.mark.parametrize("order", ["C", "F"])
def test_no_rows_of_every_type(tmp_path: Path, stored: str, out: str, order: Any) -> None:
    array = np.zeros((0, 2), stored, order)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", x=array)
    for table, name in (
        (open_table(tmp_path / "a.npy"), ""),
        (open_table(tmp_path / "a.npz"), "x"),
    ):
        found = table.read(name)
        assert (found.dtype, found.shape) == (np.dtype(out), (0, 2))
        assert list(table.blocks([name], 3)) == []


def test_rows_without_values_in_columns(tmp_path: Path) -> None:
    path = written(tmp_path, "a", zip_bytes([("x.npy", turned("(5, 0)", "'<f4'"))]))
    table = open_table(path)
    assert list(table.blocks(["x"], 2)) == []
    assert (table.read("x").dtype, table.read("x").shape) == (np.dtype("f4"), (5, 0))


def test_no_rows_of_half_a_float(tmp_path: Path) -> None:
    header = '{"x":{"dtype":"BF16","shape":[0,2],"data_offsets":[0,0]}}'
    found = open_table(written(tmp_path, "a", safetensors_bytes(header))).read("x")
    assert (found.dtype, found.shape) == (np.dtype("f4"), (0, 2))


def test_a_damaged_member_that_is_read_whole(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(9000.0))
    data = (tmp_path / "a.npz").read_bytes()
    path = written(
        tmp_path, "b.npz", data.replace(np.float64(7).tobytes(), np.float64(6).tobytes())
    )
    table = open_table(path)
    sentence = f"{path}: is a damaged zip file ("
    assert said(DataError, lambda: table.read("x")).startswith(sentence)
    assert said(DataError, lambda: list(table.blocks(["x"], 7))).startswith(sentence)


# Parts


def test_parts_are_ordered_by_their_numbers() -> None:
    names = ["p-10", "p-9", "p-1-2", "p-1-10", "p-01", "p", "9p", "10p", "q-1"]
    ordered = sorted(map(Path, names), key=natural_key)
    assert list(map(str, ordered)) == [
        "9p",
        "10p",
        "p",
        "p-01",
        "p-1-2",
        "p-1-10",
        "p-9",
        "p-10",
        "q-1",
    ]


def test_rows_of_parts(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [[1.0, 2.0]] * 3}), tmp_path / "1")
    pq.write_table(pa.table({"x": [[1.0, 2.0]] * 4}), tmp_path / "2")
    assert open_table(tmp_path).fields["x"].shape == (7, 2)
    inner = pa.list_(pa.field("element", pa.float64()))  # as Parquet calls it
    written(tmp_path, "3", ipc_bytes(pa.table({"x": pa.array([[1.0, 2.0]], inner)})))
    assert open_table(tmp_path).fields["x"].shape == (None, 2)
    assert open_table(tmp_path).read("x").shape == (8, 2)
    lengths = [len(one) for (one,) in open_table(tmp_path).blocks(["x"], 3)]
    assert max(lengths) <= 3
    assert {3, 7, 8} <= set(np.cumsum(lengths).tolist())  # no block spans two parts


def test_notes_are_those_of_every_part(tmp_path: Path) -> None:
    more = {"lacal.inference": "1", "probabilities": "2", "class_names": '["a"]'}
    for name in "12":
        pq.write_table(noted(**more), tmp_path / name)
    table: Any = open_table(tmp_path)
    assert (table.inference, table.probabilities, table.class_names) == ("1", "2", ("a",))


def test_parts_of_other_inner_lengths(tmp_path: Path) -> None:
    for name, row in (("1", [[1, 2], [3, 4], [5, 6]]), ("2", [[1, 2], [3, 4]])):
        pq.write_table(pa.table({"x": [row]}), tmp_path / name)
    kind = "list<element: list<element: int64>>"
    assert said(DataError, lambda: open_table(tmp_path)) == (
        f"{tmp_path}/2: column 'x' is {kind} of 2, 2 values; expected {kind} of 3, 2 values as in {tmp_path}/1"
    )


def test_parts_whose_texts_take_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "12":
        pq.write_table(pa.table({"x": ["abc", "d"]}), tmp_path / name)
    monkeypatch.setattr(fields_of, "TEXT_BYTES_LIMIT", 24)
    sentence = (
        f"{tmp_path}: its longest text has 3 characters, which takes 0 GiB over 4 rows; shorten it"
    )
    assert said(DataError, lambda: open_table(tmp_path).read("x")) == sentence


def test_parts_without_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1.0]}).slice(0, 0), tmp_path / "1")
    assert open_table(tmp_path).read("x").shape == (0,)
    assert open_table(tmp_path).fields["x"].shape == (0,)
    pq.write_table(pa.table({"y": [1.0]}), tmp_path / "2")  # an empty part is of any schema
    assert open_table(tmp_path).read("y").tolist() == [1.0]


# Text


@pytest.mark.parametrize(
    "cell", ["1", "+1", "-1.", ".5", "1e5", "1.5E-3", "-.5e+7", " 7 ", "inf", "-Infinity", "NaN"]
)
def test_cells_that_are_numbers(tmp_path: Path, cell: str) -> None:
    assert NUMBER.fullmatch(cell)
    path = written(tmp_path, "a.csv", f"x,y\n{cell},\n")
    assert {name: one.kind for name, one in open_table(path).fields.items()} == {
        "x": "float",
        "y": "float",
    }


@pytest.mark.parametrize("cell", ["a", "1e", ".", "1 2", "0x1", "1_0", "٣", "+-1", "infin"])
def test_cells_that_are_text(tmp_path: Path, cell: str) -> None:
    table = open_table(written(tmp_path, "a.csv", f"x,Label\n{cell},1\n"))
    assert {name: one.kind for name, one in table.fields.items()} == {"x": "text", "Label": "text"}
    assert all(one.stored == "text" and one.shape == (None,) for one in table.fields.values())
    assert table.read("x").tolist() == [cell]


@pytest.mark.parametrize(
    ("name", "text", "fields"),
    [
        ("a.csv", "a,b;c\td\n", ["a", "b;c\td"]),
        ("a.csv", "a;b\tc\n", ["a;b", "c"]),
        ("a.csv", "a;b\n", ["a", "b"]),
        ("a.csv", "a b\n", ["a b"]),
        ("a.TSV", "a,b\tc\n", ["a,b", "c"]),
    ],
)
def test_what_separates_cells(tmp_path: Path, name: str, text: str, fields: list[str]) -> None:
    assert list(open_table(written(tmp_path, name, text)).fields) == fields


def test_lines_of_just_the_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "LINE_LIMIT", 5)
    assert open_table(written(tmp_path, "a.csv", "x,y\n1,2\n")).read("x").tolist() == [1]
    for text, line in (("xx,yy\n1,2\n", 1), ("x,y\n11,2\n", 2)):
        with pytest.raises(
            DataError, match=f"line {line} is longer than 5 bytes; expected a table"
        ):
            open_table(written(tmp_path, "a.csv", text))
    assert open_table(written(tmp_path, "a.txt", "x" * 4095 + "\n")).read("").tolist() == [
        "x" * 4095
    ]
    with pytest.raises(DataError, match=r"line 1 is longer than 4,096 bytes; expected one value"):
        open_table(written(tmp_path, "a.txt", "x" * 4096 + "\n"))


@pytest.mark.parametrize("blank", [0, 1, 3, 30_000])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_blank_lines_at_the_end_are_none(tmp_path: Path, blank: int, end: str) -> None:
    path = written(tmp_path, "a.csv", f"x{end}" + f"1{end}" * 5 + end * blank)
    assert open_table(path).read("x").tolist() == [1] * 5


def test_blank_lines_within_the_bytes_that_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited, "TAIL_SIZE", 8)
    for size in (3, 1 << 20):
        monkeypatch.setattr(delimited, "BLOCK_SIZE", size)
        assert delimited._count_records(written(tmp_path, "a.csv", "x\n1\n2" + "\n" * 8)) == 2
        path = written(tmp_path, "a.csv", "x\n1\n2" + "\n" * 9)
        assert delimited._count_records(path) == 3
        sentence = f"{path}: holds 2 records on 3 lines; quotes may not span lines"
        assert said(DataError, lambda p=path: open_table(p).read("x")) == sentence  # type: ignore[misc]


def test_blocks_are_large_enough_for_long_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited, "BLOCK_SIZE", 64)
    for header, first in (("x" * 500, "1"), ("x", "1." + "0" * 500)):
        path = written(tmp_path, "a.csv", f"{header}\n{first}\n" + "2\n" * 500)
        table: Any = open_table(path)
        assert table.table._block_size == 8 * (max(len(header), len(first)) + 1)
        assert table.read(header).tolist() == [1] + [2] * 500
    assert open_table(written(tmp_path, "a.csv", "x\n1\n")).table._block_size == 64  # type: ignore[attr-defined]


def test_a_mark_at_the_start_of_a_text_alone(tmp_path: Path) -> None:
    path = written(tmp_path, "a.txt", "\ufeffa\n\ufeffb\n".encode())
    assert open_table(path).read("").tolist() == ["a", "\ufeffb"]
    assert open_table(path).fields == {"": Field("", "text", (None,), "text")}
    assert open_table(path).class_names is None
    assert open_table(written(tmp_path, "b.txt", "aX\n")).read("").tolist() == ["aX"]
    assert [one.tolist() for (one,) in open_table(path).blocks([""], 1)] == [["a"], ["\ufeffb"]]
    assert lines.open_lines(written(tmp_path, "a.txt", "\n\n")).read("").dtype == np.dtype("U1")
    assert lines.open_lines(written(tmp_path, "a.txt", "\n\n")).read("").shape == (0,)


# .safetensors


def test_types_and_bytes_of_tensors(tmp_path: Path) -> None:
    sizes = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4,
             "U16": 2, "U8": 1, "BOOL": 1}  # fmt: skip
    at, header = 0, {}
    for name, size in sizes.items():
        header[name] = {"dtype": name, "shape": [2], "data_offsets": [at, at + 2 * size]}
        at += 2 * size
    table = open_table(written(tmp_path, "a", safetensors_bytes(json.dumps(header), bytes(at))))
    assert {name: one.kind for name, one in table.fields.items()} == {
        name: "float" if "F" in name else "bool" if name == "BOOL" else "int" for name in sizes
    }
    assert [table.read(name).tolist() for name in sizes] == [[0, 0]] * len(sizes)
    assert table.class_names is None


@pytest.mark.parametrize("note", ['{"class_names": 3}', '{"other": "[]"}', "{}"])
def test_metadata_without_names(tmp_path: Path, note: str) -> None:
    header = f'{{"__metadata__":{note},"x":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}}}'
    table = open_table(written(tmp_path, "a", safetensors_bytes(header)))
    assert table.class_names is None
    assert list(table.fields) == ["x"]


def test_a_header_of_just_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = '{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'
    path = written(tmp_path, "a", safetensors_bytes(header))
    monkeypatch.setattr(safetensors, "HEADER_LIMIT", len(header))
    assert list(open_table(path).fields) == ["x"]
    monkeypatch.setattr(safetensors, "HEADER_LIMIT", len(header) - 1)
    assert "its header claims 53 bytes, the file has 61" in said(
        DataError, lambda: open_table(path)
    )


def test_the_name_that_is_there_twice() -> None:
    pairs = [("a", 1), ("x\n", 1), ("b", 1), ("x\n", 2)]
    assert (
        said(ValueError, lambda: safetensors._without_duplicates(pairs)) == r"'x\n' is there twice"
    )


# What stays as it was


def test_the_state_of_a_file(tmp_path: Path) -> None:
    path = written(tmp_path, "a", b"123")
    found = path.stat()
    assert state_of(path) == (3, found.st_mtime_ns)
    assert state_of(tmp_path / "no") is None
    assert state_of(Path("a\0b")) is None
