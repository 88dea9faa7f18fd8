"""Inputs come out as the plain array cut into blocks, whatever they lie in and however they are drawn."""

import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lacal.errors import DataError, LacalError, UsageError
from lacal.inputs import InputBlock, InputOptions, Inputs, open_inputs, stream
from lacal.inputs.preprocessing import Preprocessing
from lacal.models.model import Port
from tests.test_arrow_tensors import STRUCT, fixed, plain, tensor

ROWS = 37
VALUES = np.random.default_rng(3).normal(size=(ROWS, 2, 3)).astype("f4")
TABULAR = np.random.default_rng(4).normal(size=(ROWS, 5)).astype("f4")
PIXELS = np.random.default_rng(5).integers(0, 256, (ROWS, 6, 5, 3), np.uint8)
LABELS = np.arange(ROWS) % 4
IDS = np.array([f"row-{i}" * (1 + i % 3) for i in range(ROWS)])

TENSOR = Port("x", "float32", (None, 2, 3))
FEATURES = Port("x", "float32", (None, 5))
PICTURE = Port("pixels", "float32", (None, 3, 6, 5))
AS_THEY_ARE = Preprocessing()
PLAIN_PIXELS = Preprocessing(scale=1.0)


def opened(path: Path, *ports: Port, said: Preprocessing = AS_THEY_ARE, **options: Any) -> Inputs:
    return open_inputs(path, ports or (TENSOR,), InputOptions(said, **options))


def joined(blocks: list[InputBlock], port: int = 0) -> NDArray[Any]:
    return np.concatenate([block.arrays[port] for block in blocks])


def png(pixels: NDArray[np.uint8]) -> bytes:
    image = pytest.importorskip("PIL.Image")
    stream = io.BytesIO()
    image.fromarray(pixels).save(stream, "png")
    return stream.getvalue()


@pytest.fixture
def no_thread_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


pytestmark = pytest.mark.usefixtures("no_thread_left")


def npy(folder: Path) -> Path:
    np.save(folder / "a.npy", VALUES)
    return folder / "a.npy"


def npz(folder: Path) -> Path:
    names = np.array(["a", "b", "c", "d"])
    logits = np.zeros((ROWS, 4), "f4")
    np.savez(
        folder / "a.npz", inputs=VALUES, label=LABELS, id=IDS, logits=logits, class_names=names
    )
    return folder / "a.npz"


def big_endian_npz(folder: Path) -> Path:
    turned = np.asfortranarray(VALUES.astype(">f4"))
    np.savez_compressed(folder / "a.npz", x=turned, label=LABELS, id=IDS)
    return folder / "a.npz"


def parquet(folder: Path) -> Path:
    table = pa.table({"id": IDS.tolist(), "anything": plain(VALUES), "label": LABELS})
    pq.write_table(table, folder / "a.parquet", row_group_size=7)
    return folder / "a.parquet"


def parts(folder: Path) -> Path:
    (folder / "parts").mkdir()
    table = pa.table({"id": IDS.tolist(), "anything": tensor(VALUES), "label": LABELS})
    for number, (start, count) in enumerate([(0, 5), (5, 1), (6, 31)]):
        pq.write_table(table.slice(start, count), folder / "parts" / f"{number}.parquet")
    return folder / "parts"


def csv(folder: Path) -> Path:
    lines = ["id,f0,f1,f2,label,f3,f4"]
    for name, row, label in zip(IDS, TABULAR, LABELS, strict=True):
        cells = [repr(float(value)) for value in row]
        lines.append(",".join([str(name), *cells[:3], str(label), *cells[3:]]))
    (folder / "a.csv").write_text("\n".join(lines))
    return folder / "a.csv"


def columns(folder: Path) -> Path:
    features = {f"f{j}": TABULAR[:, j] for j in range(5)}
    table = pa.table({"id": IDS.tolist(), **features, "label": LABELS})
    pq.write_table(table, folder / "a.parquet")
    return folder / "a.parquet"


def class_folder(folder: Path) -> Path:
    for i, pixels in enumerate(PIXELS):
        inner = folder / "images" / f"class {i // 10}"
        inner.mkdir(parents=True, exist_ok=True)
        (inner / f"{i:02d}.png").write_bytes(png(pixels))
    return folder / "images"


