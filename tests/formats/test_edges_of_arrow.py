"""Arrow at its edges: no rows, metadata of every kind, limits that are just kept, row groups."""

import json
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lacal.errors import DataError, RunError
from lacal.formats import arrow_batches, open_table
from lacal.formats import arrow_claims as claims
from lacal.formats.arrow_batches import batches
from lacal.formats.arrow_columns import described, is_plain_list, with_length, without_nulls
from lacal.formats.arrow_faults import arrow_errors
from lacal.formats.shown import reason
from lacal.formats.table import Field, MayBeEmpty, Noted, Scored, Untyped
from tests.faults.spoiling import ipc_bytes, parquet_bytes


def written(folder: Path, name: str, data: bytes | str) -> Path:
    (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
    return folder / name


def noted(**metadata: str) -> Any:
    return pa.table({"x": [1]}).replace_schema_metadata(metadata)


# Arrow


@pytest.mark.parametrize("make", [parquet_bytes, ipc_bytes])
def test_no_rows_keep_their_type_and_width(tmp_path: Path, make: Any) -> None:
    columns = {
        "text": pa.array([], pa.string()),
        "int": pa.array([], pa.int32()),
        "bool": pa.array([], pa.bool_()),
        "float": pa.array([], pa.float32()),
        "fixed": pa.array([], pa.list_(pa.float32(), 3)),
        "list": pa.array([], pa.list_(pa.float32())),
    }
    table = open_table(written(tmp_path, "a", make(pa.table(columns))))
    found = {name: table.read(name) for name in columns}
    assert {name: (one.dtype.str, one.shape) for name, one in found.items()} == {
        "text": ("<U1", (0,)), "int": ("<i8", (0,)), "bool": ("|b1", (0,)), "float": ("<f8", (0,)),
        "fixed": ("<f8", (0, 3)), "list": ("<f8", (0, 0)),
    }  # fmt: skip


def test_what_a_footer_claims_is_counted(tmp_path: Path) -> None:
    path = written(tmp_path, "a", parquet_bytes(pa.table({"x": np.arange(2000.0)})))
    table = open_table(path)
    inner = table.table  # type: ignore[attr-defined]
    inner.fields["x"] = Field("x", "float", (3000,), "double")
    with pytest.raises(DataError) as caught:
        list(inner.blocks(["x"], 512))
    assert str(caught.value) == (
        f"{path}: holds 2,000 rows; its footer claims 3,000; the file is damaged, write it again"
    )


def test_notes_in_the_metadata(tmp_path: Path) -> None:
    table = open_table(written(tmp_path, "a", parquet_bytes(pa.table({"x": [1]}))))
    assert isinstance(table, Noted)
    assert isinstance(table, Scored)
    assert (table.inference, table.probabilities, table.class_names) == (None, None, None)
    more = noted(**{"lacal.inference": "{}é", "probabilities": "[]", "class_names": '["a"]'})
    table = open_table(written(tmp_path, "a", parquet_bytes(more)))
    assert isinstance(table, Noted)
    assert isinstance(table, Scored)
    assert (table.inference, table.probabilities, table.class_names) == ("{}é", "[]", ("a",))
    bad = pa.table({"x": [1]}).replace_schema_metadata(
        {b"lacal.inference": b"\xff", b"probabilities": b"\xff"}
    )
    table = open_table(written(tmp_path, "a", parquet_bytes(bad)))
    assert (table.inference, table.probabilities) == ("\ufffd", "\ufffd")  # type: ignore[attr-defined]


LABEL = {"_type": "ClassLabel", "names": ["a", "b"]}
OTHER = {"_type": "ClassLabel", "names": ["c"]}


@pytest.mark.parametrize(
    ("features", "names"),
    [
        ({"x": LABEL}, ("a", "b")),
        ({"x": LABEL, "y": {"_type": "Value"}, "z": 3}, ("a", "b")),
        ({"x": OTHER, "label": LABEL}, ("a", "b")),
        ({"x": OTHER, "labels": LABEL}, ("a", "b")),
        ({"label": OTHER, "labels": LABEL}, None),
        ({"x": OTHER, "y": LABEL}, None),
        ({"x": {"_type": "ClassLabel", "names": []}}, None),
        ({"x": {"_type": "ClassLabel", "names": ["a", 1]}}, None),
        ({"x": {"_type": "ClassLabel", "names": "ab"}}, None),
        ({"x": {"_type": "ClassLabel"}}, None),
        ({"x": {"names": ["a"]}}, None),
        ([], None),
    ],
)  # fmt: skip
def test_names_of_the_datasets_library(tmp_path: Path, features: Any, names: Any) -> None:
    table = noted(huggingface=json.dumps({"info": {"features": features}}))
    assert open_table(written(tmp_path, "a", parquet_bytes(table))).class_names == names


@pytest.mark.parametrize("text", ["", "[", "{}", '{"info": 3}', "[" * 100_000])
def test_an_entry_of_the_datasets_library_that_says_nothing(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, "a", parquet_bytes(noted(huggingface=text)))
    assert open_table(path).class_names is None


def test_lists_in_lists_have_the_lengths_of_the_first_row() -> None:
    nested = pa.array([[[1, 2, 3], [4, 5, 6]]])
    field = described("x", nested.type, 1)
    assert (field.name, field.kind, field.shape, field.stored) == (
        "x",
        "int",
        (1, None, None),
        str(nested.type),
    )
    assert with_length(field, nested).shape == (1, 2, 3)
    assert with_length(field, nested.slice(0, 0)).shape == (1, None, None)
    assert with_length(field, pa.array([[]], nested.type)).shape == (1, 0, None)
    assert with_length(field, pa.array([None], nested.type)).shape == (1, None, None)
    assert is_plain_list(pa.list_(pa.float32(), 2)) is False
    assert is_plain_list(pa.list_(pa.list_(pa.float32()), 2)) is True
    assert is_plain_list(pa.float32()) is False


def test_nulls_that_may_be_there() -> None:
    assert without_nulls(pa.array(["a", None])).to_pylist() == ["a", ""]
    numbers_ = without_nulls(pa.array([2**53 + 1, None]))
    assert numbers_.type == pa.float64()
    assert [str(one) for one in numbers_.to_pylist()] == ["9007199254740992.0", "nan"]
    whole = pa.array([1, 2])
    assert without_nulls(whole) is whole
    packed = pa.array(["a", "b"]).dictionary_encode()
    assert without_nulls(packed) is packed
    assert without_nulls(pa.array(["a", None]).dictionary_encode()).to_pylist() == ["a", ""]
    entry = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", None]))
    assert without_nulls(entry).to_pylist() == ["a", ""]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "parts", "a.npy"])
