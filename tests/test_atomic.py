"""A final file appears whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lacal.atomic import check_target, writing
from lacal.errors import RunError, UsageError


def write(path: Path, data: bytes = b"new") -> None:
    with writing(path) as file:
        file.write(data)


def fail(path: Path, error: Exception) -> None:
    with writing(path) as file:
        file.write(b"half")
        raise error


def test_the_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    with writing(tmp_path / "a") as file:
        file.write(b"new")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a").read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_failing_block_leaves_the_old_file_alone(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(ZeroDivisionError):
        fail(tmp_path / "a", ZeroDivisionError())
    assert (tmp_path / "a").read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_the_systems_refusal_becomes_a_run_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="could not be written"):
        fail(tmp_path / "a", OSError(28, "No space left on device"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755])
def test_the_mode_is_kept(tmp_path: Path, mode: int) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "a").chmod(mode)
    write(tmp_path / "a")
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_new_file_has_the_mode_of_a_plain_open(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write(tmp_path / "a")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "a").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "far" / "a")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "far" / "a").read_bytes() == b"new"
    assert list((tmp_path / "far").iterdir()) == [tmp_path / "far" / "a"]


@pytest.mark.parametrize("name", ["é" * 125 + ".json", "😀" * 62 + ".json", "a" * 250 + ".json"])
def test_a_name_as_long_as_the_system_takes(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    check_target(path, force=False)
    write(path)
    assert path.read_bytes() == b"new"


def test_leftovers_of_the_dead_are_swept_and_of_the_living_kept(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    dead = tmp_path / f".a.{child.pid}.lacal-tmp"
    alive = tmp_path / ".a.1.lacal-tmp"
    other = tmp_path / f".b.{child.pid}.lacal-tmp"
    for leftover in (dead, alive, other):
        leftover.touch()
    write(tmp_path / "a")
    assert not dead.exists()
    assert alive.exists()
    assert other.exists()


def test_an_existing_file_needs_force(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(UsageError, match="exists already; add --force"):
        check_target(tmp_path / "a", force=False)
    check_target(tmp_path / "a", force=True)
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


@pytest.mark.parametrize("force", [False, True])
def test_targets_that_cannot_be_files(tmp_path: Path, force: bool) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    for target, fault in [
        (tmp_path, "is a folder"),
        (tmp_path / "none" / "a", "does not exist; create it first"),
        (tmp_path / "file" / "a", "does not exist|is not a folder"),
        (tmp_path / "loop", "not a usable path|cannot be written"),
        (Path("/proc/self/a"), "cannot be written to"),
    ]:
        with pytest.raises(UsageError, match=fault):
            check_target(target, force=force)
    with pytest.raises(UsageError, match="exists already" if not force else "not a regular file"):
        check_target(tmp_path / "pipe", force=force)


def test_an_input_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "hard").hardlink_to(tmp_path / "a")
    for target in ("a", "link", "hard"):
        with pytest.raises(UsageError, match="is also an input"):
            check_target(tmp_path / target, force=True, inputs=(tmp_path / "a",))