def list_file(folder: Path) -> Path:
    lines = []
    for i, pixels in enumerate(PIXELS):
        (folder / f"{i}.png").write_bytes(png(pixels))
        lines.append(f"{i}.png {LABELS[i]}")
    (folder / "list.txt").write_text("\n".join(lines))
    return folder / "list.txt"


def image_bytes(folder: Path) -> Path:
    rows = [{"bytes": png(pixels), "path": None} for pixels in PIXELS]
    table = pa.table({"image": pa.array(rows, STRUCT), "label": LABELS, "id": IDS.tolist()})
    pq.write_table(table, folder / "a.parquet", row_group_size=10)
    return folder / "a.parquet"


PICTURES = np.ascontiguousarray(PIXELS.transpose(0, 3, 1, 2).astype("f4"))
CASES: dict[str, tuple[Any, Port, NDArray[Any], Preprocessing]] = {
    "npy": (npy, TENSOR, VALUES, AS_THEY_ARE),
    "npz": (npz, TENSOR, VALUES, AS_THEY_ARE),
    "big-endian npz": (big_endian_npz, TENSOR, VALUES, AS_THEY_ARE),
    "parquet": (parquet, TENSOR, VALUES, AS_THEY_ARE),
    "parts": (parts, TENSOR, VALUES, AS_THEY_ARE),
    "csv": (csv, FEATURES, TABULAR, AS_THEY_ARE),
    "columns": (columns, FEATURES, TABULAR, AS_THEY_ARE),
    "class folder": (class_folder, PICTURE, PICTURES, PLAIN_PIXELS),
    "list file": (list_file, PICTURE, PICTURES, PLAIN_PIXELS),
    "image bytes": (image_bytes, PICTURE, PICTURES, PLAIN_PIXELS),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("piece_rows", [1, 5, 16_384])
def test_blocks_are_the_array_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, piece_rows: int
) -> None:
    write, port, expected, said = CASES[name]
    path = write(tmp_path)
    monkeypatch.setattr(stream, "PIECE_ROWS", piece_rows)
    monkeypatch.setattr(stream, "IMAGES_TOGETHER", min(piece_rows, 32))

    @settings(max_examples=12)
    @given(
        rows=st.integers(1, ROWS + 3),
        start=st.integers(0, ROWS),
        limit=st.none() | st.integers(1, ROWS + 5),
    )
    def cut(rows: int, start: int, limit: int | None) -> None:
        inputs = opened(path, port, said=said, limit=limit, workers=2)
        end = min(ROWS, limit or ROWS)
        assert inputs.rows in (None, end)
        blocks = list(inputs.blocks(rows, start))
        assert [block.start for block in blocks] == list(range(start, end, rows))
        for block in blocks:
            (array,) = block.arrays
            here = slice(block.start, min(block.start + rows, end))
            np.testing.assert_array_equal(array, expected[here])
            assert array.dtype == expected.dtype
            assert array.flags.c_contiguous
            assert array.flags.writeable
            if inputs.label_field is not None and write is not class_folder:
                assert block.raw_labels is not None
                np.testing.assert_array_equal(block.raw_labels.astype(int), LABELS[here])
            if name in ("npz", "parquet", "parts", "csv", "columns", "image bytes"):
                assert block.ids is not None
                np.testing.assert_array_equal(block.ids, IDS[here])

    cut()


def test_blocks_share_no_memory(tmp_path: Path) -> None:
    blocks = list(opened(npz(tmp_path)).blocks(4))
    for block in blocks:
        block.arrays[0][...] = 0
    np.testing.assert_array_equal(np.concatenate([np.asarray(block.ids) for block in blocks]), IDS)
    again = list(opened(npz(tmp_path)).blocks(4))
    np.testing.assert_array_equal(joined(again), VALUES)
    first, second = again[0].arrays[0], again[1].arrays[0]
    assert not np.shares_memory(first, second)


def test_class_names_and_labels_of_folders(tmp_path: Path) -> None:
    assert opened(npz(tmp_path)).class_names == ("a", "b", "c", "d")
    inputs = opened(class_folder(tmp_path), PICTURE, said=PLAIN_PIXELS)
    blocks = list(inputs.blocks(ROWS))
    assert inputs.class_names is None
    expected = [f"class {i // 10}" for i in range(ROWS)]
    np.testing.assert_array_equal(np.asarray(blocks[0].raw_labels), expected)
    assert blocks[0].ids is not None
    assert blocks[0].ids[11] == "class 1/11.png"


