"""Parquet and Arrow IPC: what pyarrow reads wrongly, or dies of, without a word."""

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.faults.spoiling import (
    ROWS,
    WORLD,
    fixed,
    ipc_bytes,
    parquet_bytes,
    table_of,
    written,
)
from tests.small_world import json_of, lacal, refusal

Capture = pytest.CaptureFixture[str]
LISTS: list[Any] = [list(map(float, row)) for row in WORLD.logits]
WHOLE = parquet_bytes(table_of())
FORMATS = {
    "parquet": parquet_bytes,
    "file": ipc_bytes,
    "stream": lambda table: ipc_bytes(table, stream=True),
}


def with_row(at: int, row: Any, kind: Any = None) -> Any:
    lists = [*LISTS[:at], row, *LISTS[at + 1 :]]
    return pa.array(lists, kind or pa.list_(pa.float32()))


FIXED = pa.list_(pa.float32(), 5)
COLUMNS: list[tuple[Any, str]] = [
    (table_of(with_row(7, LISTS[7][:4])), "column 'logits' has 4 values in row 7; expected 5"),
    (table_of(with_row(7, [])), "column 'logits' has 0 values in row 7; expected 5"),
    (table_of(with_row(9, None)), "column 'logits' is empty (null) in row 9; fill it"),
    (table_of(with_row(9, None, FIXED)), "column 'logits' is empty (null) in row 9; fill it"),
    (table_of(with_row(11, [1, 2, None, 4, 5])), "holds an empty (null) value in row 11"),
    (table_of(with_row(11, [1, 2, None, 4, 5], FIXED)), "holds an empty (null) value in row 11"),
    (table_of(with_row(30, None, pa.large_list(pa.float32()))), "is empty (null) in row 30"),
    (table_of(id=[None, *range(1, ROWS)]), "column 'id' is empty (null) in row 0"),
    (table_of(id=[*map(str, range(ROWS - 1)), None]), "column 'id' is empty (null) in row 59"),
    (table_of(id=pa.array([*"ab" * 29, "c", None]).dictionary_encode()), "(null) in row 59"),
    (
        table_of().set_column(1, "label", pa.array([None, *WORLD.labels[1:].tolist()])),
        "row 0 is empty, expected a whole class number",
    ),
    (table_of(pa.array([1.0] * ROWS).dictionary_encode()), "'logits'"),
    (table_of(pa.array([1] * ROWS, pa.decimal128(10))), "decimal128(10, 0)"),
    (table_of(pa.array(["a"] * ROWS)), "string"),
    (table_of(pa.array([{"a": 1.0}] * ROWS)), "struct<a: double>"),
    (table_of(pa.array([[("a", 1.0)]] * ROWS, pa.map_(pa.string(), pa.float32()))), "map<string"),
    (table_of(pa.array([["a"]] * ROWS)), "string>"),
]


@pytest.mark.parametrize(("table", "fragment"), COLUMNS)
@pytest.mark.parametrize("layout", FORMATS)
def test_columns_that_are_not_whole_numbers_of_rows(
    tmp_path: Path, capfd: Capture, table: Any, fragment: str, layout: str
) -> None:
    path = written(tmp_path, "a", FORMATS[layout](table))
    words = refusal(capfd, "inspect", path)
    assert str(path) in words
    assert fragment in words


def test_nulls_in_a_dictionary(tmp_path: Path, capfd: Capture) -> None:
    # No row is null, and yet rows are: their entry is.
    ids = pa.DictionaryArray.from_arrays(
        pa.array([i % 3 for i in range(ROWS)]), pa.array(["a", "b", None])
    )
    assert not ids.null_count
    for stream in (False, True):
        path = written(tmp_path, "a", ipc_bytes(table_of(id=ids), stream=stream))
        assert "column 'id' is empty (null) in row 2" in refusal(capfd, "inspect", path)


