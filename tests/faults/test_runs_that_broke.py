"""Runs of models and trainings that broke: what is said of changed inputs, and what is left."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lacal.errors import UsageError
from lacal.pipeline.plans import plan_differences
from lacal.pipeline.working_folder import check_plan, write_plan
from tests.small_world import lacal, refusal


def test_a_touched_input_is_told_in_words_with_the_way_on(tmp_path: Path) -> None:
    data = tmp_path / "x.npz"
    data.write_bytes(b"rows")
    folder = tmp_path / ".out.parts"
    folder.mkdir()

    def plan() -> dict[str, Any]:
        stat = data.stat()
        return {"model": "m", "files": [[data.name, stat.st_size, stat.st_mtime_ns]]}

    os.utime(data, ns=(0, 1_795_292_771_183_647_525))
    write_plan(folder, plan())
    os.utime(data, ns=(0, 1_795_292_999_000_000_000))
    with pytest.raises(UsageError) as error:
        check_plan(folder, plan(), tmp_path / "out")
    assert "the input x.npz was changed or copied at 2026-" in str(error.value)
    assert "(touch -d @1795292771.183647525 x.npz)" in str(error.value)
    assert "files[" not in str(error.value)
    os.utime(data, ns=(0, 1_795_292_771_183_647_525))
    check_plan(folder, plan(), tmp_path / "out")
    data.write_bytes(b"more rows")
    with pytest.raises(UsageError, match=r"the input x.npz had 4 bytes, has 9; run it as it was"):
        check_plan(folder, plan(), tmp_path / "out")


@pytest.mark.parametrize("old", [[], None, [["y", 1, 2]], [["x", 1]], [["x", "1", 2]], ["x"]])
def test_a_plan_from_a_disk_may_hold_anything(old: object) -> None:
    told = plan_differences({"files": old}, {"files": [["x", 1, 2]]})
    assert told
    assert told[0].startswith("files")
    assert not plan_differences({"files": [["x", 1, 2]]}, {"files": [["x", 1, 2]]})
    assert plan_differences(old, {"files": [["x", 1, 2]]})


def features(folder: Path) -> tuple[object, ...]:
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    labels = np.arange(30) % 3
    for seed, name in enumerate(("t.npz", "v.npz")):
        x = np.random.default_rng(seed).normal(size=(30, 4)) + labels[:, None]
        np.savez(folder / name, x=x.astype(np.float32), labels=labels)
    line = ("train", folder / "t.npz", "--val", folder / "v.npz", "--network", "linear")
    return (*line, "--epochs", 2, "-o", folder / "run")


@pytest.mark.parametrize("there", [False, True])
def test_a_run_that_diverges_at_once_leaves_nothing(
    folder: Path, capfd: pytest.CaptureFixture[str], there: bool
) -> None:
    line = features(folder)
    if there:
        (folder / "run").mkdir()
    refusal(capfd, *line, "--lr", 1e30, "--batch-size", 4, code=3)
    assert (folder / "run").exists() is there
    if there:
        assert list((folder / "run").iterdir()) == []
    assert lacal(*line) == 0


def test_what_was_killed_before_an_epoch_ended_is_free(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = features(folder)
    with monkeypatch.context() as patch:  # as after a kill: nobody tidies up
        patch.setattr("lacal.training.run_folder._kept_nothing", lambda path: False)
        refusal(capfd, *line, "--lr", 1e30, "--batch-size", 4, code=3)
        assert (folder / "run" / "config.json").exists()
        assert "finished epochs (0)" in refusal(capfd, *line)
    assert lacal(*line) == 0
    assert "holds a finished run" in refusal(capfd, *line)


def test_finished_epochs_stay_whatever_becomes_of_the_pointer(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = features(folder)
    assert lacal(*line) == 0
    run = folder / "run"
    (run / "summary.json").unlink()
    (run / "state" / "last.json").write_bytes(b"{")
    for name in ("metrics.jsonl", "best.safetensors", "last.safetensors"):
        assert "a broken run left" in refusal(capfd, *line)
        (run / name).unlink()
    assert "a broken run left" in refusal(capfd, *line)  # the checkpoints
