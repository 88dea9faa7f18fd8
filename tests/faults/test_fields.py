"""Which field of a file is what, and what it must hold: the doors between a file and its rows, by command."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from lacal.formats.text import MOST_BYTES
from tests.small_world import COUNTS, NAMES, json_of, lacal, refusal, world

VAL = world()
COLUMNS = {f"col_{name}": VAL.logits[:, j] for j, name in enumerate(NAMES)}


def test_logits_are_named_or_a_prefix(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    truth = json_of(capfd, "evaluate", folder / "val.npz")["balanced_error"]
    path = folder / "two.npz"
    arrays: dict[str, Any] = {"early": VAL.logits[::-1], "late": VAL.logits, **COLUMNS}
    np.savez(path, labels=VAL.labels, **arrays)
    line = ("evaluate", path, "--logits-key")
    assert json_of(capfd, *line, "late")["balanced_error"] == truth
    assert json_of(capfd, *line, "col_*")["balanced_error"] == truth
    assert "found no columns 'x*'" in refusal(capfd, *line, "x*")
    assert "has no field 'lat' (--logits-key)" in refusal(capfd, *line, "lat")
    assert "several fields could be the logits; choose one" in refusal(capfd, "evaluate", path)


@pytest.mark.parametrize(
    ("arrays", "more", "fragment"),
    [
        ({"label": VAL.labels}, (), "both 'labels' and 'label' could be meant"),
        ({}, ("--label-key", "y"), "has no field 'y' (--label-key)"),
        ({}, ("--id-key", "y"), "has no field 'y' (--id-key)"),
        ({"logits": np.array([["a"] * 5] * 60)}, (), "holds <U1, expected numbers (n, classes)"),
        ({"logits": np.ones((60, 1))}, (), "has 1 class, expected at least 2"),
        ({"w": np.full(60, 1e200)}, ("--weight-key", "w"), "row 0 weighs 1e+200, expected 0 or a"),
        ({"w": np.full(60, 1e-200)}, ("--weight-key", "w"), "scale the weights, only their ratios"),
        ({"w": np.full(60, -1.0)}, ("--weight-key", "w"), "row 0 weighs -1.0, expected a finite"),
    ],
)
def test_fields(
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    arrays: dict[str, Any],
    more: tuple[str, ...],
    fragment: str,
) -> None:
    np.savez(folder / "val.npz", **{"logits": VAL.logits, "labels": VAL.labels, **arrays})
    assert fragment in refusal(capfd, "evaluate", folder / "val.npz", *more)


def test_one_array_of_one_dimension(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    np.save(folder / "flat.npy", VAL.logits[:, 0])
    found = refusal(capfd, "inspect", folder / "flat.npy")
    assert "it has one array of shape (60)" in found


def test_columns_without_rows(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    empty = {f"logit_{name}": np.empty(0) for name in NAMES}
    pq.write_table(pa.table(empty), folder / "empty.parquet")
    assert "holds no rows; expected" in refusal(capfd, "inspect", folder / "empty.parquet")


@pytest.mark.parametrize(
    ("labels", "more", "fragment"),
    [
        ({"a": VAL.labels, "b": VAL.labels}, (), "which field holds the labels? it has 'a', 'b'"),
        ({"a": VAL.labels}, ("--label-key", "z"), "has no field 'z' (--label-key); it has 'a'"),
        ({"a": np.array(["cat\u202e"] * 60)}, (), "rows without a label are named with --ignore-l"),
        (
            {"a": np.array(["c" * 99] * 60)},
            (),
            "rows without a label are named with --ignore-label",
        ),
    ],
)
def test_a_file_of_labels(
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    labels: dict[str, Any],
    more: tuple[str, ...],
    fragment: str,
) -> None:
    np.savez(folder / "labels.npz", allow_pickle=False, **labels)
    line = ("evaluate", folder / "val.npz", "--labels", folder / "labels.npz", *more)
    assert fragment in refusal(capfd, *line)


def test_a_number_in_text_is_ignored_as_a_number(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A column of text may write the same number otherwise: -1.0, as pandas does beside empty cells."""
    labels = np.where(np.arange(60) < 7, "-1.0", VAL.labels.astype("U9"))
    np.savez(folder / "val.npz", logits=VAL.logits, labels=labels)
    seen = json_of(capfd, "inspect", folder / "val.npz", "--ignore-label", -1)
    assert seen["unlabelled_rows"] == 7


