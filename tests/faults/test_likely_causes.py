"""What a user most likely did is named: shuffled counts, transposed logits, negative logits, files in each other's place."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.small_world import json_of, lacal, refusal

K, ROWS = 20, 1500
COUNTS = np.geomspace(2000, 4, K).astype(np.int64)
BESIDE = "put the labels beside each one's logits"


@pytest.fixture
def tail(tmp_path: Path) -> Path:
    """A model that takes after its counts, these counts, and the same in another order."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, K, ROWS)
    logits = rng.normal(size=(ROWS, K)) + np.log(COUNTS / COUNTS.sum())
    logits[np.arange(ROWS), labels] += 3.5
    logits = logits.astype(np.float32)
    np.savez(tmp_path / "val.npz", logits=logits, labels=labels)
    np.savez(tmp_path / "negative.npz", logits=logits - 30, labels=labels)
    np.savez(tmp_path / "wide.npz", logits=logits.T, labels=labels)
    np.save(tmp_path / "unlabelled.npy", logits)
    np.save(tmp_path / "counts.npy", COUNTS)
    np.save(tmp_path / "shuffled.npy", np.random.default_rng(1).permutation(COUNTS))
    lines = [f"class_{j},{count}" for j, count in enumerate(COUNTS.tolist())]
    (tmp_path / "counts.csv").write_text("\n".join(["class,count", *lines]))
    (tmp_path / "list.txt").write_text("a/1.jpg cat\na/2.jpg dog\n")
    return tmp_path


def warnings(capfd: pytest.CaptureFixture[str], *line: object) -> list[str]:
    found: list[str] = json_of(capfd, *line, "--draws", 50)["warnings"]
    return found


def test_shuffled_counts_are_a_cause_of_an_unsure_gain(
    tail: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (found,) = warnings(capfd, "tune-tau", tail / "val.npz", "--counts", tail / "shuffled.npy")
    assert found.startswith("the interval of the gain includes 0; more validation rows would tell;")
    assert found.endswith("are both in one class order?")
    assert not warnings(capfd, "tune-tau", tail / "val.npz", "--counts", tail / "counts.npy")


def test_an_unsure_gain_of_counts_in_order_is_no_matter_of_their_order(
    tail: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with np.load(tail / "val.npz") as rows:
        np.savez(tail / "few.npz", logits=rows["logits"][:30], labels=rows["labels"][:30])
        assert np.unique(rows["labels"][:30]).size >= 10  # fewer are not judged
    line = ("tune-tau", tail / "few.npz", "--counts", tail / "counts.npy", "--grid", "0:0.3:0.1")
    found = warnings(capfd, *line)
    assert "the interval of the gain includes 0; more validation rows would tell" in found


@pytest.mark.parametrize(("counts", "finds"), [("shuffled.npy", True), ("counts.npy", False)])
def test_shuffled_counts_are_a_finding(
    tail: Path, capfd: pytest.CaptureFixture[str], counts: str, *, finds: bool
) -> None:
    found = json_of(capfd, "inspect", tail / "val.npz", "--counts", tail / counts)["findings"]
    assert any("not predicted more often" in one for one in found) is finds


def test_negative_logits_are_why_division_does_not_help(
    tail: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = ("tune-tau", tail / "negative.npz", "--counts", tail / "counts.npy")
    (found,) = warnings(capfd, *line, "--method", "prior-division")
    assert "are the logits negative (dividing those favours common classes: try --method" in found


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (("tune-tau", "wide.npz", "--counts", "counts.npy"), "are the logits transposed? save logits.T"),
        (("tune-tau", "counts.csv", "--counts", "counts.npy"), "is it the file of class counts? that is for --counts"),
        (("tune-tau", "val.npz", "--counts", "list.txt"), "of class names, write a table `class,count`"),
        (("compare", "val.npz", "unlabelled.npy", "--counts", "counts.npy"), f"unlabelled.npy: has no labels; {BESIDE}"),
        (("compare", "unlabelled.npy", "val.npz", "--counts", "counts.npy"), f"unlabelled.npy: has no labels; {BESIDE}"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_cause(
    tail: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    line: Sequence[str],
    said: str,
) -> None:
    monkeypatch.chdir(tail)
    assert said in refusal(capfd, *line)


def test_a_calibration_says_what_rows_and_columns_are(
    tail: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    chosen = tail / "cal.json"
    assert not lacal("tune-tau", tail / "val.npz", "--counts", tail / "counts.npy", "-o", chosen)
    capfd.readouterr()
    np.save(tail / "wide.npy", np.load(tail / "unlabelled.npy").T)
    said = refusal(
        capfd, "adjust", tail / "wide.npy", "--calibration", chosen, "-o", tail / "p.parquet"
    )
    assert "they must be of the same model (a row an example, a column a class)" in said
