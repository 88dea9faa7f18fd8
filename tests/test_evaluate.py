"""`evaluate`: the same errors from logits and from predictions, by hand and by scikit-learn."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import balanced_accuracy_score

from tests.small_world import COUNTS, NAMES, json_of, lacal, refusal, world

TEST = world(seed=1)
LOG_PRIOR = np.log(np.array(COUNTS) / sum(COUNTS))


def balanced(predictions: Any) -> float:
    return float(1 - balanced_accuracy_score(TEST.labels, predictions))


def test_plain_logits(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = json_of(capfd, "evaluate", folder / "test.npz")
    plain = TEST.logits.argmax(axis=1)
    assert found["balanced_error"]["value"] == pytest.approx(balanced(plain), abs=1e-12)
    assert found["micro_error"]["value"] == pytest.approx(float(np.mean(plain != TEST.labels)))
    assert found["balanced_error"]["n"] == found["rows"] == 60
    assert found["groups"] is None
    assert found["unadjusted"] is None
    assert found["classes"][2]["name"] is None
    by_class = [np.mean(plain[TEST.labels == j] != j) for j in range(5)]
    assert [one["error"] for one in found["classes"]] == pytest.approx(by_class)


def test_groups_and_names_come_with_the_counts(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = json_of(capfd, "evaluate", folder / "test.npz", "--counts", folder / "counts.csv")
    groups = found["groups"]
    assert {name: one["classes"] for name, one in groups.items()} == {
        "many": 2,
        "medium": 2,
        "few": 1,
    }
    assert groups["few"]["training_count"] == "< 20"
    assert groups["few"]["value"] == found["classes"][4]["error"]
    assert [one["name"] for one in found["classes"]] == list(NAMES)


def test_adjusted_logits_and_their_predictions_agree(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    direct = json_of(capfd, "evaluate", folder / "test.npz", "--calibration", calibration)
    adjusted = (TEST.logits - direct["tau"] * LOG_PRIOR).argmax(axis=1)
    assert direct["balanced_error"]["value"] == pytest.approx(balanced(adjusted), abs=1e-12)
    plain = balanced(TEST.logits.argmax(axis=1))
    assert direct["unadjusted"]["balanced_error"]["value"] == pytest.approx(plain, abs=1e-12)

    path = folder / "p.parquet"
    line = ("adjust", folder / "test.npz", "--calibration", calibration, "-o", path)
    written = json_of(capfd, *line)
    assert written["adjusted"]["classes"] == direct["classes"]
    again = json_of(capfd, "evaluate", path, "--counts", folder / "counts.csv")
    for name in ("balanced_error", "micro_error", "groups", "classes"):
        assert again[name] == direct[name]
    nameless = json_of(capfd, "evaluate", path)
    assert nameless["balanced_error"] == direct["balanced_error"]


def predictions_file(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_predictions_of_others(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = predictions_file(tmp_path / "p.parquet", label=[0, 0, 1, 3], prediction=[0, 1, 1, 2])
    found = json_of(capfd, "evaluate", path)
    assert found["balanced_error"]["value"] == pytest.approx((0.5 + 0 + 1) / 3)
    assert found["absent_classes"] == [2]
    (tmp_path / "p.csv").write_text("truth,prediction\n0,0\n0,1\n1,1\n3,2\n")
    assert "has no field `label`; name it with --label-key" in refusal(
        capfd, "evaluate", tmp_path / "p.csv"
    )
    named = json_of(capfd, "evaluate", tmp_path / "p.csv", "--label-key", "truth")
    assert named["balanced_error"] == found["balanced_error"]


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
def test_ignored_rows_make_no_classes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    columns = {"label": [0, 255, 1, 3], "prediction": [0, 1, 1, 2]}
    if name == "p.csv":
        rows = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
        (tmp_path / name).write_text("\n".join(["label,prediction", *rows]) + "\n")
    else:
        predictions_file(tmp_path / name, **columns)
    found = json_of(capfd, "evaluate", tmp_path / name, "--ignore-label", 255)
    assert found["absent_classes"] == [2]
    assert found["balanced_error"]["value"] == pytest.approx(1 / 3)


def test_predictions_by_name(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = predictions_file(folder / "p.parquet", label=["cat", "gnu"], prediction=["cat", "dog"])
    found = json_of(capfd, "evaluate", path, "--counts", folder / "counts.csv")
    assert found["balanced_error"]["value"] == 0.5
    (folder / "p.csv").write_text("label,prediction\ncat,cat\ngnu,gnuu\n")
    line = ("evaluate", folder / "p.csv", "--counts", folder / "counts.csv")
    assert "row 1 is 'gnuu'" in refusal(capfd, *line)


def test_the_whole_file_may_be_without_labels(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    np.savez(folder / "bare.npz", logits=TEST.logits)
    assert "has no labels" in refusal(capfd, "evaluate", folder / "bare.npz")
    line = ("adjust", folder / "bare.npz", "--calibration", calibration, "-o", folder / "p.parquet")
    assert json_of(capfd, *line)["adjusted"] is None
    assert "label" not in pq.read_schema(folder / "p.parquet").names
    assert "has no field `label`" in refusal(capfd, "evaluate", folder / "p.parquet")


def test_predictions_are_not_adjusted_again(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = predictions_file(folder / "p.parquet", label=[0, 1], prediction=[0, 1])
    line = ("evaluate", path, "--calibration", calibration)
    assert "holds predictions, which a calibration cannot adjust again" in refusal(capfd, *line)


@pytest.mark.parametrize(
    ("label", "prediction", "fault"),
    [
        ([0, 9], [0, 1], "row 1 has label 9, expected 0..4"),
        ([0, 1], [0, -1], "row 1 has label -1"),
        ([0, 1], [0, 0.5], "row 1 is 0.5"),
        ([0, None], [0, 1], "(null) in row 1"),
    ],
)
def test_bad_predictions(
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    label: list[Any],
    prediction: list[Any],
    fault: str,
) -> None:
    path = predictions_file(folder / "p.parquet", label=label, prediction=prediction)
    line = ("evaluate", path, "--counts", folder / "counts.csv")
    assert fault in refusal(capfd, *line)


def test_text_shows_the_worst_classes_first(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert lacal("evaluate", folder / "test.npz", "--counts", folder / "counts.csv") == 0
    out = capfd.readouterr().out
    assert out.startswith("balanced error 71.7 ± 3.5 % on 60 rows of 5 classes of ")
    worst = out.split("worst classes")[1]
    assert worst.index("gnu") < worst.index("cat")


@pytest.mark.parametrize(
    "option", [("--scores", "probs"), ("--logits-key", "x"), ("--id-key", "id")]
)
def test_options_of_logits_are_refused_beside_predictions(
    folder: Path, capfd: pytest.CaptureFixture[str], option: tuple[str, str]
) -> None:
    path = predictions_file(folder / "p.parquet", label=[0, 1], prediction=[0, 1])
    message = refusal(capfd, "evaluate", path, *option)
    assert f"there are no logits to read; leave {option[0]} out" in message


def test_a_zero_rule_misspelt_is_refused_without_counts(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = predictions_file(folder / "p.parquet", label=[0, 1], prediction=[0, 1])
    assert "--zero-count: got 'x'" in refusal(capfd, "evaluate", path, "--zero-count", "x")
