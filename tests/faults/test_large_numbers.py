"""Scores and scales near float64's end: what overflows is refused, and nothing else is said of the rest."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.small_world import lacal, refusal, world


def near_the_end(folder: Path) -> tuple[object, ...]:
    """val.npz and test.npz as float64, their largest score 1.7e308."""
    for name, seed in (("val", 0), ("test", 1)):
        split = world(seed=seed)
        logits = split.logits.astype("f8") / np.abs(split.logits).max() * 1.7e308
        np.savez(folder / f"{name}.npz", logits=logits, labels=split.labels)
    return ("--counts", folder / "counts.csv")


def test_an_adjustment_that_overflows(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Infinities would tie, and be the probabilities NaN."""
    counts, out = near_the_end(folder), folder / "p.parquet"
    line = ("adjust", folder / "test.npz", *counts, "--method", "prior-division", "--tau", 1)
    for more in ((), ("--write-scores", "probs"), ("--fit-temperature", folder / "val.npz")):
        message = refusal(capfd, *line, *more, "-o", out)
        place = folder / ("val.npz" if "--fit-temperature" in more else "test.npz")
        assert message.startswith(f"Error: {place}: the adjustment overflows on row 0, class ")
        assert "which is beyond float64; check the logits, the calibration and its tau" in message
        assert not out.exists()
    head = ("--method", "weight-norm", "--head", folder / "head.npz", "--bias", "keep")
    message = refusal(capfd, "tune-tau", folder / "val.npz", *counts, *head, "--grid=-8:0:1")
    assert message.startswith(f"Error: {folder / 'val.npz'}: the adjustment overflows on row ")


def test_a_scale_beyond_use(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kept, counts = folder / "c.json", ("--counts", folder / "counts.csv")
    line = ("compare", folder / "val.npz", folder / "test.npz", *counts, "--draws", 10)
    assert lacal(*line, "--keep", "vector-scaling", "-o", kept) == 0
    content = json.loads(kept.read_text())
    content["scale"][0] = 1.7e308
    kept.write_text(json.dumps(content))
    message = refusal(capfd, "evaluate", folder / "test.npz", "--calibration", kept)
    assert "the adjustment overflows on row 0, class 0; got logit " in message
    assert "times scale 1.7e+308 plus offset" in message


def test_large_scores_are_taken_without_a_word(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Rows beyond float32 are not all alike, and sums of a row may overflow: they are only looked at."""
    counts = near_the_end(folder)
    with np.load(folder / "val.npz") as held:
        logits = np.abs(held["logits"])
        np.savez(folder / "positive.npz", logits=logits, labels=held["labels"])
    assert lacal("evaluate", folder / "positive.npz", *counts) == 0
    assert lacal("compare", folder / "val.npz", folder / "test.npz", *counts, "--draws", 10) == 0
    told = capfd.readouterr().err
    assert "Warning" not in told
    assert "are among those" not in told
    said = refusal(capfd, "evaluate", folder / "val.npz", "--scores", "probs")
    assert "row 0 is no probability vector (sum " in said
