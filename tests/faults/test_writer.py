"""Of the writer and the disk: room is looked at before long work, order of files, what is said of a disk that fails."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from lacal import atomic
from lacal.atomic import check_room, check_target, make_folder, writing
from lacal.errors import RunError, UsageError
from lacal.pipeline.infer import infer
from tests.infer_source import names, sample
from tests.small_world import lacal, refusal
from tests.soak.disk import Call, listened
from tests.training.training_world import tiny_data


def little_room(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """A disk that has so many bytes free."""

    def statvfs(path: Any) -> os.statvfs_result:
        return os.statvfs_result(
            (512, 512, 10**9, free // 512, free // 512, 10**6, 10**6, 10**6, 0, 255)
        )

    monkeypatch.setattr(os, "statvfs", statvfs)


def test_room_is_looked_at_before_a_model_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100 rows of 5 classes take 2,000 bytes as parts, and once more as the file."""
    little_room(monkeypatch, 3584)
    source = sample()
    with pytest.raises(
        RunError, match=r"out\.npz: the disk has no room for it; needed about .* GiB"
    ):
        infer(source, tmp_path / "out.npz")
    assert source.started == [(0, 7)]
    assert names(tmp_path) == []
    little_room(monkeypatch, 4096)
    infer(source, tmp_path / "out.npz")
    assert names(tmp_path) == ["out.npz"]


def test_room_is_looked_at_before_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("safetensors")
    from lacal.training.run_folder import run_folder
    from lacal.training.train import train
    from tests.training.training_world import Heard, tiny_options

    little_room(monkeypatch, 512)
    heard = Heard()
    with (
        run_folder(tmp_path / "run", resume=False, force=False) as folder,
        pytest.raises(RunError, match="the disk has no room for it"),
    ):
        train(tiny_data(shape=(64,)), tiny_options(), folder, heard)
    assert heard.epochs == []


def test_a_disk_that_does_not_know_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = os.statvfs_result((512, 512, 0, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: unknown)
    check_room(tmp_path / "a", 1 << 40)


def names_given(folder: Path, *line: object) -> list[str]:
    """Final names in the order in which a command gives them."""
    calls: list[Call] = []
    with listened(folder, calls.append):
        assert lacal(*line) == 0
    return [one.to.name for one in calls if one.kind in ("rename", "link") and one.to is not None]


@pytest.mark.parametrize("force", [False, True])
def test_the_calibration_is_the_last_file_of_all(folder: Path, force: bool) -> None:
    tune = ("tune-tau", folder / "val.npz", "--draws", 10, "--report", folder / "r.md")
    keep = (
        "compare",
        folder / "val.npz",
        folder / "test.npz",
        "--draws",
        10,
        "--report",
        folder / "k.md",
    )
    more = ("--counts", folder / "counts.csv", *["--force"] * force)
    assert names_given(folder, *tune, "-o", folder / "c.json", *more) == ["r.md", "c.json"]
    kept = ("--keep", "logit-adjustment", "-o", folder / "d.json")
    assert names_given(folder, *keep, *kept, *more) == ["k.md", "d.json"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_full_disk_is_not_the_users_fault(
    folder: Path, capfd: pytest.CaptureFixture[str], number: int
) -> None:
    def full(call: Call) -> None:
        raise OSError(number, os.strerror(number))

    with listened(folder, full):
        line = ("adjust", folder / "val.npz", "--counts", folder / "counts.csv", "--tau", 1)
        said = refusal(capfd, *line, "-o", folder / "p.parquet", code=3)
    assert f"cannot be written to ({os.strerror(number)})" in said


def write(path: Path) -> None:
    with writing(path) as file:
        file.write(b"new")


def test_a_name_that_the_disk_did_not_confirm(tmp_path: Path) -> None:
    """The file is there: it would be a lie to say that nothing was changed."""

    def fails(call: Call) -> None:
        if call.kind == "fsync" and call.path == tmp_path:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with (
        listened(tmp_path, fails),
        pytest.raises(
            RunError, match=r"a: is written and whole, but the disk did not confirm its name"
        ),
    ):
        write(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("kind", ["open", "fsync"])
def test_folders_that_cannot_be_synced(tmp_path: Path, kind: str) -> None:
    """One that may be written to and not be listed; a file system that knows no such thing."""

    def refuses(call: Call) -> None:
        if call.kind == kind and call.path == tmp_path:
            raise OSError(errno.EACCES if kind == "open" else errno.EINVAL, "no")

    with listened(tmp_path, refuses):
        write(tmp_path / "a")
    assert names(tmp_path) == ["a"]


def test_a_folder_where_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "file")
    make_folder(tmp_path / "folder")
    make_folder(tmp_path / "folder")


def test_processes_that_are_gone_are_told_from_those_that_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_another(pid: int, signal: int) -> None:
        raise PermissionError

    assert not atomic._alive(2**22 + 5)  # above the largest there is
    assert atomic._alive(2**70)  # of no system that we know: not ours to remove
    monkeypatch.setattr(os, "kill", of_another)
    assert atomic._alive(1)


def test_a_system_that_tells_nothing_of_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(path: Path, **how: Any) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", nothing)
    assert atomic._alive(os.getpid())


def test_a_link_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def fails(call: Call) -> None:
        if call.kind == "link":
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def new() -> None:
        with writing(tmp_path / "a", replace=False) as file:
            file.write(b"new")

    with listened(tmp_path, fails), pytest.raises(RunError, match="nothing was changed"):
        new()
    assert names(tmp_path) == []


def test_a_name_with_a_nul(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a usable path"):
        check_target(tmp_path / "a\0b", force=False)
