"""Faults of run folders and options that were found by trying to break them, each as it was found."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from lacal.atomic import writing
from lacal.errors import LacalError, RunError, UsageError
from lacal.training.checkpoint import Checkpoint, keep
from lacal.training.options import TrainOptions
from lacal.training.run_folder import BEST, COUNTS, FILES, LAST, METRICS, RunFolder, run_folder
from lacal.training.schedule import check_options, parse_schedule
from lacal.training.train import train
from tests.training.training_world import Heard, Stop, StopsAt, tiny_data, tiny_options

DATA = tiny_data()
STEPS = 6  # of an epoch
NOT_TEXT = os.fsdecode(b"\xff\xfez")
MARK = "0a1b2c3d-1-0a1b2c3d"


def trained(path: Path, heard: Heard | None = None, *, force: bool = False, **given: Any) -> None:
    options = tiny_options(**given)
    with run_folder(path, resume=not force, force=force) as folder:
        train(DATA, options, folder, heard or Heard())


def stopped(path: Path) -> None:
    """A run that was broken in its third epoch."""
    with pytest.raises(Stop):
        trained(path, StopsAt(at=2 * STEPS))


def content(path: Path) -> dict[str, bytes]:
    files = (one for one in path.rglob("*") if one.is_file() and one.name != "lock")
    return {str(one.relative_to(path)): one.read_bytes() for one in files}


def test_a_run_may_be_at_a_path_that_is_no_text(tmp_path: Path) -> None:
    trained(tmp_path / "run")
    stopped(tmp_path / NOT_TEXT)
    trained(tmp_path / NOT_TEXT)
    other, same = content(tmp_path / "run"), content(tmp_path / NOT_TEXT)
    assert other.keys() == same.keys()
    assert [other[name] for name in (BEST, LAST)] == [same[name] for name in (BEST, LAST)]


@pytest.mark.parametrize("spoilt", [b"class,count\n0,12\n1,9\n", b"\xff", None])
def test_files_that_tell_of_the_run_are_written_anew_as_it_goes_on(
    tmp_path: Path, spoilt: bytes | None
) -> None:
    stopped(tmp_path / "run")
    counts = (tmp_path / "run" / COUNTS).read_bytes()
    for name in (COUNTS, METRICS):
        (tmp_path / "run" / name).unlink()
        if spoilt is not None:
            (tmp_path / "run" / name).write_bytes(spoilt)
    trained(tmp_path / "run")
    assert (tmp_path / "run" / COUNTS).read_bytes() == counts
    lines = (tmp_path / "run" / METRICS).read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == list(range(tiny_options().epochs))


def test_a_path_that_is_no_text_is_written_as_it_is_shown(tmp_path: Path) -> None:
    RunFolder(tmp_path, resume=False).write_json("config.json", {"data": f"d/{NOT_TEXT}", "ä": 1})
    text = (tmp_path / "config.json").read_text("utf-8")
    assert json.loads(text) == {"data": r"d/\udcff\udcfez", "ä": 1}
    assert "ä" in text


def test_what_only_resembles_a_file_of_lacal_stays(tmp_path: Path) -> None:
    path = tmp_path / "run"
    mine = {
        "state/epoch-mine.safetensors",
        "state/epoch-1.safetensors",
        "state/epoch-00001mine.safetensors",
        f"state/.mine.{MARK}.lacal-tmp",
        "state/.mine.lacal-tmp",
        "state/.epoch-mine.lacal-tmp",
        ".mine.lacal-tmp",
        f".notes.txt.{MARK}.lacal-tmp",
    }
    trained(path, epochs=1)
    for name in mine:
        (path / name).write_text("mine")
    trained(path, force=True, epochs=2)
    assert mine <= content(path).keys()


def test_force_removes_what_a_kill_left_half_written(tmp_path: Path) -> None:
    path = tmp_path / "run"
    trained(path, epochs=1)
    names = (*FILES, "state/last.json", "state/plan.json", "state/epoch-00007.safetensors")
    left = [(path / name).with_name(f".{Path(name).name}.{MARK}.lacal-tmp") for name in names]
    for one in left:
        one.write_text("half")
    trained(path, force=True, epochs=1)
    assert not [one for one in left if one.exists()]


@pytest.mark.parametrize("gone", ["state/last.json", "state/plan.json", "state"])
def test_a_run_that_lost_what_tells_of_it_is_not_begun_again(tmp_path: Path, gone: str) -> None:
    path = tmp_path / "run"
    stopped(path)
    for one in (path / gone).iterdir() if gone == "state" else [path / gone]:
        one.unlink()
    before = content(path)
    with pytest.raises(LacalError, match="start anew with --force") as error:
        trained(path)
    assert error.value.exit_code == 2
    assert content(path) == before
    trained(path, force=True)


def test_a_finished_run_without_its_plan_is_not_cleared(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with run_folder(path, resume=False, force=False) as folder:
        folder.begin({}, {}, np.array([2, 1]), None)
        folder.finish({})
    (path / "state/plan.json").unlink()
    before = content(path)
    with (
        run_folder(path, resume=True, force=False) as folder,
        pytest.raises(UsageError, match="plan cannot be read; start anew with --force"),
    ):
        folder.begin({}, {}, np.array([2, 1]), None)
    assert content(path) == before


def test_a_stop_before_the_first_checkpoint_is_told_of_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"
    with monkeypatch.context() as patch:  # as after a kill: nobody tidies up
        patch.setattr("lacal.training.run_folder._kept_nothing", lambda path: False)
        with pytest.raises(Stop):
            trained(path, StopsAt(at=1))
    (path / "state/epoch-00001.safetensors").write_bytes(b"written, and not yet pointed to")
    trained(path)
    trained(tmp_path / "alone")
    ours, alone = content(path), content(tmp_path / "alone")
    assert ours["last.safetensors"] == alone["last.safetensors"]


def test_pruning_leaves_foreign_files(tmp_path: Path) -> None:
    mine = ["epoch-mine.safetensors", ".epoch-mine.lacal-tmp", "epoch-00009.safetensors.bak"]
    for name in mine:
        (tmp_path / name).write_text("mine")
    keep(tmp_path, Checkpoint((), -1, {"weight": torch.zeros(1)}, {}, {}))
    assert {one.name for one in tmp_path.iterdir()} >= set(mine)


@pytest.mark.parametrize("name", [*FILES[1:], "state/last.json", "state/plan.json"])
def test_a_folder_where_a_file_belongs_is_found_first(tmp_path: Path, name: str) -> None:
    path = tmp_path / "run"
    with run_folder(path, resume=False, force=False) as folder:
        folder.begin({}, {}, np.array([2, 1]), None)
    (path / name).unlink(missing_ok=True)
    (path / name).mkdir()
    before = content(path)
    for resume in (False, True):
        with (
            pytest.raises(UsageError, match=f"{name}: is a folder"),
            run_folder(path, resume=resume, force=not resume),
        ):
            pass
    assert content(path) == before


@pytest.mark.parametrize(
    ("number", "space"),
    [
        (errno.ENOSPC, True),
        (errno.EDQUOT, True),
        (errno.EFBIG, True),
        (errno.EISDIR, False),
        (errno.ENOENT, False),
    ],
)
def test_space_is_asked_for_where_it_lacks(tmp_path: Path, number: int, space: bool) -> None:
    def fail() -> None:
        with writing(tmp_path / "a"):
            raise OSError(number, os.strerror(number))

    with pytest.raises(RunError, match=r"nothing was changed, .*choose another place") as error:
        fail()
    assert ("free some space" in str(error.value)) == space


def test_a_weight_decay_that_is_too_high_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError) as error:
        trained(tmp_path / "run", weight_decay=1e30, lr=0.1)
    said = str(error.value)
    assert "a weight decay of 1e+30 at a learning rate of 0.1 makes weights grow" in said
    assert "try --weight-decay 0.0005" in said
    assert "--lr" not in said


def test_augmentation_of_arrays_may_be_a_recipes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="turn a recipe's off with --augment ''"):
        trained(tmp_path / "run", augment="flip")


def test_half_a_schedule_is_not_mended_with_itself() -> None:
    with pytest.raises(UsageError, match="expected constant, cosine, or step:EPOCH") as error:
        parse_schedule("step")
    assert "Did you mean" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"epochs": 2, "warmup": 3}, "--warmup: got 3 with --epochs 2"),
        ({"epochs": 99, "schedule": "step:99:0.1"}, "the step at epoch 99"),
        ({"epochs": 2, "schedule": "step:2:0.1"}, "the step at epoch 2"),
        ({"epochs": 9, "schedule": "step:2,9:0.1,0.01"}, "the step at epoch 9"),
    ],
)
def test_what_the_epochs_end_before_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as error:
        check_options(TrainOptions(**given))
    assert said in str(error.value)
    assert "a recipe's is made for its own --epochs" in str(error.value)
    check_options(TrainOptions(**{**given, "epochs": given["epochs"] + 1}))


def test_a_warm_up_of_all_epochs_reaches_its_peak() -> None:
    check_options(TrainOptions(epochs=5, warmup=5))
    check_options(TrainOptions(epochs=1, schedule="constant"))
