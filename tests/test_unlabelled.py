"""Rows without a label, and columns that are no class: named by the user, alike in every format and command."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lacal.rows.logits_source import SourceOptions, open_source
from tests.small_world import NAMES, json_of, lacal, refusal, world

TEST = world(seed=1)
MISSING = (8, 21)
LABELS = [None if row in MISSING else NAMES[label] for row, label in enumerate(TEST.labels)]


def columns(labels: list[Any], label: str = "label", **more: Any) -> pa.Table:
    """One column a class, in the order id, label, whatever else, classes."""
    logits = {name: TEST.logits[:, j] for j, name in enumerate(NAMES)}
    ids = [f"r{row}" for row in range(len(labels))]
    return pa.table({"id": ids, label: labels, **more, **logits})


def csv_file(path: Path, table: pa.Table) -> Path:
    rows = [table.column_names, *zip(*(one.to_pylist() for one in table.columns), strict=True)]
    lines = (",".join("" if cell is None else str(cell) for cell in row) for row in rows)
    path.write_text("\n".join(lines) + "\n")
    return path


def parquet_file(path: Path, table: pa.Table) -> Path:
    pq.write_table(table, path)
    return path


def parts(path: Path, table: pa.Table) -> Path:
    path.mkdir()
    for start in (0, 20):
        pq.write_table(
            table.slice(start, 20 if start == 0 else None), path / f"part-{start}.parquet"
        )
    return path


def dictionary_file(path: Path, table: pa.Table) -> Path:
    at = table.column_names.index("label")
    return parquet_file(path, table.set_column(at, "label", table["label"].dictionary_encode()))


WRITERS = [
    ("t.csv", csv_file),
    ("t.parquet", parquet_file),
    ("coded.parquet", dictionary_file),
    ("parts", parts),
]


@pytest.mark.parametrize(("name", "write"), WRITERS)
def test_an_empty_label_is_named_and_then_left_out(
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    name: str,
    write: Callable[[Path, pa.Table], Path],
) -> None:
    path = write(folder / name, columns(LABELS))
    line = ("evaluate", path, "--counts", folder / "counts.csv")
    message = refusal(capfd, *line)
    assert "'label': row 8 is empty, expected one of the 5 class names" in message
    assert message.endswith("if such rows have no label, say --ignore-label ''")
    found = json_of(capfd, *line, "--ignore-label", "")
    assert (found["rows"], found["balanced_error"]["n"]) == (60, 58)
    known = np.setdiff1d(np.arange(60), MISSING)
    np.savez(folder / "known.npz", logits=TEST.logits[known], labels=TEST.labels[known])
    line = ("evaluate", folder / "known.npz", "--counts", folder / "counts.csv")
    assert found["classes"] == json_of(capfd, *line)["classes"]


@pytest.mark.parametrize("command", ["evaluate", "adjust", "inspect", "tune-tau"])
def test_every_command_takes_a_text_for_no_label(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str], command: str
) -> None:
    labels = [label or "not known" for label in LABELS]
    path = csv_file(folder / "t.csv", columns(labels))
    line: list[object] = [command, path]
    if command == "adjust":
        line += ["--calibration", calibration, "-o", folder / "p.parquet"]
    else:
        line += ["--counts", folder / "counts.csv"]
    if command == "tune-tau":
        line += ["--draws", 10]
    hint = "if 'not known' means 'no label', say --ignore-label 'not known'"
    assert hint in refusal(capfd, *line)
    assert json_of(capfd, *line, "--ignore-label", "not known")["rows"] == 60


def test_a_misspelt_class_is_no_missing_label(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = csv_file(folder / "t.csv", columns([label or "catt" for label in LABELS]))
    message = refusal(capfd, "evaluate", path, "--counts", folder / "counts.csv")
    assert "Did you mean 'cat'?" in message
    assert "ignore-label" not in message


@pytest.mark.parametrize(
    ("name", "write", "ignore"),
    [(*WRITERS[0], ""), (*WRITERS[1], ""), (*WRITERS[1], "nan"), (*WRITERS[3], "")],
)
def test_missing_numbers(
    folder: Path, name: str, write: Callable[[Path, pa.Table], Path], ignore: str
) -> None:
    labels = [None if row in MISSING else int(one) for row, one in enumerate(TEST.labels)]
    path = write(folder / name, columns(labels, "truth"))
    options = SourceOptions(label_key="truth", ignore_label=ignore)
    every = [batch.labels for batch in open_source(path, options).batches()]
    labelled = np.concatenate([one for one in every if one is not None])
    assert np.flatnonzero(labelled == -1).tolist() == list(MISSING)
    known = np.setdiff1d(np.arange(60), MISSING)
    np.testing.assert_array_equal(labelled[known], TEST.labels[known])


def test_numbers_that_pandas_wrote_beside_empty_cells(folder: Path) -> None:
    labels = ["" if row in MISSING else f"{one}.0" for row, one in enumerate(TEST.labels)]
    path = csv_file(folder / "t.csv", columns(labels))
    (batch,) = open_source(path, SourceOptions(ignore_label="")).batches()
    assert batch.labels is not None
    assert batch.labels[:8].tolist() == TEST.labels[:8].tolist()
    assert batch.labels[8] == -1


def test_predictions_without_a_label(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    table = {"label": [0, None, 1, -1], "prediction": [0, 1, 0, 1]}
    path = parquet_file(tmp_path / "p.parquet", pa.table(table))
    message = refusal(capfd, "evaluate", path)
    assert "'label': row 1 is empty, expected a whole class number 0..1; if such rows" in message
    assert message.endswith("say --ignore-label ''")
    found = json_of(capfd, "evaluate", path, "--ignore-label", "")
    assert found["micro_error"]["n"] == 2


def test_a_prediction_cannot_be_ignored(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "p.csv").write_text("label,prediction\ncat,cat\ndog,none\n")
    message = refusal(capfd, "evaluate", folder / "p.csv", "--counts", folder / "counts.csv")
    assert "'prediction': row 1 is 'none'" in message
    assert "ignore-label" not in message


WEIGHTS = np.linspace(0.5, 3, 60)


@pytest.mark.parametrize("command", ["adjust", "inspect", "tune-tau"])
def test_a_column_that_is_no_class_is_named_with_the_way_out(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str], command: str
) -> None:
    full = [NAMES[label] for label in TEST.labels]
    path = csv_file(folder / "t.csv", columns(full, weight=WEIGHTS))
    bare = csv_file(folder / "bare.csv", columns(full))
    rest: list[object] = ["--counts", folder / "counts.csv"]
    if command == "adjust":
        rest = ["--calibration", calibration, "-o", folder / "p.parquet", "--force"]
    if command == "tune-tau":
        rest += ["--draws", 10]
    message = refusal(capfd, command, path, *rest)
    assert "only one of them knows 'weight'" in message
    assert message.endswith(
        "add what is missing, or leave out a column that is no class with --skip-key weight"
    )
    found = json_of(capfd, command, path, *rest, "--skip-key", "weight")
    expected = json_of(capfd, command, bare, *rest)
    for name in ("rows", "tau", "gain", "adjusted", "classes", "findings"):
        assert found.get(name) == expected.get(name), name


def test_compare_leaves_out_what_only_one_split_has(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    full = [NAMES[label] for label in TEST.labels]
    test = csv_file(folder / "t.csv", columns(full, weight=WEIGHTS, margin=WEIGHTS))
    line = ("compare", folder / "val.npz", test, "--counts", folder / "counts.csv", "--draws", 10)
    message = refusal(capfd, *line)
    assert "--skip-key margin --skip-key weight" in message
    skip = ("--skip-key", "weight", "--skip-key", "margin")
    assert json_of(capfd, *line, *skip)["command"] == "compare"


def test_a_weight_of_the_rows_is_no_class_of_val(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    full = [NAMES[label] for label in TEST.labels]
    test = csv_file(folder / "t.csv", columns(full, weight=WEIGHTS))
    val = world(rows=60, seed=9)
    logits = {name: val.logits[:, j] for j, name in enumerate(NAMES)}
    labels = [NAMES[label] for label in val.labels]
    other = csv_file(folder / "v.csv", pa.table({"label": labels, "weight": WEIGHTS, **logits}))
    line = ("evaluate", test, "--calibration", calibration, "--weight-key", "weight")
    found = json_of(capfd, *line, "--fit-temperature", other)
    assert found["temperature"]["n"] == 60


def test_a_misspelt_field_to_skip_is_refused(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    full = [NAMES[label] for label in TEST.labels]
    path = csv_file(folder / "t.csv", columns(full, weight=WEIGHTS))
    line = ("evaluate", path, "--calibration", calibration, "--skip-key", "wieght")
    message = refusal(capfd, *line)
    assert "has no field 'wieght' (--skip-key)" in message
    assert "it has 'id' text, 'label' text" in message
    assert message.endswith("Did you mean 'weight'?")


def test_predictions_have_no_columns_to_skip(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "p.csv").write_text("label,prediction\n0,0\n1,1\n")
    message = refusal(capfd, "evaluate", folder / "p.csv", "--skip-key", "weight")
    assert "leave --skip-key out" in message
    assert lacal("evaluate", folder / "p.csv") == 0