def test_one_long_text_among_many_short_ones(tmp_path: Path, capfd: Capture) -> None:
    # numpy stores every row as wide as the longest: a few kB of text would take 4 GiB.
    at = np.append(np.zeros(1 << 18, "i4"), np.ones(101, "i4"))
    texts = pa.DictionaryArray.from_arrays(pa.array(at), pa.array(["1", "1" * 4095]))
    labels = written(tmp_path, "labels", parquet_bytes(pa.table({"label": texts})))
    logits = written(tmp_path, "logits", WHOLE)
    words = refusal(capfd, "inspect", logits, "--labels", labels)
    assert "its longest text has 4,095 characters, which takes 4 GiB" in words


def test_list_views_are_named(tmp_path: Path, capfd: Capture) -> None:
    table = table_of(pa.array(LISTS, pa.list_view(pa.float32())))
    for stream in (False, True):
        path = written(tmp_path, "a", ipc_bytes(table, stream=stream))
        assert "list_view<item: float>" in refusal(capfd, "inspect", path)


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("kind", ["list", "large list", "fixed", "tensor", "sliced", "chunks"])
def test_lists_of_every_kind(tmp_path: Path, capfd: Capture, kind: str, layout: str) -> None:
    value = pa.float32()
    made: dict[str, Any] = {
        "list": pa.array(LISTS, pa.list_(value)),
        "large list": pa.array(LISTS, pa.large_list(value)),
        "fixed": fixed(WORLD.logits),
        "tensor": pa.FixedShapeTensorArray.from_numpy_ndarray(WORLD.logits),
        "sliced": pa.array([[9.0] * 5, *LISTS, [9.0] * 5], pa.list_(value)).slice(1, ROWS),
        "chunks": pa.chunked_array([pa.array(LISTS[:7], FIXED), pa.array(LISTS[7:], FIXED)]),
    }
    text = pa.array([f"r{i % 60}" for i in range(ROWS)]).dictionary_encode()
    found = json_of(
        capfd, "inspect", written(tmp_path, "a", FORMATS[layout](table_of(made[kind], id=text)))
    )
    assert found["rows"] == ROWS
    assert found["logits"] == {"min": WORLD.logits.min(), "max": WORLD.logits.max()}


@pytest.mark.parametrize("layout", FORMATS)
def test_two_columns_of_one_name(tmp_path: Path, capfd: Capture, layout: str) -> None:
    columns = [fixed(WORLD.logits), pa.array(WORLD.labels), pa.array(WORLD.labels)]
    table = pa.Table.from_arrays(columns, names=["logits", "label", "label"])
    path = written(tmp_path, "a", FORMATS[layout](table))
    assert "has two columns named 'label'; rename or drop one" in refusal(capfd, "inspect", path)


@pytest.mark.parametrize("option", ["--logits-key", "--label-key", "--id-key"])
@pytest.mark.parametrize("layout", FORMATS)
def test_a_column_asked_for_and_missing(
    tmp_path: Path, capfd: Capture, option: str, layout: str
) -> None:
    path = written(tmp_path, "a", FORMATS[layout](table_of()))
    words = refusal(capfd, "inspect", path, option, "zzz")
    assert f"has no field 'zzz' ({option}); it has 'logits'" in words


@pytest.mark.parametrize(
    ("data", "fragment"),
    [
        (WHOLE[:-200], "its writer was probably interrupted"),
        (WHOLE[:-4] + b"XXXX", "its writer was probably interrupted"),
        (WHOLE[:-8] + struct.pack("<I", 1 << 30) + b"PAR1", "its writer was probably interrupted"),
        (WHOLE[:-8] + struct.pack("<I", 0) + b"PAR1", "its writer was probably interrupted"),
        (WHOLE[:-4] + b"PARE", "encrypted"),
        (b"PARE" + WHOLE[4:-4] + b"PARE", "is an encrypted Parquet file"),
        (b"FEA1" + bytes(64) + b"FEA1", "is a Feather file of version 1"),
    ],
)
def test_footers(tmp_path: Path, capfd: Capture, data: bytes, fragment: str) -> None:
    assert fragment in refusal(capfd, "inspect", written(tmp_path, "a.parquet", data))


def test_lists_in_lists_in_lists(tmp_path: Path, capfd: Capture) -> None:
    kind: Any = pa.float32()
    for _ in range(60):
        kind = pa.list_(kind)
    for layout in FORMATS:
        path = written(tmp_path, "a", FORMATS[layout](table_of(pa.nulls(ROWS, kind))))
        assert str(path) in refusal(capfd, "inspect", path)


