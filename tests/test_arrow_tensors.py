"""Arrow columns of tensors and of encoded images, and the class names beside them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from lacal.errors import DataError
from lacal.formats import Table, open_table
from lacal.formats.table import Field
from lacal.pipeline import evaluate_predictions
from lacal.rows.fields import check_id_field, logits_fields
from lacal.rows.labels import LabelReader
from lacal.rows.predicted_scores import open_predictions

IMAGES = [bytes([i]) * (i + 1) for i in range(11)]
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def plain(values: NDArray[Any]) -> Any:
    kind = pa.from_numpy_dtype(values.dtype)
    for _ in values.shape[1:]:
        kind = pa.list_(kind)
    return pa.array(values.tolist(), kind)


def large(values: NDArray[Any]) -> Any:
    kind = pa.from_numpy_dtype(values.dtype)
    for _ in values.shape[1:]:
        kind = pa.large_list(kind)
    return pa.array(values.tolist(), kind)


def fixed(values: NDArray[Any]) -> Any:
    column = pa.array(values.ravel())
    for side in reversed(values.shape[1:]):
        column = pa.FixedSizeListArray.from_arrays(column, side)
    return column


def fixed_in_plain(values: NDArray[Any]) -> Any:
    kind = pa.from_numpy_dtype(values.dtype)
    for at, side in enumerate(reversed(values.shape[1:])):
        kind = pa.list_(kind, side) if at % 2 == 0 else pa.list_(kind)
    return pa.array(values.tolist(), kind)


def tensor(values: NDArray[Any]) -> Any:
    return pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(values))


LAYOUTS = [plain, large, fixed, fixed_in_plain, tensor]


def written(folder: Path, columns: dict[str, Any], layout: str = "parquet", **options: Any) -> Path:
    path, table = folder / "a", pa.table(columns)
    if layout == "parquet":
        pq.write_table(table, path, **options)
        return path
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table, **options)
    return path


def gathered(table: Table, name: str, rows: int) -> NDArray[Any]:
    blocks = [block.copy() for (block,) in table.blocks([name], rows)]
    assert all(0 < len(block) <= rows for block in blocks)
    return np.concatenate(blocks)


@pytest.mark.parametrize("lists", LAYOUTS)
@pytest.mark.parametrize("layout", ["parquet", "ipc"])
@settings(max_examples=12)
@given(
    values=st.sampled_from(["u1", "i8", "f4", "f8"]).flatmap(
        lambda dtype: arrays(
            dtype,
            st.tuples(*[st.integers(1, 5)] * 2, st.integers(1, 3), st.integers(1, 3)),
            elements=st.integers(0, 100),
        )
    ),
    rows=st.integers(1, 6),
)
def test_tensors_of_any_depth(
    tmp_path_factory: pytest.TempPathFactory,
    lists: Callable[[NDArray[Any]], Any],
    layout: str,
    values: NDArray[Any],
    rows: int,
) -> None:
    path = written(tmp_path_factory.mktemp("t"), {"x": lists(values)}, layout)
    table = open_table(path)
    assert table.fields["x"].shape[1:] == values.shape[1:]
    assert table.fields["x"].kind in ("int", "float")
    for found in (table.read("x"), gathered(table, "x", rows)):
        np.testing.assert_array_equal(found, values)
        assert found.dtype == values.dtype


def spoiled(change: Callable[[list[Any]], None]) -> Any:
    rows: list[Any] = np.arange(24.0).reshape(4, 2, 3).tolist()
    change(rows)
    return pa.array(rows, pa.list_(pa.list_(pa.float64())))


def ragged_outside(rows: list[Any]) -> None:
    rows[2].append([0.0] * 3)


def ragged_inside(rows: list[Any]) -> None:
    rows[3][1].append(1.0)


def null_list(rows: list[Any]) -> None:
    rows[1][0] = None


def null_value(rows: list[Any]) -> None:
    rows[2][1][2] = None


def null_row(rows: list[Any]) -> None:
    rows[3] = None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (ragged_outside, "column 'x' has 3 values in row 2; expected 2"),
        (ragged_inside, "column 'x' has 4 values in an inner list in row 3; expected 3"),
        (null_list, "column 'x' holds an empty (null) value in row 1"),
        (null_value, "column 'x' holds an empty (null) value in row 2"),
        (null_row, "column 'x' is empty (null) in row 3"),
    ],
)
@pytest.mark.parametrize("rows", [1, 3, 10])
def test_spoiled_tensors(
    tmp_path: Path, change: Callable[[list[Any]], None], words: str, rows: int
) -> None:
    table = open_table(written(tmp_path, {"x": spoiled(change)}))
    with pytest.raises(DataError) as raised:
        list(table.blocks(["x"], rows))
    assert words in str(raised.value)


def test_lists_too_deep_or_turned_are_of_no_use(tmp_path: Path) -> None:
    deep = pa.float64()
    for _ in range(9):
        deep = pa.list_(deep)
    turned = pa.fixed_shape_tensor(pa.float32(), [2, 3], permutation=[1, 0])
    storage = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(6, "f4")), 6)
    columns = {
        "deep": pa.array([None], deep),
        "turned": pa.ExtensionArray.from_storage(turned, storage),
    }
    fields = open_table(written(tmp_path, columns)).fields
    assert {one.kind for one in fields.values()} == {"other"}


def image_columns() -> dict[str, Any]:
    rows = [{"bytes": image, "path": f"{i}.png"} for i, image in enumerate(IMAGES)]
    return {
        "binary": pa.array(IMAGES, pa.binary()),
        "large_binary": pa.array(IMAGES, pa.large_binary()),
        "struct": pa.array(rows, STRUCT),
        "no path": pa.array([{**row, "path": None} for row in rows], STRUCT),
    }


@pytest.mark.parametrize("layout", ["parquet", "ipc"])
@pytest.mark.parametrize("rows", [1, 4, 11, 50])
def test_encoded_images(tmp_path: Path, layout: str, rows: int) -> None:
    path = written(tmp_path, image_columns(), layout)
    table = open_table(path)
    for name, field in table.fields.items():
        assert field.kind == "image"
        blocks = [block for (block,) in table.blocks([name], rows)]
        assert [image for block in blocks for image in block] == IMAGES
        assert all(block.shape == (len(block),) for block in blocks)
        with pytest.raises(DataError, match="which lacal cannot use"):
            table.read(name)


def test_images_in_parts(tmp_path: Path) -> None:
    for number, start in ((1, 0), (2, 6)):
        column = pa.array(IMAGES[start : start + 6 - number + 1], pa.binary())
        pq.write_table(pa.table({"image": column}), tmp_path / f"part-{number}.parquet")
    table = open_table(tmp_path)
    assert gathered(table, "image", 4).tolist() == IMAGES
    with pytest.raises(DataError, match="which lacal cannot use"):
        table.read("image")


@pytest.mark.parametrize("at", [0, 5])
@pytest.mark.parametrize("null", ["bytes", "row"])
def test_null_images(tmp_path: Path, at: int, null: str) -> None:
    rows: list[Any] = [{"bytes": image, "path": "a.png"} for image in IMAGES]
    rows[at] = {"bytes": None, "path": "a.png"} if null == "bytes" else None
    table = open_table(written(tmp_path, {"image": pa.array(rows, STRUCT)}))
    words = "holds no image bytes" if null == "bytes" else r"is empty \(null\)"
    with pytest.raises(DataError, match=f"column 'image' {words} in row {at}"):
        list(table.blocks(["image"], 3))


def test_images_are_neither_logits_nor_labels_nor_ids(tmp_path: Path) -> None:
    binary = pa.array(IMAGES[:2], pa.binary())
    columns = {"a": [0.5, 1], "b": [1.0, 2], "image": binary, "label": binary, "id": binary}
    table = open_table(written(tmp_path, columns))
    with pytest.raises(DataError, match="column 'image' holds binary"):
        logits_fields(table, None, {"label", "id"})
    with pytest.raises(DataError, match="cannot be the ids"):
        check_id_field(table, "id")
    with pytest.raises(DataError, match="holds binary, expected class numbers or names"):
        LabelReader.open(table, "label", classes=2, class_names=None, ignore=None, apart=False)


def with_metadata(folder: Path, **entries: Any) -> Table:
    table = pa.table({"label": [0, 1]})
    metadata = {
        name: one if isinstance(one, str) else json.dumps(one) for name, one in entries.items()
    }
    pq.write_table(table.replace_schema_metadata(metadata), folder / "a")
    return open_table(folder / "a")


def features(**named: Any) -> Any:
    labels = {name: {"names": names, "_type": "ClassLabel"} for name, names in named.items()}
    return {"info": {"features": {"image": {"_type": "Image"}, **labels}}}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({}, None),
        ({"class_names": ["a", "b"]}, ("a", "b")),
        ({"huggingface": features(label=["a", "b"])}, ("a", "b")),
        ({"huggingface": features(fine=["a"], label=["b", "c"])}, ("b", "c")),
        ({"huggingface": features(fine_label=["a", "b"])}, ("a", "b")),
        ({"huggingface": features(fine=["a"], coarse=["b"])}, None),
        ({"huggingface": features(label=["a"]), "class_names": ["own"]}, ("own",)),
        ({"huggingface": features(label=[1, 2])}, None),
        ({"huggingface": features(label="ab")}, None),
        ({"huggingface": features(label=[])}, None),
        ({"huggingface": {"info": {"features": [1]}}}, None),
        ({"huggingface": {"info": None}}, None),
        ({"huggingface": "{broken"}, None),
        ({"huggingface": "[" * 100_000}, None),
    ],
)
def test_class_names(tmp_path: Path, entries: dict[str, Any], expected: Any) -> None:
    assert with_metadata(tmp_path, **entries).class_names == expected


def test_scalars_and_text_are_as_before(tmp_path: Path) -> None:
    columns = {"x": [1.5, 2.5], "n": [1, 2], "t": ["a", "b"], "flag": [True, False]}
    fields = open_table(written(tmp_path, columns)).fields
    assert fields == {
        "x": Field("x", "float", (2,), "double"),
        "n": Field("n", "int", (2,), "int64"),
        "t": Field("t", "text", (2,), "string"),
        "flag": Field("flag", "bool", (2,), "bool"),
    }


def test_images_are_no_predictions(tmp_path: Path) -> None:
    columns = {"label": [0, 1], "prediction": pa.array(IMAGES[:2], pa.binary())}
    with pytest.raises(DataError, match="'prediction' is of type binary"):
        evaluate_predictions(open_predictions(open_table(written(tmp_path, columns)), None))