def test_cells_that_may_be_empty(tmp_path: Path, name: str) -> None:
    table = pa.table({"x": ["a", None], "y": [1.5, None]})
    if name == "a.csv":
        written(tmp_path, name, "x,y\na,1.5\n,\n")
    elif name == "a.npy":
        np.save(tmp_path / name, np.arange(2))
        kept = open_table(tmp_path / name)
        assert isinstance(kept, MayBeEmpty)
        assert kept.with_empty("") is kept
        assert isinstance(kept, Untyped)
        assert kept.as_text("") is kept
        return
    elif name == "parts":
        (tmp_path / "parts").mkdir()
        pq.write_table(table, tmp_path / "parts" / "1")
    else:
        pq.write_table(table, tmp_path / name)
    opened = open_table(tmp_path / name)
    assert isinstance(opened, MayBeEmpty)
    assert opened.with_empty("x").read("x").tolist() == ["a", ""]
    found = opened.with_empty("y").read("y").tolist()
    assert [str(one) for one in found] == (["1.5", ""] if name == "a.csv" else ["1.5", "nan"])
    if name != "a.csv":
        with pytest.raises(DataError, match="empty"):
            opened.with_empty("x").read("y")


@pytest.mark.parametrize(("length", "good"), [(4096, True), (4097, False)])
@pytest.mark.parametrize("packed", [False, True])
def test_texts_of_just_the_length(tmp_path: Path, length: int, good: bool, packed: bool) -> None:
    texts = pa.array(["a", "é" * length])
    table = pa.table({"x": texts.dictionary_encode() if packed else texts})
    opened = open_table(written(tmp_path, "a", parquet_bytes(table)))
    if good:
        assert opened.read("x").tolist() == ["a", "é" * length]
    else:
        with pytest.raises(DataError, match=r"more than 4,096 characters in row 1; shorten"):
            opened.read("x")


