"""The writer at its edges: its refusals in whole sentences, names of temporaries, modes, and whose leftovers go."""

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lacal import atomic
from lacal.atomic import check_room, check_target, make_folder, sweep, sync_folder, writing
from lacal.errors import LacalError, RunError, UsageError
from tests.soak.disk import Call, listened


def refused(kind: type[LacalError], act: Callable[[], object]) -> str:
    with pytest.raises(kind) as caught:
        act()
    return str(caught.value)


def write(path: Path, data: bytes = b"new", *, replace: bool = True) -> None:
    with writing(path, replace=replace) as file:
        file.write(data)


def fails(number: int, *kinds: str) -> Callable[[Call], None]:
    """These calls fail."""

    def heard(call: Call) -> None:
        if call.kind in kinds:
            raise OSError(number, os.strerror(number))

    return heard


def test_every_refusal_in_a_whole_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "1.parquet").touch()
    os.mkfifo(tmp_path / "pipe")
    parts = tmp_path / "parts"
    cases: list[tuple[Path, dict[str, Any], str]] = [
        (Path("-"), {}, "-: writing to stdout is not supported; name a file"),
        (parts, {}, f"{parts}: is a folder; name the file to write"),
        (tmp_path / "file" / "a", {}, f"{tmp_path}/file/a: {tmp_path}/file is not a folder; name another place"),
        (tmp_path / "no" / "a", {}, f"{tmp_path}/no/a: folder {tmp_path}/no does not exist; create it first"),
        (
            tmp_path / "file",
            {"inputs": (tmp_path / "no", tmp_path / "file")},
            f"{tmp_path}/file: is also an input and would be overwritten; name another file",
        ),
        (
            parts / "2.parquet",
            {"inputs": (tmp_path / "file", parts)},
            f"{parts}/2.parquet: would be read as a part of the input {parts}; name a file elsewhere",
        ),
        (tmp_path / "file", {}, f"{tmp_path}/file: exists already; add --force to replace it"),
        (
            tmp_path / "pipe",
            {"force": True},
            f"{tmp_path}/pipe: is not a regular file; name one that can be replaced",
        ),
        (tmp_path / "a\0b", {}, f"{tmp_path}/a\0b: is not a usable path (embedded null byte)"),
    ]  # fmt: skip
    for path, options, sentence in cases:
        given = {"force": False, **options}
        assert refused(UsageError, lambda p=path, g=given: check_target(p, **g)) == sentence  # type: ignore[misc]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "parts", "pipe"]


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, RunError),
        (errno.EDQUOT, RunError),
        (errno.EFBIG, RunError),
        (errno.EIO, RunError),
        (errno.EACCES, UsageError),
        (errno.EROFS, UsageError),
    ],
)
def test_whose_fault_a_folder_is_that_takes_no_file(
    tmp_path: Path, number: int, kind: type[LacalError]
) -> None:
    for call in ("open", "unlink"):
        with listened(tmp_path, fails(number, call)):
            said = refused(kind, lambda: check_target(tmp_path / "a", force=False))
        assert said == (
            f"{tmp_path}/a: folder {tmp_path} cannot be written to ({os.strerror(number)}); choose another"
        )