def test_without_labels_and_ids(tmp_path: Path) -> None:
    inputs = opened(npy(tmp_path))
    assert inputs.label_field is None
    block = next(iter(inputs.blocks(3)))
    assert block.raw_labels is None
    assert block.ids is None
    assert inputs.rows == ROWS


def test_several_inputs_by_name(tmp_path: Path) -> None:
    other = np.arange(ROWS * 2).reshape(ROWS, 2)
    np.savez(tmp_path / "a.npz", x=VALUES, mask=other, weight=LABELS)
    ports = (
        Port("second", "int64", (None, 2)),
        TENSOR,
        Port("column", "float32", (None, 1)),
    )
    fields = {"second": "mask", "column": "weight"}
    inputs = opened(tmp_path / "a.npz", *ports, fields=fields)
    blocks = list(inputs.blocks(5))
    np.testing.assert_array_equal(joined(blocks, 0), other)
    np.testing.assert_array_equal(joined(blocks, 1), VALUES)
    np.testing.assert_array_equal(joined(blocks, 2), LABELS[:, None])
    assert blocks[0].arrays[2].dtype == np.float32
    assert inputs.record()["second"]["fields"] == ["mask"]
    assert any("'mask'" in line for line in inputs.described())
    twice = opened(tmp_path / "a.npz", TENSOR, Port("y", "float32", None), fields={"y": "x"})
    both = list(twice.blocks(9))
    np.testing.assert_array_equal(joined(both, 0), joined(both, 1))


def test_images_beside_numbers(tmp_path: Path) -> None:
    rows = [{"bytes": png(pixels), "path": None} for pixels in PIXELS]
    table = pa.table({"image": pa.array(rows, STRUCT), "extra": fixed(TABULAR), "label": LABELS})
    pq.write_table(table, tmp_path / "a.parquet")
    said = Preprocessing(scale=1.0)
    ports = (Port("extra", "float32", (None, 5)), PICTURE)
    inputs = opened(tmp_path / "a.parquet", *ports, said=said, fields={"pixels": "image"})
    blocks = list(inputs.blocks(8, 3))
    np.testing.assert_array_equal(joined(blocks, 0), TABULAR[3:])
    np.testing.assert_array_equal(joined(blocks, 1), PICTURES[3:])


def saved(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "a.npz", **arrays)
    return folder / "a.npz"


MATRIX = np.ones((4, 3), "f4")
WIDE = Port("x", "float32", (None, 3))


@pytest.mark.parametrize("name", ["inputs", "input", "Images", "features", "pixel_values"])
def test_usual_names_go_before_others(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path, **{name: MATRIX, "logits": MATRIX + 1})
    port = Port("data", "float32", (None, 3))
    np.testing.assert_array_equal(joined(list(opened(path, port).blocks(9))), MATRIX)


def table_of(folder: Path, **named: Any) -> Path:
    pq.write_table(pa.table(named), folder / "a.parquet")
    return folder / "a.parquet"