def test_offsets_that_point_outside(tmp_path: Path, capfd: Capture) -> None:
    # Used before it is validated, such a batch ends the process with SIGSEGV.
    table = table_of(id=[f"r{i:02}" for i in range(ROWS)])
    for stream in (False, True):
        data = bytearray(ipc_bytes(table, stream=stream))
        at = data.index(struct.pack("<iiii", 0, 3, 6, 9))
        for value in (1 << 30, -(1 << 30), 2):
            data[at + 8 : at + 12] = struct.pack("<i", value)
            words = refusal(capfd, "inspect", written(tmp_path, "a", bytes(data)))
            assert "cannot be read" in words


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".npz", ".csv"])
def test_the_kind_of_ipc_is_told_by_content(tmp_path: Path, capfd: Capture, suffix: str) -> None:
    for stream in (False, True):
        path = written(tmp_path, f"a{suffix}", ipc_bytes(table_of(), stream=stream))
        assert json_of(capfd, "inspect", path)["rows"] == ROWS


def message_ends(data: bytes) -> list[int]:
    """Where the messages of a stream end."""
    source = pa.BufferReader(data)
    return [source.tell() for _ in pa.ipc.MessageReader.open_stream(source)]


def test_a_stream_cut_between_two_batches(tmp_path: Path, capfd: Capture) -> None:
    # pyarrow reads the rows that are there and says nothing of those that are not.
    data = ipc_bytes(table_of(), stream=True)
    ends = message_ends(data)
    assert len(ends) == 4
    for end in ends:
        path = written(tmp_path, "a.arrow", data[:end])
        assert "ends without the mark that ends an Arrow stream" in refusal(capfd, "inspect", path)


def test_streams_joined_without_a_mark(tmp_path: Path, capfd: Capture) -> None:
    data = ipc_bytes(table_of(), stream=True)
    path = written(tmp_path, "a.arrow", data[:-8] + data)
    assert "cannot be read" in refusal(capfd, "inspect", path)


def test_batches_that_end_behind_the_file(tmp_path: Path, capfd: Capture) -> None:
    data = ipc_bytes(table_of(), stream=True)
    first, second = message_ends(data)[:2]
    batch = data[first:second]
    length = struct.unpack("<i", batch[4:8])[0]
    body = struct.pack("<q", len(batch) - 8 - length)
    assert body in batch[: 8 + length]
    spoiled = batch[: 8 + length].replace(body, struct.pack("<q", 1 << 50)) + batch[8 + length :]
    path = written(tmp_path, "a.arrow", data[:first] + spoiled + data[second:])
    assert "a batch ends behind the end of the file" in refusal(capfd, "inspect", path)


def test_a_footer_without_a_list_of_dictionaries(tmp_path: Path, capfd: Capture) -> None:
    data = bytearray(ipc_bytes(table_of()))
    length = struct.unpack("<i", data[-10:-6])[0]
    start = len(data) - 10 - length
    root = start + struct.unpack("<I", data[start : start + 4])[0]
    slots = root - struct.unpack("<i", data[root : root + 4])[0] + 4
    data[slots + 4 : slots + 6] = b"\0\0"
    found = json_of(capfd, "inspect", written(tmp_path, "a.arrow", bytes(data)))
    assert found["rows"] == ROWS


def test_joined_files(tmp_path: Path, capfd: Capture) -> None:
    for stream in (False, True):
        data = ipc_bytes(table_of(), stream=stream)
        path = written(tmp_path, "a.arrow", data + data)
        assert "were two files joined?" in refusal(capfd, "inspect", path)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("codec", ["zstd", "lz4", None])
@pytest.mark.parametrize("rows", [7, 60, 1000])
def test_batches_of_any_packing_are_read(
    tmp_path: Path, capfd: Capture, stream: bool, codec: str | None, rows: int
) -> None:
    ids = pa.array([f"r{i}" for i in range(ROWS)])
    for more in ({}, {"id": ids}, {"id": ids.dictionary_encode()}):
        data = ipc_bytes(table_of(**more), stream=stream, rows=rows, compression=codec)
        found = json_of(capfd, "inspect", written(tmp_path, "a", data))
        assert found["rows"] == ROWS
        assert found["labelled_rows"] == ROWS


