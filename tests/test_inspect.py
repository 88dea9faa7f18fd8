"""`inspect`: what it counts, and every finding provoked once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.small_world import COUNTS, json_of, lacal, world

VAL = world()


def findings(
    capfd: pytest.CaptureFixture[str], folder: Path, *more: object, **arrays: Any
) -> list[str]:
    """What `inspect` says of val.npz with some arrays replaced."""
    np.savez(folder / "val.npz", **{"logits": VAL.logits, "labels": VAL.labels, **arrays})
    found: list[str] = json_of(capfd, "inspect", folder / "val.npz", *more)["findings"]
    return found


def test_what_is_counted(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    seen = json_of(capfd, "inspect", folder / "val.npz", "--counts", folder / "counts.csv")
    assert (seen["rows"], seen["classes"], seen["dtype"]) == (60, 5, "float32")
    assert seen["support"] == [12] * 5
    assert seen["logits"] == {"min": float(VAL.logits.min()), "max": float(VAL.logits.max())}
    training = seen["training"]
    assert (training["total"], training["largest"], training["smallest"]) == (711, 500, 6)
    assert training["imbalance_ratio"] == pytest.approx(500 / 6)
    assert [training["groups"][name]["classes"] for name in ("many", "medium", "few")] == [2, 2, 1]
    assert seen["findings"] == []


def test_text(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert lacal("inspect", folder / "val.npz", "--counts", folder / "counts.csv") == 0
    out = capfd.readouterr().out
    for fragment in ("60 x 5", "float32", "500 .. 6", "2 many (> 100)", "nothing looks wrong"):
        assert fragment in out


def test_logits_alone(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    np.save(folder / "bare.npy", VAL.logits)
    seen = json_of(capfd, "inspect", folder / "bare.npy")
    assert (seen["labelled_rows"], seen["training"], seen["class_names"]) == (0, None, None)
    assert seen["findings"] == []


def test_constant_rows(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    logits = VAL.logits.copy()
    logits[:3] = 5
    assert findings(capfd, folder, logits=logits) == [
        "3 rows are constant: every class has the same logit"
    ]


def test_ties(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (found,) = findings(capfd, folder, logits=VAL.logits.round())
    assert "rows tie for the largest logit; coarse numbers?" in found


def test_chance(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (found,) = findings(
        capfd, folder, labels=(VAL.labels + 1) % 5, logits=20 * np.eye(5)[VAL.labels]
    )
    assert (
        "the balanced error, 100.0%, is that of guesses; are the labels in the order of the rows"
        in found
    )


def test_counts_in_another_order(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "c.json").write_text(str(list(COUNTS[::-1])))
    (found,) = findings(capfd, folder, "--counts", folder / "c.json")
    assert "are counts and logits in one class order?" in found


def test_unlabelled_rows_are_counted(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    labels = np.where(np.arange(60) < 7, 255, VAL.labels)
    np.savez(folder / "val.npz", logits=VAL.logits, labels=labels)
    seen = json_of(capfd, "inspect", folder / "val.npz", "--ignore-label", 255)
    assert (seen["labelled_rows"], seen["unlabelled_rows"]) == (53, 7)


def test_many_batches_count_as_one(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = json_of(capfd, "inspect", folder / "val.npz", "--counts", folder / "counts.csv")
    monkeypatch.setattr("lacal.rows.logits_source.BATCH_ELEMENTS", 35)
    parts = json_of(capfd, "inspect", folder / "val.npz", "--counts", folder / "counts.csv")
    assert parts == whole
