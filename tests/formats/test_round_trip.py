"""The same numbers through every format, layout and block size come out the same."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from lacal.formats import Table, open_table

ROWS, CLASSES = 23, 4
IDS = np.array([f"{i:03d}é" for i in range(ROWS)])
LABELS = np.arange(ROWS, dtype=np.int64) % CLASSES - 1


def logits_of(dtype: str) -> NDArray[Any]:
    return np.random.default_rng(7).normal(size=(ROWS, CLASSES)).astype(dtype)


def check(table: Table, expected: dict[str, NDArray[Any]]) -> None:
    names = list(expected)
    for name, values in expected.items():
        whole = table.read(name)
        assert whole.dtype.isnative
        assert whole.flags.c_contiguous
        assert not whole.dtype.hasobject
        np.testing.assert_array_equal(whole, values)
        assert table.fields[name].shape[1:] == values.shape[1:]
    for rows in (1, 7, ROWS, ROWS + 5):
        drawn: list[list[NDArray[Any]]] = [[] for _ in names]
        for parts in table.blocks(names, rows):
            assert len({len(part) for part in parts}) == 1
            assert 0 < len(parts[0]) <= rows
            for kept, part in zip(drawn, parts, strict=True):
                kept.append(part.copy())
        for name, kept in zip(names, drawn, strict=True):
            np.testing.assert_array_equal(np.concatenate(kept), expected[name])


def write_npz(path: Path, logits: NDArray[Any], packed: bool = False) -> dict[str, NDArray[Any]]:
    arrays = {"logits": logits, "labels": LABELS, "ids": IDS}
    with path.open("wb") as file:
        if packed:
            np.savez_compressed(file, logits=logits, labels=LABELS, ids=IDS)
        else:
            np.savez(file, logits=logits, labels=LABELS, ids=IDS)
    return arrays


def arrow_table(lists: Any) -> Any:
    return pa.table({"logits": lists, "labels": LABELS, "ids": IDS.tolist()})


def lists_of(kind: str, logits: NDArray[Any]) -> Any:
    value = pa.from_numpy_dtype(logits.dtype)
    flat = pa.array(logits.ravel())
    match kind:
        case "list":
            return pa.array(list(logits), pa.list_(value))
        case "large_list":
            return pa.array(list(logits), pa.large_list(value))
        case "fixed_size_list":
            return pa.FixedSizeListArray.from_arrays(flat, CLASSES)
        case _:
            return pa.FixedShapeTensorArray.from_numpy_ndarray(logits)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("layout", ["npy", "npz", "npz packed"])
def test_numpy(tmp_path: Path, dtype: str, order: Any, endian: str, layout: str) -> None:
    logits = np.array(logits_of(dtype), dtype=endian + dtype, order=order)
    path = tmp_path / "data.bin"
    if layout == "npy":
        with path.open("wb") as file:
            np.save(file, logits)
        check(open_table(path), {"": logits})
    else:
        arrays = write_npz(path, logits, packed=layout == "npz packed")
        check(open_table(path), arrays)


@pytest.mark.parametrize("endian", ["<", ">"])
def test_numpy_deeper_arrays_and_text(tmp_path: Path, endian: Any) -> None:
    for number, array in enumerate(
        [
            np.asfortranarray(np.arange(ROWS * 6, dtype=endian + "i4").reshape(ROWS, 2, 3)),
            IDS.astype(IDS.dtype.newbyteorder(endian)),
            np.arange(ROWS) % 2 == 0,
            np.asfortranarray(np.array([["a", "é"]] * ROWS)),
        ]
    ):
        path = tmp_path / f"{number}.npy"
        np.save(path, array)
        check(open_table(path), {"": array})


def test_numpy_bytes_are_decoded(tmp_path: Path) -> None:
    np.save(tmp_path / "ids.npy", np.char.encode(IDS, "utf-8"))
    check(open_table(tmp_path / "ids.npy"), {"": IDS})


@pytest.mark.parametrize("shape", [(), (0, 3), (0,)])
def test_numpy_without_rows(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape))
    np.savez(tmp_path / "a.npz", x=np.zeros(shape))
    for name, field in (("a.npy", ""), ("a.npz", "x")):
        table = open_table(tmp_path / name)
        assert table.read(field).shape == shape
        if shape:
            assert not list(table.blocks([field], 5))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_safetensors(tmp_path: Path, dtype: str) -> None:
    arrays = {"logits": logits_of(dtype), "labels": LABELS}
    names = {"class_names": json.dumps(["a", "b"])}
    save_file(arrays, tmp_path / "x", metadata=names)
    table = open_table(tmp_path / "x")
    check(table, arrays)
    assert table.class_names == ("a", "b")


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("kind", ["list", "large_list", "fixed_size_list", "tensor"])
@pytest.mark.parametrize("layout", ["parquet", "file", "stream"])
def test_arrow(tmp_path: Path, dtype: str, kind: str, layout: str) -> None:
    logits = logits_of(dtype)
    table = arrow_table(lists_of(kind, logits))
    table = table.replace_schema_metadata({"class_names": json.dumps(["x", "y"])})
    path = tmp_path / "data"
    if layout == "parquet":
        pq.write_table(table, path)
    else:
        make = pa.ipc.new_file if layout == "file" else pa.ipc.new_stream
        with make(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=9)
    opened = open_table(path)
    check(opened, {"logits": logits, "labels": LABELS, "ids": IDS})
    assert opened.class_names == ("x", "y")


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "lz4", "brotli"])
@pytest.mark.parametrize("group", [5, 23])
def test_parquet_codecs_and_row_groups(tmp_path: Path, codec: str, group: int) -> None:
    logits = logits_of("f4")
    table = arrow_table(lists_of("fixed_size_list", logits))
    pq.write_table(
        table, tmp_path / "a", compression=codec, row_group_size=group, write_page_checksum=True
    )
    check(open_table(tmp_path / "a"), {"logits": logits, "labels": LABELS, "ids": IDS})


def test_parquet_dictionary_and_one_column_a_class(tmp_path: Path) -> None:
    logits = logits_of("f4")
    columns: dict[str, Any] = {f"c.{j}": logits[:, j] for j in range(CLASSES)}
    columns["ids"] = pa.array(IDS.tolist()).dictionary_encode()
    for use in (True, False):
        pq.write_table(pa.table(columns), tmp_path / "a", use_dictionary=use, row_group_size=6)
        expected = {f"c.{j}": logits[:, j] for j in range(CLASSES)}
        check(open_table(tmp_path / "a"), {**expected, "ids": IDS})


def test_parts_in_natural_order(tmp_path: Path) -> None:
    logits = logits_of("f4")
    table = arrow_table(lists_of("list", logits))
    for number, start in ((1, 0), (2, 5), (10, 17)):
        stop = {0: 5, 5: 17, 17: ROWS}[start]
        pq.write_table(table.slice(start, stop - start), tmp_path / f"part-{number}.parquet")
    pq.write_table(table.slice(0, 0), tmp_path / "part-3.parquet")
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".crc").touch()
    expected = {"logits": logits, "labels": LABELS, "ids": IDS}
    check(open_table(tmp_path), expected)
    check(open_table(tmp_path / "part-*.parquet"), expected)
    assert open_table(tmp_path).fields["labels"].shape == (ROWS,)


@pytest.mark.parametrize("mark", [",", "\t", ";"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_csv(tmp_path: Path, mark: str, end: str, bom: bytes) -> None:
    logits = logits_of("f8")
    rows = [mark.join(["id", "Label", "split", "c0", "c1"])]
    for i in range(ROWS):
        cells = [
            f"{i:03d}",
            "NA",
            f'"{mark}x"',
            repr(float(logits[i, 0])),
            repr(float(logits[i, 1])),
        ]
        rows.append(mark.join(cells))
    for tail in ("", end, end * 3):
        path = tmp_path / "a.csv"
        path.write_bytes(bom + (end.join(rows) + tail).encode())
        expected = {
            "id": np.array([f"{i:03d}" for i in range(ROWS)]),
            "Label": np.array(["NA"] * ROWS),
            "split": np.array([f"{mark}x"] * ROWS),
            "c1": logits[:, 1],
        }
        check(open_table(path), expected)


def test_csv_of_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    for text in ("id,x", "id,x\n", "id,x\n\n"):
        (tmp_path / "a.csv").write_text(text)
        table = open_table(tmp_path / "a.csv")
        assert not list(table.blocks(["x"], 4))
        assert table.read("id").shape == (0,)


def test_csv_larger_than_a_block(tmp_path: Path) -> None:
    values = np.arange(200_000)
    text = "\n".join(["label,x", *(f"{v},{v}.5" for v in values)])
    (tmp_path / "a.csv").write_text(text)
    table = open_table(tmp_path / "a.csv")
    np.testing.assert_array_equal(table.read("x"), values + 0.5)
    np.testing.assert_array_equal(table.read("label").astype(int), values)


def test_lines(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(("\r\n".join(IDS) + "\r\n\r\n").encode())
    check(open_table(tmp_path / "a.txt"), {"": IDS})


def test_npz_class_names_and_foreign_members(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros(2), class_names=np.array(["cat", "dog"]))
    assert open_table(tmp_path / "a.npz").class_names == ("cat", "dog")
    assert list(open_table(tmp_path / "a.npz").fields) == ["x", "class_names"]
