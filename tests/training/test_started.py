"""A second stage is given the rows that its first stage was: none that trained it may validate it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

from tests.small_world import lacal, refusal

NAMES = ("cat", "dog", "\x1b[31mgnu")


@pytest.fixture
def begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Any:
    """A finished run whose validation rows were cut off by a seed; the words that name its data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LACAL_TRAIN_THREADS", "1")
    chance = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [60, 30, 12])
    inputs = chance.normal(size=(labels.size, 4)) + labels[:, None]
    np.savez("data.npz", inputs=inputs.astype(np.float32), labels=labels, class_names=NAMES)
    words = ("train", "data.npz", "--val-fraction", "0.3")
    line = (*words, "--seed", "5", "--network", "linear", "--epochs", "2", "-o", "run")
    assert lacal(*line) == 0
    capfd.readouterr()
    return words


def test_another_seed_would_mix_the_rows(begun: Any, capfd: pytest.CaptureFixture[str]) -> None:
    stage = ("--start", "run", "--second-stage", "crt", "-o", "crt")
    assert "split and cut them as then (--seed was 5" in refusal(capfd, *begun, *stage)
    assert not Path("crt").exists()
    assert lacal(*begun, *stage, "--seed", "5", "--json") == 0
    found = json.loads(capfd.readouterr().out)
    assert found["carries"] == "prior"
    assert len(Path("crt/metrics.jsonl").read_text().splitlines()) == found["epochs"] > 0
    sums = [
        json.loads(Path(run, "config.json").read_text())["data_sha256"] for run in ("run", "crt")
    ]
    assert sums[0] == sums[1]


def test_other_data_are_refused(begun: Any, capfd: pytest.CaptureFixture[str]) -> None:
    stage = ("--start", "run", "--second-stage", "crt", "-o", "crt", "--seed", "5")
    with np.load("data.npz") as whole:
        inputs, labels = whole["inputs"], whole["labels"]
    np.savez("data.npz", inputs=inputs[:, :3], labels=labels, class_names=NAMES)
    assert "data.npz: examples are (3,), run was trained on (4,)" in refusal(capfd, *begun, *stage)
    np.savez("data.npz", inputs=inputs[:-4], labels=labels[:-4], class_names=NAMES)
    said = refusal(capfd, *begun, *stage)
    assert r"class \x1b[31mgnu has 6 training examples, 8 in run; give the data it was" in said
    assert "\x1b" not in said
    assert not Path("crt").exists()
