"""Class columns sorted as text, predictions that contradict themselves, and other faults that were found by trying."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.small_world import json_of, lacal, refusal, world

TWELVE = 12
SPELLINGS = ["class_{}", "p{}", "prob_{}", "x {}", "col.{}", "c-{}", "out[{}]", "{}", "logit_{}"]


def twelve(folder: Path, columns: list[str], labels: list[str] | None = None) -> Path:
    """60 rows whose class j stands in the column that is named by j, and counts by number."""
    label = np.arange(60) % TWELVE
    logits = np.random.default_rng(0).normal(size=(60, TWELVE)) + 4 * np.eye(TWELVE)[label]
    by_name = {name: logits[:, j] for j, name in enumerate(columns)}
    given = label if labels is None else [labels[j] for j in label]
    pq.write_table(pa.table({"label": given, **by_name}), folder / "twelve.parquet")
    rows = "".join(f"{j},{100 - j}\n" for j in range(TWELVE))
    (folder / "twelve.csv").write_text("class,count\n" + rows)
    return folder / "twelve.parquet"


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("first", [0, 1])
def test_class_columns_sorted_as_text(
    folder: Path, capfd: pytest.CaptureFixture[str], spelling: str, first: int
) -> None:
    named = [spelling.format(j) for j in range(first, first + TWELVE)]
    path = twelve(folder, sorted(named))
    for command in (["evaluate"], ["inspect"]):
        said = refusal(capfd, *command, path, "--counts", folder / "twelve.csv")
        assert "numbered but not in order" in said
        assert f"in the order {first}, {first + 1}, {first + 2}" in said
    assert lacal("evaluate", twelve(folder, named), "--counts", folder / "twelve.csv") == 0


def test_class_columns_sorted_as_text_that_everybody_names(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    named = sorted(f"class_{j}" for j in range(TWELVE))
    path = twelve(folder, named, labels=named)
    (folder / "named.csv").write_text("class,count\n" + "".join(f"{name},9\n" for name in named))
    assert lacal("evaluate", path, "--counts", folder / "named.csv") == 0
    twelve(folder, named)  # labels by number beside them
    said = refusal(capfd, "evaluate", path, "--counts", folder / "named.csv")
    assert "numbered but not in order" in said


@pytest.mark.parametrize("columns", [["y7", "y9", "y8"], ["1a", "0b", "2c"], ["n2", "n10", "n5"]])
def test_columns_that_hold_numbers_but_do_not_count(
    folder: Path, capfd: pytest.CaptureFixture[str], columns: list[str]
) -> None:
    rows = {name: np.array([2.0, -1.0, 3.0]) * (j + 1) for j, name in enumerate(columns)}
    pq.write_table(pa.table({"label": [0, 1, 2], **rows}), folder / "three.parquet")
    assert lacal("evaluate", folder / "three.parquet") == 0


def predictions(folder: Path, **other: object) -> Path:
    """40 rows of a predictions file of three classes that agrees with itself, but for the columns given."""
    rng = np.random.default_rng(3)
    shares = rng.dirichlet(np.ones(3), 40)
    predicted = shares.argmax(axis=1)
    columns = {
        "label": rng.integers(0, 3, 40),
        "prediction": predicted,
        "confidence": shares.max(axis=1),
        "adjusted_probs": pa.FixedSizeListArray.from_arrays(shares.ravel(), 3),
    }
    pq.write_table(pa.table({**columns, **other}), folder / "p.parquet")
    return folder / "p.parquet"


def test_a_confidence_that_is_not_the_predictions(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = predictions(folder)
    assert lacal("evaluate", path) == 0
    confidence = pq.read_table(path)["confidence"].to_numpy()
    for rounded in (confidence.round(3), confidence.astype(np.float32)):
        assert lacal("evaluate", predictions(folder, confidence=rounded)) == 0
    said = refusal(capfd, "evaluate", predictions(folder, confidence=confidence[::-1]))
    assert "so the columns are not of one run" in said
    said = refusal(capfd, "evaluate", predictions(folder, prediction=np.zeros(40, np.int64)))
    assert "gives its prediction, class 0" in said


def test_probabilities_beside_logits(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    logits = pa.FixedSizeListArray.from_arrays(np.zeros(120), 3)
    said = refusal(capfd, "evaluate", predictions(folder, adjusted_logits=logits))
    assert "both 'adjusted_probs' and 'adjusted_logits' could be meant" in said


@pytest.mark.parametrize("number", [2**40, 5 * 10**7])
def test_a_prediction_far_beyond_any_class(
    folder: Path, capfd: pytest.CaptureFixture[str], number: int
) -> None:
    predicted = np.where(np.arange(40) == 7, number, 0)
    pq.write_table(
        pa.table({"label": predicted * 0, "prediction": predicted}), folder / "b.parquet"
    )
    said = refusal(capfd, "evaluate", folder / "b.parquet")
    assert f"'prediction' of row 7 is the class number {number}" in said
    assert "expected one up to 1,000,000" in said
    texts = pa.table({"label": ["0"] * 40, "prediction": predicted.astype(str)})
    pq.write_table(texts, folder / "b.parquet")
    assert "'prediction' of row 7 is" in refusal(capfd, "evaluate", folder / "b.parquet")


def test_predictions_as_names_that_nobody_knows(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    names = ["cat", "dog"] * 20
    pq.write_table(pa.table({"label": names, "prediction": names}), folder / "n.parquet")
    said = refusal(capfd, "evaluate", folder / "n.parquet")
    assert "is 'cat', expected a class number (no class names are known" in said


def test_names_that_only_look_alike(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    logits = np.random.default_rng(0).normal(size=(9, 2))
    np.savez(
        folder / "nfc.npz", logits=logits, labels=np.arange(9) % 2, class_names=["a", "\u00e9"]
    )
    (folder / "nfd.csv").write_text("class,count\na,5\ne\u0301,3\n")
    said = refusal(capfd, "evaluate", folder / "nfc.npz", "--counts", folder / "nfd.csv")
    assert r"'e\u0301' and '\xe9' only look alike" in said


@pytest.mark.parametrize("link", ["symbolic", "hard"])
def test_a_part_that_is_there_twice(
    folder: Path, capfd: pytest.CaptureFixture[str], link: str
) -> None:
    parts = folder / "parts"
    parts.mkdir()
    logits = pa.FixedSizeListArray.from_arrays(np.arange(12.0), 3)
    for j in range(2):
        pq.write_table(
            pa.table({"label": [0, 1, 2, 0], "logits": logits}), parts / f"p-{j}.parquet"
        )
    assert lacal("evaluate", parts) == 0
    again = parts / "p-2.parquet"
    if link == "hard":
        again.hardlink_to(parts / "p-0.parquet")
    else:
        again.symlink_to("p-0.parquet")
    said = refusal(capfd, "evaluate", parts)
    assert "p-2.parquet: is the same file as" in said
    again.unlink()
    again.symlink_to("nowhere")
    refusal(capfd, "evaluate", parts)


@pytest.mark.parametrize("rule", ["-1,-5", "20,-5"])
def test_groups_below_no_training_count(
    folder: Path, capfd: pytest.CaptureFixture[str], rule: str
) -> None:
    line = ["evaluate", folder / "test.npz", "--counts", folder / "counts.csv", f"--groups={rule}"]
    assert f"--groups: got {rule}, expected training counts" in refusal(capfd, *line)


SPOILT: list[tuple[str, object]] = [
    ("rows", "x"),
    ("rows", -1),
    ("temperature", "hot"),
    ("weighted", "yes"),
    ("classes/0/group", ["few"]),
    ("groups/few/rule", 3),
    ("calibration/scheme", 15),
]


def test_a_baseline_with_a_spoilt_field(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = ["evaluate", folder / "test.npz", "--counts", folder / "counts.csv"]
    whole = folder / "before.json"
    assert lacal(*line, "--report", whole) == 0
    gate = [*line, "--baseline", folder / "spoilt.json", "--max-increase", "balanced_error=0.5"]
    (folder / "spoilt.json").write_text(whole.read_text())
    assert lacal(*gate) == 0
    for place, value in SPOILT:
        content = json.loads(whole.read_text())
        *path, last = place.split("/")
        held = content
        for step in path:
            held = held[int(step)] if step.isdigit() else held[step]
        assert last in held
        held[last] = value
        (folder / "spoilt.json").write_text(json.dumps(content))
        assert "spoilt.json: is damaged" in refusal(capfd, *gate), place


def test_scores_that_no_fit_can_square(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    val = world()
    logits = val.logits.astype(np.float64) * 1e300
    np.savez(folder / "large.npz", logits=logits, labels=val.labels)
    line = ["compare", folder / "large.npz", folder / "test.npz", "--counts", folder / "counts.csv"]
    found = json_of(capfd, *line, "--draws", 10)
    left_out = {one["name"]: one["reason"] for one in found["left_out"]}
    assert set(left_out) >= {"temperature", "class-offsets", "vector-scaling"}
    assert "beyond what fits can work with" in left_out["vector-scaling"]