def test_the_first_row_that_is_wrong_is_named_in_the_whole_file(tmp_path: Path) -> None:
    text = pa.array(["a"] * 7 + ["\0", "b", "\0"])
    for column in (text, text.dictionary_encode()):
        opened = open_table(written(tmp_path, "a", parquet_bytes(pa.table({"x": column}))))
        with pytest.raises(DataError, match="holds a NUL character in row 7; shorten"):
            list(opened.blocks(["x"], 3))


def test_what_pyarrow_raises_becomes_a_sentence(tmp_path: Path) -> None:
    def act(error: BaseException) -> None:
        with arrow_errors(tmp_path):
            raise error

    with pytest.raises(RunError) as failed:
        act(OSError(5, "no luck"))
    assert str(failed.value) == f"{tmp_path}: could not be read: no luck"
    with pytest.raises(MemoryError):
        act(pa.ArrowMemoryError("x"))
    with pytest.raises(MemoryError):
        act(pa.ArrowMemoryError("malloc of size 268435456 failed"))
    with pytest.raises(
        DataError, match=r"cannot be read \(it claims to hold 268,435,457,000 bytes\)"
    ):
        act(pa.ArrowMemoryError("malloc of size 268435457000 failed"))
    (tmp_path / "large").write_bytes(bytes(269_000))
    with pytest.raises(MemoryError), arrow_errors(tmp_path / "large"):
        raise pa.ArrowMemoryError("realloc of size 268435457 failed")
    with pytest.raises(MemoryError), arrow_errors(tmp_path / "gone"):
        raise pa.ArrowMemoryError("malloc of size 268435457000 failed")
    damaged = (
        OSError("of a library"), pa.ArrowInvalid("x"), ZeroDivisionError(), AttributeError(), KeyError(1),
        NotImplementedError(), RuntimeError(), TypeError(), ValueError(),
    )  # fmt: skip
    for error in damaged:
        with pytest.raises(DataError) as caught:
            act(error)
        assert str(caught.value) == (
            f"{tmp_path}: cannot be read ({reason(error)}); its writer was probably interrupted or the file was "
            "changed, write or copy it again"
        )


@pytest.mark.parametrize("layout", ["parquet", "arrow file", "arrow stream"])
def test_no_column_is_read_but_those_asked_for(tmp_path: Path, layout: Any) -> None:
    table = pa.table({name: np.arange(5.0) + i for i, name in enumerate("wxyz")})
    data = (
        parquet_bytes(table) if layout == "parquet" else ipc_bytes(table, stream="stream" in layout)
    )
    path = written(tmp_path, "a", data)
    wanted = [Field(name, "float", (5,), "double") for name in "zx"]
    (batch,) = batches(path, layout, wanted, 10)
    assert sorted(batch.schema.names) == ["x", "z"]
    assert batch.column("z").to_pylist() == [3, 4, 5, 6, 7]


# Claims


def footer(*groups: tuple[int, int]) -> Any:
    """A footer of row groups of (bytes, rows)."""
    made = [SimpleNamespace(total_byte_size=size, num_rows=rows) for size, rows in groups]
    return SimpleNamespace(num_row_groups=len(made), row_group=made.__getitem__)


@pytest.mark.parametrize(
    ("groups", "rows", "expected"),
    [
        ([], 1000, 1000),
        ([(1 << 20, 1)], 1000, 1),
        ([(1 << 21, 1)], 1000, 1),
        ([(1 << 20, 2)], 1000, 2),
        ([(1 << 12, 1024), (1 << 12, 4)], 2000, 1024),
        ([(1 << 12, 4), (1 << 12, 1024)], 100, 100),
        ([(5, 10)], 1000, 1000),
        ([(1 << 12, 0)], 1000, 256),
    ],
)
def test_fewer_rows_at_once_where_they_are_wide(
    monkeypatch: pytest.MonkeyPatch, groups: Any, rows: int, expected: int
) -> None:
    """Of a megabyte at once."""
    monkeypatch.setattr(claims, "BATCH_BYTES", 1 << 20)
    text, number = Field("x", "text", (None,), "string"), Field("y", "float", (None,), "double")
    assert claims.rows_at_once(footer(*groups), [number, text], rows) == expected
    assert claims.rows_at_once(footer(*groups), [number], rows) == rows