def test_files_of_arrow_before_0_15(tmp_path: Path, capfd: Capture) -> None:
    data = ipc_bytes(table_of(), use_legacy_format=True)
    assert data[8:12] != b"\xff\xff\xff\xff"
    assert json_of(capfd, "inspect", written(tmp_path, "a", data))["rows"] == ROWS


@pytest.mark.parametrize("stream", [False, True])
def test_no_batches_at_all(tmp_path: Path, capfd: Capture, stream: bool) -> None:
    path = written(tmp_path, "a", ipc_bytes(table_of().slice(0, 0), stream=stream))
    assert "no rows" in refusal(capfd, "inspect", path)


def test_a_damaged_footer_of_ipc(tmp_path: Path, capfd: Capture) -> None:
    data = ipc_bytes(table_of(), compression="zstd")
    length = struct.unpack("<i", data[-10:-6])[0]
    for claim in (0, -1, 1 << 30, length - 1, length + 8):
        spoiled = data[:-10] + struct.pack("<i", claim) + data[-6:]
        path = written(tmp_path, "a", spoiled)
        assert str(path) in refusal(capfd, "inspect", path)


def test_many_columns_are_a_poor_layout(tmp_path: Path, capfd: Capture) -> None:
    pytest.importorskip("pyarrow")
    values = pa.array(np.arange(2, dtype="f4"))
    names = [f"logit_{j}" for j in range(10_001)]
    path = tmp_path / "a.arrow"
    table = pa.Table.from_arrays([values] * len(names), names=names)
    path.write_bytes(ipc_bytes(table))
    findings = json_of(capfd, "inspect", path)["findings"]
    assert any("write them as one column of lists" in one for one in findings)
    few = written(tmp_path, "b.arrow", ipc_bytes(table.select(names[:10])))
    assert not any("column" in one for one in json_of(capfd, "inspect", few)["findings"])


def test_parts_of_other_class_names(tmp_path: Path, capfd: Capture) -> None:
    for name, names in (("a", '["a","b","c","d","e"]'), ("b", '["b","a","c","d","e"]')):
        table = table_of().replace_schema_metadata({"class_names": names})
        pq.write_table(table, tmp_path / f"{name}.parquet")
    words = refusal(capfd, "inspect", tmp_path)
    assert "b.parquet: has other class_names in its metadata than " in words


def test_predictions_in_parts(folder: Path, calibration: Path, capfd: Capture) -> None:
    parts = folder / "parts"
    parts.mkdir()
    out, probs = parts / "a.parquet", ("--write-scores", "probs")
    command = ("adjust", folder / "test.npz", "--calibration", calibration, "-o", out)
    assert lacal(*command, *probs) == 0
    whole = json_of(capfd, "evaluate", out, "--counts", folder / "counts.csv")
    again = json_of(capfd, "evaluate", parts, "--counts", folder / "counts.csv")
    for one in (whole, again):
        for name in ("source", "sources", "predictions"):
            one.pop(name, None)
    assert again == whole


def test_parts_that_are_no_parts(tmp_path: Path, capfd: Capture) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    pq.write_table(table_of(), parts / "part-0.parquet")
    (parts / "part-1.parquet").write_bytes(WHOLE[:-9])
    assert "part-1.parquet: cannot be read" in refusal(capfd, "inspect", parts)
    os.unlink(parts / "part-1.parquet")  # noqa: PTH108 - as `rm` does
    (parts / "part-1.parquet").symlink_to("nowhere")
    assert "part-1.parquet: there is no such file" in refusal(capfd, "inspect", parts)


def test_a_footer_whose_histogram_is_of_another_length(capfd: Capture) -> None:
    # pyarrow ends the process, by SIGABRT, where `RowGroupMetaData.column` is asked for.
    path = Path(__file__).parent / "found" / "histogram.parquet"
    words = refusal(capfd, "inspect", path)
    assert "histogram.parquet: cannot be read (Definition level histogram size mismatch" in words
