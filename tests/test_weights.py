"""Row weights: a weight of 3 is a row that stands there three times, and a weight of 0 a row that does not."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from tests.small_world import json_of, lacal, refusal, world

TEST = world(rows=90, seed=3)
TIMES = np.random.default_rng(0).integers(0, 4, 90)


def logits_file(path: Path, **fields: Any) -> Path:
    np.savez(path, **{"logits": TEST.logits, "labels": TEST.labels, **fields})
    return path


def repeated(folder: Path) -> Path:
    rows = np.repeat(np.arange(90), TIMES)
    return logits_file(folder / "repeated.npz", logits=TEST.logits[rows], labels=TEST.labels[rows])


def values(found: dict[str, Any]) -> dict[str, float]:
    """Plain values that are defined: what spread there is differs, for a row that is weighed is one row."""
    return {
        name: one["value"]
        for name, one in found["measures"].items()
        if one["value"] is not None and not name.endswith("_debiased")
    }


def test_a_weight_is_a_number_of_copies(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = logits_file(folder / "weighted.npz", w=TIMES)
    for more in ((), ("--calibration", calibration, "--target-prior", "train")):
        weighted = json_of(capfd, "evaluate", path, "--weight-key", "w", *more)
        copies = json_of(capfd, "evaluate", repeated(folder), *more)
        assert values(weighted) == pytest.approx(values(copies), rel=1e-9)
        assert weighted["weighted"]
        assert not copies["weighted"]
        errors = [[one["error"] for one in found["classes"]] for found in (weighted, copies)]
        assert errors[0] == pytest.approx(errors[1])
    assert weighted["balanced_error"]["n"] == np.count_nonzero(TIMES)


def test_only_the_ratio_of_weights_matters(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    plain = json_of(capfd, "evaluate", logits_file(folder / "plain.npz"))
    weights = np.random.default_rng(1).uniform(0.5, 2, 90)
    found = [
        json_of(capfd, "evaluate", logits_file(folder / f"{k}.npz", w=weights * k), "--weight-key", "w")
        for k in (1.0, 1e6)
    ]  # fmt: skip
    assert values(found[0]) == pytest.approx(values(found[1]), rel=1e-9)
    for name in values(found[0]):
        ends = [one["measures"][name]["interval"] for one in found]
        assert ends[0] == pytest.approx(ends[1], rel=1e-6), name
    even = json_of(capfd, "evaluate", logits_file(folder / "even.npz", w=np.full(90, 7)), "--weight-key", "w")  # fmt: skip
    assert values(even) == pytest.approx(values(plain), rel=1e-9)
    assert even["balanced_error"]["interval"] == pytest.approx(
        plain["balanced_error"]["interval"], rel=1e-6
    )


def test_a_row_that_weighs_nothing_is_not_there(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    weights = np.where(TEST.labels == 2, 0.0, 1.0)
    path = logits_file(folder / "w.npz", w=weights)
    assert json_of(capfd, "evaluate", path, "--weight-key", "w")["absent_classes"] == [2]


def test_weights_in_a_table_are_no_class(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    columns = {f"logit_{j}": TEST.logits[:, j] for j in range(5)}
    pq.write_table(pa.table({**columns, "w": TIMES, "label": TEST.labels}), folder / "w.parquet")
    lines = [",".join(["0", "1", "2", "3", "4", "label", "w"])]
    rows = np.column_stack([TEST.logits.astype(object), TEST.labels, TIMES])
    lines += [",".join(map(str, row)) for row in rows]
    (folder / "w.csv").write_text("\n".join(lines) + "\n")
    wanted = json_of(capfd, "evaluate", logits_file(folder / "w.npz", w=TIMES), "--weight-key", "w")
    for name in ("w.parquet", "w.csv"):
        found = json_of(capfd, "evaluate", folder / name, "--weight-key", "w")
        assert values(found) == pytest.approx(values(wanted), rel=1e-5), name


def test_weights_of_predictions(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    predictions = TEST.logits.argmax(axis=1)
    table = {"label": TEST.labels, "prediction": predictions, "w": TIMES.astype(np.float32)}
    pq.write_table(pa.table(table), folder / "p.parquet")
    found = json_of(capfd, "evaluate", folder / "p.parquet", "--weight-key", "w")
    wanted = json_of(capfd, "evaluate", repeated(folder))
    for name in ("balanced_error", "micro_error", "macro_f1"):
        assert found["measures"][name]["value"] == pytest.approx(wanted["measures"][name]["value"])


def test_text_says_that_rows_are_weighted(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = logits_file(folder / "w.npz", w=TIMES)
    assert lacal("evaluate", path, "--weight-key", "w") == 0
    assert f"on {np.count_nonzero(TIMES)} rows (weighted) of" in capfd.readouterr().out


def spoiled(row: int, value: float) -> NDArray[np.float64]:
    weights = np.ones(90)
    weights[row] = value
    return weights


@pytest.mark.parametrize(
    ("weights", "fault"),
    [
        (spoiled(7, -1), "'w': row 7 weighs -1.0, expected a finite number from 0"),
        (spoiled(89, np.nan), "row 89 weighs nan"),
        (spoiled(0, np.inf), "row 0 weighs inf"),
        (spoiled(3, 1e-101), r"row 3 weighs 1e-101, expected 0 or a number from 1e-100 to 1e+100"),
        (np.zeros(90), "no row carries a label and a weight above 0"),
        (np.ones((90, 2)), "of 2 dimensions, expected one number a row"),
        (np.array(["x"] * 90), "expected one number a row"),
        (np.ones(89), "must pair up"),
    ],
)
def test_faulty_weights(
    folder: Path, capfd: pytest.CaptureFixture[str], weights: NDArray[Any], fault: str
) -> None:
    path = logits_file(folder / "w.npz", w=weights)
    assert fault in refusal(capfd, "evaluate", path, "--weight-key", "w")


@pytest.mark.parametrize(
    ("key", "part"),
    [
        ("label", "labels"),
        ("prediction", "predictions"),
        ("unadjusted_prediction", "predictions of the model as it was"),
        ("id", "ids"),
    ],
)
def test_a_field_with_another_part_is_no_weight(
    folder: Path, capfd: pytest.CaptureFixture[str], key: str, part: str
) -> None:
    """Class numbers are finite and not negative too."""
    predictions = TEST.logits.argmax(axis=1)
    beside = {"id": np.arange(90), "label": TEST.labels}
    both = {"prediction": predictions, "unadjusted_prediction": predictions}
    pq.write_table(pa.table({**beside, **both}), folder / "p.parquet")
    np.savez(folder / "w.npz", allow_pickle=False, logits=TEST.logits, **beside)
    for path in (folder / "p.parquet", folder / "w.npz")[: 1 if key in both else 2]:
        message = refusal(capfd, "evaluate", path, "--weight-key", key)
        assert f"'{key}' holds the {part}, expected the weights of the rows; name anoth" in message


def test_a_field_that_is_not_there(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = logits_file(folder / "w.npz")
    assert "has no field 'w' (--weight-key)" in refusal(
        capfd, "evaluate", path, "--weight-key", "w"
    )


def test_a_model_has_no_weights(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = ("evaluate", folder / "m.onnx", "--inputs", folder / "x.npz", "--weight-key", "w")
    message = refusal(capfd, *line)
    assert "SOURCE is a model, whose inputs carry no weights; leave --weight-key out" in message
