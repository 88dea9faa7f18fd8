"""Faults that were found by trying, each kept as the case that showed it."""

from pathlib import Path

import numpy as np
import pytest

from lacal.methods import METHODS
from lacal.tau.path import TauPath
from lacal.tau.resampling import Sample
from lacal.tau.selection import Lattice
from tests.small_world import COUNTS, json_of, lacal, refusal, world


def test_predictions_with_unlabelled_rows_are_read_again(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    test = world(seed=1)
    labels = np.where(np.arange(60) < 10, -1, test.labels)
    np.savez(folder / "part.npz", logits=test.logits, labels=labels)
    output = folder / "part.parquet"
    line = ["--counts", folder / "counts.csv", "--tau", 1, "-o", output, "--ignore-label", -1]
    written = json_of(capfd, "adjust", folder / "part.npz", *line)
    read = json_of(capfd, "evaluate", output, "--counts", folder / "counts.csv")
    assert read["balanced_error"] == written["adjusted"]["balanced_error"]
    assert read["balanced_error"]["n"] == 50


def test_text_labels_are_names_where_names_are_numbers(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"{j + 1},{count}\n" for j, count in enumerate(COUNTS))
    (folder / "numbered.csv").write_text("class,count\n" + rows)
    test = world(seed=1)
    texts = {"names": test.labels + 1, "numbers": test.labels}
    for name, values in texts.items():
        np.savez(folder / f"{name}.npz", logits=test.logits, labels=values.astype(str))
    plain = json_of(capfd, "evaluate", folder / "test.npz")
    named = json_of(capfd, "evaluate", folder / "names.npz", "--counts", folder / "numbered.csv")
    assert named["balanced_error"] == plain["balanced_error"]
    message = refusal(
        capfd, "evaluate", folder / "numbers.npz", "--counts", folder / "numbered.csv"
    )
    assert "class names, which are numbers themselves" in message


@pytest.mark.parametrize("grid", ["0.85:0.87:0.001", "1e15:1000000000000040:1", "0:41:1"])
def test_grids_nothing_can_be_picked_from(
    folder: Path, capfd: pytest.CaptureFixture[str], grid: str
) -> None:
    line = ["tune-tau", folder / "val.npz", "--counts", folder / "counts.csv", "--grid", grid]
    assert "--grid" in refusal(capfd, *line, "-o", folder / "c.json")
    assert not (folder / "c.json").exists()


@pytest.mark.parametrize("method", ["prior-division", "weight-norm"])
@pytest.mark.parametrize("scores", ["probs", "log-probs"])
def test_methods_that_divide_need_logits(
    folder: Path, capfd: pytest.CaptureFixture[str], method: str, scores: str
) -> None:
    line = ["tune-tau", folder / "val.npz", "--counts", folder / "counts.csv", "--method", method]
    if method == "weight-norm":
        line += ["--head", folder / "head.npz"]
    assert "raw logits" in refusal(capfd, *line, "--scores", scores)


def test_coarse_logits_that_repeat_by_chance_are_no_overlap(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    (folder / "two.csv").write_text("class,count\n0,100\n1,10\n")
    for split in ("a", "b"):
        labels = rng.integers(0, 2, 3000)
        logits = np.round(3 * rng.standard_normal((3000, 2)) + 4 * np.eye(2)[labels])
        np.savez(folder / f"{split}.npz", logits=logits.astype(np.int8), labels=labels)
    line = ["tune-tau", folder / "a.npz", "--counts", folder / "two.csv", "--draws", 10]
    assert lacal(*line, "-o", folder / "c.json") == 0
    assert lacal("evaluate", folder / "b.npz", "--calibration", folder / "c.json") == 0


def test_a_few_rows_in_common_are_no_overlap(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    val, test = world(rows=10), world(rows=60, seed=1)
    logits = test.logits.copy()
    logits[0] = val.logits[0]
    np.savez(folder / "few.npz", logits=val.logits, labels=val.labels)
    np.savez(folder / "other.npz", logits=logits, labels=test.labels)
    line = ["tune-tau", folder / "few.npz", "--counts", folder / "counts.csv", "--draws", 10]
    assert lacal(*line, "-o", folder / "c.json") == 0
    assert lacal("evaluate", folder / "other.npz", "--calibration", folder / "c.json") == 0


def test_a_search_that_misses_the_optimum_says_so(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = ["tune-tau", folder / "val.npz", "--counts", folder / "counts.csv", "--draws", 10]
    found = json_of(capfd, *line, "--grid", "3:4:0.1")
    assert found["at_edge"]
    assert any("outside the range" in one for one in found["warnings"])


def test_smoothing_does_not_outweigh_many_rows() -> None:
    # A steep notch: the smoothed curve's minimum lies far from it, on the gentle side.
    rows = 4000
    labels = np.arange(rows) % 2
    high = np.where(np.arange(rows) < rows // 2, 1.0, np.linspace(1.0, 6.0, rows))
    path = TauPath(labels, np.arange(rows), np.full(rows, 0.9), high, 2)
    sample = Sample.on(
        path, path.right_at(0.0), Lattice.over(0.0, 4.0, METHODS["logit-adjustment"])
    )
    for rule in ("smoothed", "shrunk"):
        node = sample.picker(rule).pick(sample.curve()[None])[0]
        tau = float(sample.lattice.taus[node])
        assert 0.9 <= tau <= 1.1, (rule, tau)