REFUSED: dict[
    str, tuple[dict[str, Any], tuple[Port, ...], dict[str, Any], type[LacalError], str]
] = {
    "no such input": (
        {"x": MATRIX},
        (WIDE,),
        {"fields": {"y": "x"}},
        UsageError,
        "the model has no input 'y'; it takes 'x' (float32 of shape (?, 3))",
    ),
    "no such field": (
        {"x": MATRIX},
        (WIDE,),
        {"fields": {"x": "y"}},
        DataError,
        "has no field 'y' (--input 'x'); it has 'x' (4, 3) float32",
    ),
    "a field missing": (
        {"x": MATRIX, "y": MATRIX},
        (WIDE, Port("z", "int64", (None,))),
        {},
        DataError,
        "has no field for the model's input 'z'",
    ),
    "two could be": (
        {"a": MATRIX, "b": MATRIX},
        (WIDE,),
        {},
        DataError,
        "several fields could be the model's input, 'x' (float32 of shape (?, 3)): 'a', 'b'; choose one "
        "with --input x=FIELD",
    ),
    "two usual ones": (
        {"inputs": MATRIX, "features": MATRIX},
        (WIDE,),
        {},
        DataError,
        "several fields could be the model's input",
    ),
    "none could be": (
        {"name": np.array(["a", "b"])},
        (WIDE,),
        {},
        DataError,
        "has no field that could be the model's input, 'x'",
    ),
    "text asked for": (
        {"name": np.array(["a", "b"])},
        (WIDE,),
        {"fields": {"x": "name"}},
        DataError,
        "field 'name' holds <U1, expected numbers or images",
    ),
    "columns for an image": (
        {"a": MATRIX[:, 0]},
        (Port("x", "float32", (None, 3, 8, 8)),),
        {},
        DataError,
        "has no field that could be the model's input",
    ),
    "too few columns": (
        {"a": MATRIX[:, 0], "b": MATRIX[:, 0], "label": np.zeros(4, int), "id": np.arange(4)},
        (WIDE,),
        {},
        DataError,
        "has 2 columns of numbers beside label and id ('a', 'b'); expected 3",
    ),
    "a column of text": (
        {"a": MATRIX[:, 0], "b": np.array(list("abcd")), "c": MATRIX[:, 0]},
        (WIDE,),
        {},
        DataError,
        "column 'b' holds <U1, so the columns cannot all feed the model's input",
    ),
    "rows that do not pair up": (
        {"x": MATRIX, "label": np.zeros(3, int)},
        (WIDE,),
        {},
        DataError,
        "'label' has 3 rows, 'x' has 4; they must pair up",
    ),
    "ids of two dimensions": (
        {"x": MATRIX, "id": MATRIX},
        (WIDE,),
        {},
        DataError,
        "so it cannot be the ids",
    ),
    "no rows": ({"x": MATRIX[:0]}, (WIDE,), {}, DataError, "holds no rows; expected at least one"),
    "a missing label field": (
        {"x": MATRIX},
        (WIDE,),
        {"label_key": "y"},
        DataError,
        "has no field 'y' (--label-key)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(tmp_path: Path, case: str) -> None:
    arrays, ports, options, error, words = REFUSED[case]
    with pytest.raises(error) as raised:
        opened(saved(tmp_path, **arrays), *ports, **options)
    assert words in str(raised.value)
    assert str(raised.value).isprintable()


def test_a_model_that_says_no_shape_gets_every_column(tmp_path: Path) -> None:
    whole = np.arange(ROWS)
    path = table_of(tmp_path, a=whole, b=whole + 0.5, flag=whole % 2 == 0, label=LABELS)
    (block,) = opened(path, Port("x", None, None)).blocks(ROWS)
    np.testing.assert_array_equal(
        block.arrays[0], np.stack([whole, whole + 0.5, whole % 2 == 0], 1)
    )
    assert block.arrays[0].dtype == np.float32


def test_names_out_of_files_are_shown_safely(tmp_path: Path) -> None:
    port = Port("x\x1b[31m", "float32", (None, 3))
    path = saved(tmp_path, **{"a\u202eb": MATRIX, "c": MATRIX})
    with pytest.raises(DataError) as raised:
        opened(path, port)
    assert str(raised.value).isprintable()
    assert "--input x\\x1b[31m=FIELD" in str(raised.value)


@pytest.mark.parametrize("name", ["a.npy", "a.txt", "*.parquet"])
def test_missing_files(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"no such file|holds no parts"):
        opened(tmp_path / name)


def test_csv_of_a_header_alone(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("f0,f1,f2,f3,f4\n")
    with pytest.raises(DataError, match="holds no rows"):
        list(opened(tmp_path / "a.csv", FEATURES).blocks(3))


def test_start_at_the_end_is_no_error(tmp_path: Path) -> None:
    for start in (ROWS, ROWS + 10):
        assert not list(opened(npy(tmp_path)).blocks(3, start))


def test_ragged_lists(tmp_path: Path) -> None:
    path = table_of(tmp_path, x=[[1.0, 2.0, 3.0]] * 9 + [[1.0, 2.0]])
    with pytest.raises(DataError, match="'x' has 2 values in row 9; expected 3"):
        list(opened(path, WIDE).blocks(2))


def test_null_image_bytes(tmp_path: Path) -> None:
    rows = [{"bytes": png(PIXELS[0]), "path": None}, {"bytes": None, "path": "a.png"}]
    path = table_of(tmp_path, image=pa.array(rows, STRUCT))
    with pytest.raises(DataError, match="'image' holds no image bytes in row 1"):
        list(opened(path, PICTURE, said=PLAIN_PIXELS).blocks(2))


@pytest.mark.parametrize("at", [0, 1, 20, ROWS - 1])
@pytest.mark.parametrize("ids", [True, False])
def test_a_corrupt_image_is_named(tmp_path: Path, at: int, ids: bool) -> None:
    encoded = [png(pixels) for pixels in PIXELS]
    encoded[at] = encoded[at][:40]
    named = {"id": IDS.tolist()} if ids else {}
    path = table_of(tmp_path, image=pa.array(encoded, pa.binary()), **named)
    inputs = opened(path, PICTURE, said=PLAIN_PIXELS, workers=3)
    with pytest.raises(DataError, match=f"image '{IDS[at]}'" if ids else f"row {at}\\b"):
        list(inputs.blocks(2))
    # Whoever starts behind it never decodes it.
    rest = list(inputs.blocks(5, at + 1))
    assert sum(block.arrays[0].shape[0] for block in rest) == ROWS - at - 1


def test_the_first_of_two_corrupt_images_is_named(tmp_path: Path) -> None:
    encoded = [png(pixels) for pixels in PIXELS]
    encoded[30] = encoded[9] = b"no image"
    path = table_of(tmp_path, image=pa.array(encoded, pa.binary()))
    for workers in (1, 4):
        with pytest.raises(DataError, match=r"row 9\b"):
            list(opened(path, PICTURE, said=PLAIN_PIXELS, workers=workers).blocks(64))


def test_images_of_two_sizes(tmp_path: Path) -> None:
    encoded = [png(PIXELS[0]), png(PIXELS[0][:4])]
    path = table_of(tmp_path, image=pa.array(encoded, pa.binary()), id=["a", "b"])
    port = Port("x", "float32", (None, 3, None, None))
    with pytest.raises(DataError, match=r"image 'b' .*becomes 3 x 4 x 5, .* 3 x 6 x 5"):
        list(opened(path, port, said=PLAIN_PIXELS).blocks(2))


def test_a_value_that_the_model_cannot_take_names_its_row(tmp_path: Path) -> None:
    values = np.ones((ROWS, 3), "f8")
    values[29] = 1e300
    with pytest.raises(DataError, match="row 29"):
        list(opened(saved(tmp_path, x=values), WIDE).blocks(2, 7))


@pytest.mark.parametrize("name", ["npy", "parquet", "csv", "image bytes"])
@pytest.mark.parametrize("drawn", [0, 1, 3])
def test_closed_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, drawn: int
) -> None:
    write, port, _, said = CASES[name]
    inputs = opened(write(tmp_path), port, said=said, workers=3)
    monkeypatch.setattr(stream, "PIECE_ROWS", 1)
    blocks = inputs.blocks(1)
    for _ in range(drawn):
        next(blocks)
    blocks.close()


def test_an_error_where_blocks_are_used_ends_the_threads(tmp_path: Path) -> None:
    inputs = opened(image_bytes(tmp_path), PICTURE, said=PLAIN_PIXELS)

    def use() -> None:
        for _ in inputs.blocks(1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        use()


def test_identity(tmp_path: Path) -> None:
    path = npy(tmp_path)
    status = path.stat()
    assert opened(path).identity() == [(str(path), status.st_size, status.st_mtime_ns)]
    names = [Path(name).name for name, _, _ in opened(parts(tmp_path)).identity()]
    assert names == ["0.parquet", "1.parquet", "2.parquet"]
    folder = class_folder(tmp_path / "one")
    inputs = opened(folder, PICTURE, said=PLAIN_PIXELS, limit=3)
    before = inputs.identity()
    assert len(before) == ROWS
    (folder / "class 0" / "03.png").write_bytes(b"changed")
    changed = [one for one in before if one not in inputs.identity()]
    assert [Path(name).name for name, _, _ in changed] == ["03.png"]
    (tmp_path / "two").mkdir()
    listed = opened(list_file(tmp_path / "two"), PICTURE, said=PLAIN_PIXELS).identity()
    assert [Path(name).name for name, _, _ in listed] == [
        "list.txt",
        *(f"{i}.png" for i in range(ROWS)),
    ]