def test_ids_of_text_find_labels_by_number(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    order = np.random.default_rng(3).permutation(60)
    np.savez(folder / "labels.npz", labels=VAL.labels[order], ids=order)
    np.savez(folder / "rows.npz", logits=VAL.logits, ids=np.arange(60).astype("U9"))
    truth = json_of(capfd, "evaluate", folder / "val.npz")["balanced_error"]
    line = ("evaluate", folder / "rows.npz", "--labels", folder / "labels.npz")
    assert json_of(capfd, *line)["balanced_error"] == truth


def test_logits_whose_sum_overflows(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    large = np.where(np.arange(5) == VAL.labels[:, None], 3e38, 2e38).astype("f4")
    np.savez(folder / "val.npz", logits=large, labels=VAL.labels)
    found = json_of(capfd, "evaluate", folder / "val.npz")
    assert found["balanced_error"]["value"] == 0


@pytest.mark.parametrize("note", ["no JSON", "[]", "[" * 100_000])
def test_a_spoiled_note_of_how_logits_were_made_is_no_note(
    folder: Path, capfd: pytest.CaptureFixture[str], note: str
) -> None:
    lists = pa.array(list(VAL.logits), pa.list_(pa.float32(), 5))
    table = pa.table({"logits": lists, "label": VAL.labels})
    pq.write_table(table.replace_schema_metadata({"lacal.inference": note}), folder / "val.parquet")
    assert json_of(capfd, "evaluate", folder / "val.parquet")["rows"] == 60


# Predictions


def test_predictions_without_rows(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "p.csv").write_text("id,label,prediction\n")
    whole = refusal(capfd, "compare", folder / "p.csv", folder / "p.csv")
    assert "holds no rows; expected at least one" in whole


def test_a_class_number_beyond_all_classes(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "p.csv").write_text("label,prediction\n1,2000000\n")
    found = refusal(capfd, "evaluate", folder / "p.csv")
    assert "is the class number 2000000, expected one up to 1,000,000" in found


# Counts and shares


def test_a_column_of_counts_by_name(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"{name},7,{n}\n\n" for name, n in zip(NAMES, COUNTS, strict=True))
    (folder / "c.csv").write_text("class,count,train\n" + rows)
    line = ("inspect", folder / "val.npz", "--counts", folder / "c.csv", "--counts-key")
    assert json_of(capfd, *line, "train")["training"]["largest"] == 500
    assert "has no column 'trian' (--counts-key)" in refusal(capfd, *line, "trian")
    np.savez(folder / "c.npz", train=COUNTS, other=COUNTS)
    line = ("inspect", folder / "val.npz", "--counts", folder / "c.npz", "--counts-key")
    assert json_of(capfd, *line, "train")["training"]["largest"] == 500
    assert "has no field 'trian' (--counts-key)" in refusal(capfd, *line, "trian")


def test_counts_by_name_inside_an_object(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    by_name = dict(zip(NAMES, COUNTS, strict=True))
    (folder / "c.json").write_text(json.dumps({"class_counts": by_name}))
    line = ("inspect", folder / "val.npz", "--counts", folder / "c.json")
    assert json_of(capfd, *line)["training"]["largest"] == 500


def test_training_labels_in_json(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    labels = np.repeat(np.arange(5), COUNTS).tolist()
    (folder / "train.json").write_text(json.dumps(labels))
    line = ("inspect", folder / "val.npz", "--counts", folder / "train.json")
    assert json_of(capfd, *line, "--counts-from-labels")["training"]["largest"] == 500


def test_no_training_labels(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    np.save(folder / "train.npy", np.empty(0, int))
    line = ("inspect", folder / "val.npz", "--counts", folder / "train.npy")
    found = refusal(capfd, *line, "--counts-from-labels")
    assert "expected training labels 0..10,000,000; got none" in found


def test_shares_of_two_dimensions(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    np.savez(folder / "shares.npz", share=np.ones((5, 2)))
    out = ("-o", folder / "p.parquet", "--target-prior", folder / "shares.npz")
    line = ("adjust", folder / "val.npz", "--counts", folder / "counts.csv", "--tau", 1, *out)
    assert "expected one number a class, its count or share" in refusal(capfd, *line)


def test_equal_counts_have_no_order(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "c.json").write_text("[5, 5, 5, 5, 5]")
    line = ("inspect", folder / "val.npz", "--counts", folder / "c.json")
    assert json_of(capfd, *line)["findings"] == []


def test_a_text_that_is_too_large(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = folder / "c.json"
    path.write_text("[")
    os.truncate(path, MOST_BYTES + 1)
    found = refusal(capfd, "inspect", folder / "val.npz", "--counts", path)
    assert "has 268,435,457 bytes, expected at most 268,435,456 of text" in found


# Heads


@pytest.mark.parametrize(
    ("arrays", "fragment"),
    [
        (
            {"norms": np.ones(5), "a.bias": np.ones(5), "b.bias": np.ones(5)},
            "which of 'a.bias', 'b.bias' is the bias of 'norms'?",
        ),
        ({"weight": np.ones((5, 3)), "bias": np.full(5, np.inf)}, "must hold finite numbers"),
    ],
)
def test_heads(
    folder: Path, capfd: pytest.CaptureFixture[str], arrays: dict[str, Any], fragment: str
) -> None:
    np.savez(folder / "head.npz", allow_pickle=False, **arrays)
    counts = ("--counts", folder / "counts.csv")
    line = ("tune-tau", folder / "val.npz", *counts, "--method", "weight-norm", "--head")
    assert fragment in refusal(capfd, *line, folder / "head.npz")


@pytest.mark.parametrize(
    ("classes", "spoil", "fragment"),
    [(4, False, "of 4 classes, expected 5"), (5, True, "holds NaN or infinity")],
)
def test_heads_of_models(
    folder: Path, capfd: pytest.CaptureFixture[str], classes: int, spoil: bool, fragment: str
) -> None:
    weight = np.ones((3, classes), np.float32)
    weight[1, 2] = np.nan if spoil else 1
    linear_model(folder / "m.onnx", weight)
    counts = ("--counts", folder / "counts.csv")
    line = ("tune-tau", folder / "val.npz", *counts, "--method", "weight-norm", "--head")
    assert fragment in refusal(capfd, *line, folder / "m.onnx")


def test_labels_of_a_models_inputs_are_joined_by_id(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    linear_model(folder / "m.onnx", np.eye(5, dtype=np.float32))
    order = np.random.default_rng(3).permutation(60)
    rows = "".join(f"{one:03},{NAMES[VAL.labels[one]]}\n" for one in order)
    (folder / "labels.csv").write_text("id,label\n" + rows)
    inputs = ",".join(NAMES) + ",sample\n"
    inputs += "".join(
        ",".join(map(str, x)) + f",{i:03}\n" for i, x in enumerate(VAL.logits.tolist())
    )
    (folder / "x.csv").write_text(inputs)
    model = ("evaluate", folder / "m.onnx", "--inputs", folder / "x.csv", "--id-key", "sample")
    line = (*model, "--labels", folder / "labels.csv", "--counts", folder / "counts.csv")
    truth = json_of(capfd, "evaluate", folder / "val.npz")["balanced_error"]
    assert json_of(capfd, *line)["balanced_error"] == truth
    assert lacal(*line, "--ignore-label", "3") == 0
    assert "--ignore-label 3 is also the number of a class" in capfd.readouterr().err


def linear_model(path: Path, weight: NDArray[np.float32]) -> None:
    """An ONNX model that multiplies by a matrix."""
    onnx = pytest.importorskip("onnx")
    inputs, classes = weight.shape
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "W"], ["y"])],
        "g",
        [onnx.helper.make_tensor_value_info("x", 1, ["n", inputs])],
        [onnx.helper.make_tensor_value_info("y", 1, ["n", classes])],
        [onnx.numpy_helper.from_array(weight, "W")],
    )
    opset = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), path)


def test_a_bar_knows_how_many_rows_there_are(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert lacal("evaluate", folder / "val.npz", "--json") == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["rows"] == 60
    assert "reading" in err