@pytest.mark.parametrize(
    ("packed", "unpacked", "bomb"),
    [
        (1, claims.RATIO_FREE, False),
        (1, claims.RATIO_FREE + 1, True),
        (1 << 20, claims.RATIO_LIMIT << 20, False),
        (1 << 20, (claims.RATIO_LIMIT << 20) + 1, True),
    ],
)
def test_how_well_a_batch_may_be_packed(packed: int, unpacked: int, bomb: bool) -> None:
    if not bomb:
        claims._refuse_bomb(Path("a"), packed, unpacked)
        return
    with pytest.raises(DataError) as caught:
        claims._refuse_bomb(Path("a"), packed, unpacked)
    assert str(caught.value) == (
        f"a: a batch unpacks from {packed:,} to {unpacked:,} bytes, more than 1000:1; write it in smaller "
        "batches, or as Parquet"
    )


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("index", [False, True])
def test_what_a_batch_unpacks_to_is_counted_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: bool, index: bool
) -> None:
    """Two columns, or a third by a dictionary of its own."""
    columns = {"x": np.zeros(1000), "y": np.arange(1000)}
    if index:
        columns["z"] = pa.array(["a" * 800] * 1000).dictionary_encode()
    data = ipc_bytes(pa.table(columns), stream=stream, rows=1000, compression="zstd")
    path, unpacked = written(tmp_path, "a", data), 16_000 + 4000 * index
    monkeypatch.setattr(claims, "RATIO_LIMIT", 0)
    monkeypatch.setattr(claims, "RATIO_FREE", unpacked)
    assert open_table(path).read("x").shape == (1000,)
    monkeypatch.setattr(claims, "RATIO_FREE", unpacked - 1)
    with pytest.raises(
        DataError, match=f"^{path}: a batch .* to {unpacked:,} bytes, more than 0:1"
    ):
        open_table(path).read("x")
    if index:
        monkeypatch.setattr(claims, "RATIO_FREE", 799)
        with pytest.raises(DataError, match=r"to 80[08] bytes, more than 0:1"):
            open_table(path).read("x")


def test_numbers_in_metadata() -> None:
    data = bytes([0xFF, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0])
    assert claims._number(data, 0, 2) == 65_535  # offsets have no sign
    assert claims._number(data, 0, 4) == -1
    assert claims._number(data, 0, 8) == (1 << 33) - 1
    assert claims._number(data, 4, 4) == 1
    for at, size in ((-1, 2), (5, 4), (7, 2)):
        with pytest.raises(ValueError, match=r"^its metadata point outside of it$"):
            claims._number(data, at, size)


def test_a_gap_before_the_footer(tmp_path: Path) -> None:
    """The end of a stream and padding lie there; more is another file."""
    data = ipc_bytes(pa.table({"x": np.arange(4.0)}))
    length = struct.unpack("<i", data[-10:-6])[0]
    at = len(data) - 10 - length
    known = claims.GAP - len(data[:at]) + (data[:at].rindex(struct.pack("<d", 3.0)) + 8)
    path = written(tmp_path, "a", data[:at] + bytes(known) + data[at:])
    assert open_table(path).read("x").tolist() == [0, 1, 2, 3]
    path = written(tmp_path, "a", data[:at] + bytes(known + 2000) + data[at:])
    with pytest.raises(DataError) as caught:
        open_table(path).read("x")
    assert str(caught.value) == (
        f"{path}: holds 2,064 bytes more than the batches that it lists; were two files joined? write them "
        "as one, or give the folder of both"
    )


@pytest.mark.parametrize(("bytes_of", "times"), [(1, 8), (150, 4), (200, 2), (10**6, 0)])
def test_memory_is_given_back_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bytes_of: int, times: int
) -> None:
    """Eight batches of ten numbers: too seldom they hold memory, after each they cost time."""
    values, released = np.arange(80, dtype=np.float64), []
    pq.write_table(pa.table({"x": values}), tmp_path / "a.parquet")
    table = open_table(tmp_path / "a.parquet")

    class Pool:
        def release_unused(self) -> None:
            released.append(True)

    monkeypatch.setattr(arrow_batches, "RELEASE_BYTES", bytes_of)
    monkeypatch.setattr(pa, "default_memory_pool", Pool)
    found = [block for (block,) in table.blocks(["x"], 10)]
    assert [one.size for one in found] == [10] * 8
    np.testing.assert_array_equal(np.concatenate(found), values)
    assert len(released) == times