def test_room_in_a_whole_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """2,048 blocks of 1 MiB are for users, though more are free."""
    some = os.statvfs_result((4096, 1 << 20, 10**6, 5000, 2048, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: some if path == tmp_path else None)
    check_room(tmp_path / "a", 2 << 30)
    assert refused(RunError, lambda: check_room(tmp_path / "a", (2 << 30) + (1 << 28))) == (
        f"{tmp_path}/a: the disk has no room for it; needed about 2.25 GiB, free 2 GiB; free some space or choose "
        "another place"
    )


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free some space or choose another place"),
        (errno.EDQUOT, "free some space or choose another place"),
        (errno.EFBIG, "free some space or choose another place"),
        (errno.EIO, "choose another place"),
        (errno.EACCES, "choose another place"),
    ],
)
@pytest.mark.parametrize("kind", ["open", "write", "fsync", "chmod", "rename"])
def test_what_is_said_of_a_call_that_fails(
    tmp_path: Path, kind: str, number: int, advice: str
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def heard(call: Call) -> None:
        if call.kind == kind and call.path != tmp_path:
            raise OSError(number, os.strerror(number))

    with listened(tmp_path, heard):
        said = refused(RunError, lambda: write(path))
    assert (
        said
        == f"{path}: could not be written ({os.strerror(number)}); nothing was changed, {advice}"
    )
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_that_is_not_confirmed_in_a_whole_sentence(tmp_path: Path) -> None:
    def heard(call: Call) -> None:
        if call.kind == "fsync" and call.path == tmp_path:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with listened(tmp_path, heard):
        said = refused(RunError, lambda: write(tmp_path / "a"))
    assert said == (
        f"{tmp_path}/a: is written and whole, but the disk did not confirm its name (Input/output error); it may be "
        "gone after a power failure, check the disk and write it again"
    )


def test_an_error_without_words_of_the_system(tmp_path: Path) -> None:
    def act() -> None:
        with writing(tmp_path / "a"):
            raise OSError("a library's words\nand its advice")

    assert "could not be written (a library's words); nothing" in refused(RunError, act)


@pytest.mark.parametrize(
    "number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK]
)
def test_a_file_system_without_links(tmp_path: Path, number: int) -> None:
    with listened(tmp_path, fails(number, "link")):
        write(tmp_path / "a", replace=False)
    assert (tmp_path / "a").read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_name_that_is_taken_meanwhile_in_a_whole_sentence(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"first")
    said = refused(UsageError, lambda: write(tmp_path / "a", replace=False))
    assert said == f"{tmp_path}/a: exists already; add --force to replace it"
    assert (tmp_path / "a").read_bytes() == b"first"


@pytest.mark.parametrize(
    "number", [errno.EINVAL, errno.EBADF, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS]
)
def test_a_file_system_that_does_not_sync_folders(tmp_path: Path, number: int) -> None:
    with listened(tmp_path, fails(number, "fsync")):
        sync_folder(tmp_path)


def test_a_folder_is_closed_again_however_its_sync_ends(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - it holds itself
    for number in (errno.EINVAL, errno.EIO):
        with listened(tmp_path, fails(number, "fsync")):
            if number == errno.EIO:
                with pytest.raises(OSError, match="Input/output"):
                    sync_folder(tmp_path)
            else:
                sync_folder(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_new_folder_has_its_name_synced(tmp_path: Path) -> None:
    calls: list[Call] = []
    with listened(tmp_path, calls.append):
        make_folder(tmp_path / "new")
        make_folder(tmp_path / "new")
    assert [(one.kind, one.path) for one in calls if one.kind == "fsync"] == [("fsync", tmp_path)]


def test_a_new_name_is_synced_after_its_bytes(tmp_path: Path) -> None:
    calls: list[Call] = []
    with listened(tmp_path, calls.append):
        write(tmp_path / "a")
    told = [(one.kind, one.path == tmp_path) for one in calls]
    order = [
        ("open", False),
        ("write", False),
        ("fsync", False),
        ("chmod", False),
        ("rename", False),
        ("fsync", True),
    ]
    places = [told.index(one) for one in order]
    assert places == sorted(places)


def test_the_name_of_a_temporary(tmp_path: Path) -> None:
    name = atomic._temporary(tmp_path / ("x" * 60)).name
    assert re.fullmatch(rf"\.x{{50}}\.[0-9a-f]{{8}}-{os.getpid()}-[0-9a-f]{{8}}\.lacal-tmp", name)
    assert atomic._temporary(tmp_path / "a").parent == tmp_path


def test_two_hosts_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def host_of(name: str) -> str:
        told = os.uname_result(("Linux", name, "", "", ""))
        monkeypatch.setattr(os, "uname", lambda: told)
        return atomic._host()

    hosts = [host_of(name) for name in ("a", "b", "h\udcff", "")]
    assert len(set(hosts)) == 4
    assert all(re.fullmatch("[0-9a-f]{8}", one) for one in hosts)
    assert host_of("a") == hosts[0]


def test_leftovers_are_told_by_the_whole_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "_alive", lambda pid: pid == 7)
    host, end = atomic._host(), "01234567.lacal-tmp"
    kept = [
        f".a.{host}-7-{end}",
        f".a.{host}-8-{end}x",
        f".aX{host}-8-{end}",
        f"x.a.{host}-8-{end}",
        f".a.{host}-8-0123456.lacal-tmp",
        f".a.{host}-8-0123456g.lacal-tmp",
        f".a.{host}-8-01234567xlacal-tmp",
        f".a.{host}-x-{end}",
    ]
    for name in [*kept, f".a.{host}-8-{end}", f".a.{host}-123456-{end}"]:
        (tmp_path / name).touch()
    sweep(tmp_path / "a")
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(kept)


def test_a_sweep_that_is_not_allowed_is_none_of_the_users(tmp_path: Path) -> None:
    sweep(tmp_path / "no" / "a")
    host = atomic._host()
    (tmp_path / f".a.{host}-{2**22 + 5}-01234567.lacal-tmp").touch()
    with listened(tmp_path, fails(errno.EACCES, "unlink")):
        sweep(tmp_path / "a")


def test_the_old_mode_and_a_new_one(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        assert atomic._mode(tmp_path / "a") == 0o640
        assert os.umask(0o027) == 0o027  # looked at and put back
        write(tmp_path / "a")
        (tmp_path / "a").chmod(0o4711)
        assert atomic._mode(tmp_path / "a") == 0o4711
    finally:
        os.umask(before)


def test_inputs_that_are_not_there_or_elsewhere_are_no_parts(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for given in ("in", "no", "no/*.npz", "in/*.npz", "in/a.npz", "*.parquet"):
        check_target(tmp_path / "a.npz", force=False, inputs=(tmp_path / given,))


@pytest.mark.parametrize("name", [b"lacal", b"x) S 1 (", b"\xff\xfe", b"( R"])
def test_a_dead_process_that_nobody_asked_after(name: bytes) -> None:
    """Its name stands before its state, in brackets, whatever it holds."""
    child = os.fork()
    if not child:
        Path("/proc/self/comm").write_bytes(name)
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    try:
        assert not atomic._alive(child)
    finally:
        os.waitpid(child, 0)


def test_a_leftover_that_another_sweeps_meanwhile_keeps_none_of_the_rest(tmp_path: Path) -> None:
    names = [f".a.{atomic._host()}-{2**22 + i}-01234567.lacal-tmp" for i in (5, 6, 7)]
    for name in names:
        (tmp_path / name).touch()
    gone: list[Path] = []

    def another(call: Call) -> None:
        if call.kind == "unlink" and not gone:
            gone.append(call.path)
            call.path.rename(tmp_path / "away")

    with listened(tmp_path, another):
        sweep(tmp_path / "a")
    assert [one.name for one in tmp_path.iterdir()] == ["away"]
