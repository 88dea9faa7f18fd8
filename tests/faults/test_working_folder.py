"""The folder of a long run when others are there too, or when the disk fails it."""

import errno
import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lacal.atomic import make_folder
from lacal.errors import RunError, UsageError
from lacal.pipeline import infer as infer_module
from lacal.pipeline import parts_store as module
from lacal.pipeline import working_folder as folders
from lacal.pipeline.infer import check_output, infer
from lacal.pipeline.working_folder import locked, working_folder
from tests.infer_source import content, names, sample, small_limits
from tests.small_world import lacal
from tests.soak.disk import Call, listened


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    small_limits(monkeypatch.setattr, 20)


def broken(target: Path) -> None:
    """A run that broke after some parts."""

    def stops(row: int) -> None:
        if row >= 70:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        infer(sample(before=stops), target)


@pytest.mark.parametrize("when", ["before it is opened", "before it is locked"])
def test_a_folder_whose_owner_removes_it_just_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    folder, target = tmp_path / ".out.parts", tmp_path / "out"
    times: list[str] = []

    def and_gone(work: Callable[..., Any]) -> Callable[..., None]:
        def call(*given: Any) -> None:
            work(*given)
            times.append(when)
            if len(times) == 1:
                shutil.rmtree(folder)

        return call

    if when == "before it is opened":
        monkeypatch.setattr(folders, "make_folder", and_gone(make_folder))
    else:
        monkeypatch.setattr(fcntl, "flock", and_gone(fcntl.flock))
    with locked(folder, target):
        assert names(folder) == ["lock"]
    assert len(times) == 2


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(file: Any, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuses)
    infer(sample(), tmp_path / "out.npz")
    assert names(tmp_path) == ["out.npz"]


def test_another_run_that_ends_while_it_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had finished rows when it was looked at, and has none when its lock is free."""
    answers = iter([20, 0, 0])
    monkeypatch.setattr(module, "rows_kept", lambda path: next(answers))
    check_output(tmp_path / "out.npz", force=False)
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["out.npz", "out"])
def test_another_run_that_wrote_the_output_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It ended between the look at the output and the lock."""
    target = tmp_path / name
    infer(sample(), target)
    before = content(target)
    monkeypatch.setattr(infer_module, "check_output", lambda path, **how: None)
    with pytest.raises(UsageError, match="already; add --force to replace"):
        infer(sample(), target)
    assert content(target) == before
    assert names(tmp_path) == [name]


def test_another_run_that_is_at_work_is_not_said_to_be_broken(tmp_path: Path) -> None:
    target = tmp_path / "out.npz"
    broken(target)
    with (
        locked(working_folder(target), target),
        pytest.raises(RunError, match="is writing it already; wait for it to end"),
    ):
        check_output(target, force=False)


def test_a_part_that_is_lost_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "out.npz"
    broken(target)

    def spoils(row: int) -> None:
        if row >= 98:
            (working_folder(target) / "part-00001.arrow").write_bytes(b"ARROW1")

    with pytest.raises(RunError, match=r"part-00001\.arrow: could not be read back \(.*--resume"):
        infer(sample(before=spoils), target, resume=True)
    assert names(tmp_path) == [".out.npz.parts"]
    infer(sample(), target, resume=True)
    alone = tmp_path / "alone" / target.name
    alone.parent.mkdir()
    infer(sample(), alone)
    assert content(target) == content(alone)


@pytest.mark.parametrize("force", [False, True])
def test_parts_that_cannot_be_removed(tmp_path: Path, force: bool) -> None:
    target = tmp_path / "out.npz"
    broken(target)
    (working_folder(target) / "part-00009.arrow").touch()

    def stuck(call: Call) -> None:
        if call.kind == "unlink" and call.path.suffix == ".arrow":
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with (
        listened(tmp_path, stuck),
        pytest.raises(RunError, match=r"out\.npz: could not be written"),
    ):
        infer(sample(), target, resume=not force, force=force)
    infer(sample(), target, resume=True)
    assert names(tmp_path) == ["out.npz"]


def test_a_folder_comes_back_where_the_new_one_cannot_be_put(tmp_path: Path) -> None:
    target = tmp_path / "out"
    infer(sample(), target)
    old = content(target)

    def stuck(call: Call) -> None:
        if call.kind == "rename" and call.path.name == "whole":
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with listened(tmp_path, stuck), pytest.raises(RunError, match="Input/output error"):
        infer(sample(seed=1), target, force=True)
    assert content(target) == old


def test_a_new_folder_that_cannot_be_put_there(tmp_path: Path) -> None:
    def stuck(call: Call) -> None:
        if call.kind == "rename" and call.path.name == "whole":
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with listened(tmp_path, stuck), pytest.raises(RunError, match="Input/output error"):
        infer(sample(), tmp_path / "out")
    assert names(tmp_path) == [".out.parts"]


def test_a_probe_that_stayed_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the result is a folder, which no writer of single files sweeps for."""

    def stuck(call: Call) -> None:
        if call.kind == "unlink":
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with listened(tmp_path, stuck), pytest.raises(RunError):
        infer(sample(), tmp_path / "out")
    assert len(names(tmp_path)) == 1
    monkeypatch.setattr("lacal.atomic._alive", lambda pid: False)
    infer(sample(), tmp_path / "out")
    assert names(tmp_path) == ["out"]


def train(folder: Path, *more: object) -> int:
    pytest.importorskip("safetensors")
    import numpy as np

    labels = np.arange(30) % 3
    for seed, name in enumerate(("train.npz", "val_features.npz")):
        features = np.random.default_rng(seed).normal(size=(30, 4)) + labels[:, None]
        np.savez(folder / name, x=features.astype(np.float32), labels=labels)
    line = ("train", folder / "train.npz", "--val", folder / "val_features.npz")
    return lacal(*line, "--network", "linear", "--epochs", 1, "-o", folder / "run", *more)


def test_a_run_that_cannot_be_replaced(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert train(folder) == 0
    before = content_of_run(folder / "run")

    def stuck(call: Call) -> None:
        if call.kind == "unlink" and call.path.name == "summary.json":
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    capfd.readouterr()
    with listened(folder, stuck):
        assert train(folder, "--force") == 3
    assert "run: could not be written (Input/output error)" in capfd.readouterr().err
    assert content_of_run(folder / "run") == before
    (folder / "run" / "summary.json").unlink()
    (folder / "run" / "state" / "last.json").write_bytes(b"{")
    assert train(folder) == 2
    assert "a broken run left finished epochs (0)" in capfd.readouterr().err


def content_of_run(run: Path) -> dict[str, bytes]:
    return {
        str(one): one.read_bytes() for one in run.rglob("*") if one.is_file() and one.name != "lock"
    }
