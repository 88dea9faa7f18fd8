"""Combinations that few type: tau 0 where a correction is refused, labels beside predictions, files of no kind."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.small_world import json_of, lacal, refusal, write_world


def test_a_calibration_that_changes_nothing_suits_corrected_logits(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    told = json.loads(calibration.read_text())
    calibration.write_text(json.dumps({**told, "tau": 0.0, "offset": [0.0] * 5}))
    found = json_of(capfd, "evaluate", folder / "test.npz", "--calibration", calibration)
    assert found["command"] == "evaluate"
    counts = ("--counts", folder / "counts.csv")
    line = ("adjust", folder / "test.npz", *counts, "--tau", 0, "--fit-temperature", folder / "val.npz", "-o", folder / "p.parquet")  # fmt: skip
    found = json_of(capfd, *line)
    assert found["temperature"]["n"] == 60


def test_labels_beside_predictions(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = folder / "p.parquet"
    pq.write_table(pa.table({"label": [0, 1], "prediction": [0, 1]}), path)
    np.save(folder / "labels.npy", np.array([0, 1]))
    line = ("evaluate", path, "--counts", folder / "counts.csv", "--labels", folder / "labels.npy")
    assert "their labels stand in the same file" in refusal(capfd, *line)


def test_a_run_that_is_no_file_of_numbers(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "odd.bin").write_bytes(bytes(range(256)))
    message = refusal(capfd, "compare", folder / "odd.bin", folder / "test.npz")
    assert "odd.bin" in message
    assert "is a model" not in message


def test_settings_that_are_no_tables(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_world(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool]\nlacal = 3\n")
    assert "expected a table for each command" in refusal(capfd, "inspect", "val.npz")
    for harmless in ("tool = 3\n", "[tool.other]\nx = 1\n"):
        (tmp_path / "pyproject.toml").write_text(harmless)
        assert lacal("inspect", "val.npz") == 0
