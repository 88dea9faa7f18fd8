"""A file that another job changes while it is read ends the run with exit 3, and nothing is published."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lacal.errors import RunError
from lacal.formats import open_table
from lacal.rows.scores import ScoreDoor
from tests.faults.spoiling import (
    MAKERS,
    WORLD,
    csv_bytes,
    npy_bytes,
    parquet_bytes,
    table_of,
    written,
)
from tests.small_world import refusal

Capture = pytest.CaptureFixture[str]


# What another job does to the file.
def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0")


def append_within_a_tick(path: Path) -> None:
    times = path.stat()
    append(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def replace(path: Path) -> None:
    other = written(path.parent, "other", path.read_bytes())
    os.utime(other, ns=(1, 1))
    other.replace(path)


def overwrite(path: Path) -> None:
    path.write_bytes(bytes(len(path.read_bytes())))
    os.utime(path, ns=(2, 2))  # a clock may stand still between two writes


def shorten(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    "change", [append, append_within_a_tick, replace, overwrite, shorten, remove]
)
@pytest.mark.parametrize("suffix", [*MAKERS, ".csv"])
def test_a_file_that_changes_while_it_is_read(
    folder: Path,
    calibration: Path,
    capfd: Capture,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], None],
    suffix: str,
) -> None:
    path = written(folder, f"a{suffix}", csv_bytes() if suffix == ".csv" else MAKERS[suffix]())
    monkeypatch.setattr("lacal.rows.logits_source.BATCH_ELEMENTS", 50)
    check, calls = ScoreDoor.check, []

    def checked(self: ScoreDoor, block: Any, start: int) -> Any:
        calls.append(start)
        if len(calls) == 2:
            change(path)
        return check(self, block, start)

    monkeypatch.setattr(ScoreDoor, "check", checked)
    out, command = folder / "p.parquet", ["adjust", path, "--calibration", calibration]
    words = refusal(capfd, *command, "--allow-tuned-rows", "-o", out, code=3)
    assert f"{path}: was changed while it was read" in words
    assert not list(folder.glob("*p.parquet*"))


def test_a_part_that_changes_while_another_is_read(tmp_path: Path) -> None:
    for name in "ab":
        written(tmp_path, f"{name}.parquet", parquet_bytes(table_of()))
    blocks = open_table(tmp_path).blocks(["label"], 10)
    next(blocks)
    append(tmp_path / "b.parquet")
    with pytest.raises(RunError, match=r"b\.parquet: was changed while it was read"):
        list(blocks)


def test_a_file_between_two_passes(tmp_path: Path) -> None:
    path = written(tmp_path, "a.npy", npy_bytes(WORLD.logits))
    table = open_table(path)
    list(table.blocks([""], 10))
    table.read("")
    replace(path)
    with pytest.raises(RunError, match="was changed while it was read"):
        table.read("")


@pytest.mark.parametrize("suffix", MAKERS)
def test_a_file_that_is_gone_at_the_second_pass(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path, f"a{suffix}", MAKERS[suffix]())
    table = open_table(path)
    name = next(iter(table.fields))
    table.read(name)
    path.unlink()
    with pytest.raises(RunError, match="was changed while it was read"):
        table.read(name)
