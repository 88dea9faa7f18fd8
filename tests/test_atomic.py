"""A final file appears whole or not at all."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lacal.atomic import _temporary, check_target, writing
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
    host = _temporary(tmp_path / "a").name.split(".")[2].split("-")[0]
    dead = tmp_path / f".a.{host}-{child.pid}-01234567.lacal-tmp"
    alive = tmp_path / f".a.{host}-1-01234567.lacal-tmp"
    ours = tmp_path / f".a.{host}-{os.getpid()}-01234567.lacal-tmp"
    other = tmp_path / f".b.{host}-{child.pid}-01234567.lacal-tmp"
    far = tmp_path / f".a.0123abcd-{child.pid}-01234567.lacal-tmp"
    for leftover in (dead, alive, ours, other, far):
        leftover.touch()
    check_target(tmp_path / "a", force=False)
    write(tmp_path / "a")
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "a", alive, ours, other, far])


@pytest.mark.parametrize("name", ["a", "😀" * 62])
def test_temporaries_differ_and_have_room(tmp_path: Path, name: str) -> None:
    some = {_temporary(tmp_path / name) for _ in range(10)}
    assert len(some) == 10
    assert all(len(one.name.encode()) <= 255 for one in some)


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


def test_a_target_is_never_a_part_of_an_input(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "1.parquet").touch()
    (tmp_path / "link").symlink_to(tmp_path / "parts" / "1.parquet")
    (tmp_path / "alias").symlink_to(tmp_path / "parts")
    for given in ("parts", "alias", "parts/*.parquet", "par*/?.parquet"):
        for target, fault in [
            ("parts/1.parquet", "is also an input"),
            ("link", "is also an input"),
            ("parts/2.parquet", "would be read as a part"),
            ("alias/2.parquet", "would be read as a part"),
        ]:
            with pytest.raises(UsageError, match=fault):
                check_target(tmp_path / target, force=True, inputs=(tmp_path / given,))
        check_target(tmp_path / "2.parquet", force=False, inputs=(tmp_path / given,))
    check_target(tmp_path / "parts" / "a.json", force=False, inputs=(tmp_path / "parts/*.parquet",))


def test_a_relative_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("1.parquet").touch()
    with pytest.raises(UsageError, match="would be read as a part"):
        check_target(Path("2.parquet"), force=False, inputs=(Path("*.parquet"),))


@pytest.mark.parametrize(
    "name", ["-", "/dev/stdout", "/dev/stderr", "/dev/fd/1", "/proc/self/fd/1"]
)
def test_stdout_is_no_target(name: str) -> None:
    """Also where a file is behind it."""
    with pytest.raises(UsageError, match="not supported; name a file"):
        check_target(Path(name), force=True)


def race(path: Path) -> None:
    """A run without --force whose target another writer makes meanwhile."""
    with writing(path, replace=False) as file:
        file.write(b"late")
        path.write_bytes(b"first")


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exists already; add --force"):
        race(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


@pytest.mark.parametrize("links", [True, False])
def test_a_new_file_with_links_and_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    with writing(tmp_path / "a", replace=False) as file:
        file.write(b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]
