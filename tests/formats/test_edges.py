"""Readers at their edges: limits that are just kept and just passed, and what the system refuses, in whole sentences."""

import errno
import io
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lacal.errors import DataError, RunError
from lacal.formats import open_table, read_text
from lacal.formats.npy import HEADER_LIMIT, read_header
from lacal.formats.raw import RawArray, fill, kind_of, read_errors
from lacal.formats.shown import listed, place, printable, reason
from lacal.formats.sniff import _called, first_bytes, is_folder, is_pattern, sniff
from lacal.formats.zipped import RATIO_FREE, RATIO_LIMIT, _refuse_bomb, zip_errors
from tests.faults.spoiling import npy_bytes


def said(kind: type[BaseException], act: Callable[[], object]) -> str:
    with pytest.raises(kind) as caught:
        act()
    return str(caught.value)


# What is shown


def test_text_is_cut_where_it_is_too_long() -> None:
    assert printable("x" * 80) == "x" * 80
    assert printable("x" * 81) == "x" * 79 + "…"
    assert printable("abcd", 3) == "ab…"
    assert printable("a\tb\x7f\u200b") == r"a\tb\x7f\u200b"


def test_a_path_is_shown_longer_than_a_name() -> None:
    assert place(Path("x" * 4096)) == "x" * 4096
    assert place(Path("x" * 4097)) == "x" * 4095 + "…"


def test_some_names_are_listed() -> None:
    assert listed([]) == "nothing"
    assert listed(["a", "", "\n"]) == r"a, (unnamed), \n"
    assert listed("abcdefgh") == "a, b, c, d, e, f, g, h"
    assert listed("abcdefghi") == "a, b, c, d, e, f, g, h, and 1 more"
    assert listed((str(i) for i in range(2000)), 1) == "0, and 1,999 more"


def test_the_first_line_of_a_reason() -> None:
    assert reason(ValueError(" \n why\nadvice")) == "why"
    assert reason(ValueError("x" * 121)) == "x" * 119 + "…"
    assert reason(ValueError()) == "ValueError"
    assert reason(OSError(5, "no luck", "a file")) == "no luck"
    assert reason(OSError("a library's")) == "a library's"


# What a path is


@pytest.mark.parametrize("name", ["a*", "a?", "[a]", "[a"])
def test_wildcards_name_files_unless_one_is_called_so(tmp_path: Path, name: str) -> None:
    assert is_pattern(tmp_path / name)
    (tmp_path / name).touch()
    assert not is_pattern(tmp_path / name)


@pytest.mark.parametrize("name", ["a", "X", "a]", "a+", "a{b}"])
def test_other_characters_are_no_wildcards(tmp_path: Path, name: str) -> None:
    assert not is_pattern(tmp_path / name)


def test_a_folder_is_one() -> None:
    assert is_folder(Path("/"))
    assert not is_folder(Path("/dev/null"))
    assert not is_folder(Path("/nothing/there"))


def test_a_folder_where_a_file_is_expected(tmp_path: Path) -> None:
    assert said(DataError, lambda: read_text(tmp_path)) == (
        f"{tmp_path}: is a folder, not a regular file; save the data to a file first"
    )


def test_files_that_are_none_by_name() -> None:
    kinds = (stat.S_IFDIR, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFLNK)
    names = ["a folder", "a pipe", "a socket", "a device", "a device", "something special"]
    assert [_called(kind | 0o644) for kind in kinds] == names


def failing(number: int) -> Callable[..., Any]:
    def fails(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fails


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP])
def test_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(Path, "stat", failing(number))
    sentence = f"{tmp_path}: there is no such file; check the path"
    assert said(DataError, lambda: first_bytes(tmp_path)) == sentence


def test_what_cannot_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "stat", failing(errno.EACCES))
    assert said(DataError, lambda: sniff(tmp_path)) == (
        f"{tmp_path}: may not be reached; give yourself permission to its folder"
    )
    monkeypatch.setattr(Path, "stat", failing(errno.EIO))
    sentence = f"{tmp_path}: could not be looked at: Input/output error"
    assert said(RunError, lambda: sniff(tmp_path)) == sentence


def test_what_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")
    monkeypatch.setattr(Path, "open", failing(errno.EPERM))
    assert (
        said(DataError, lambda: sniff(path)) == f"{path}: may not be read; give yourself permission"
    )
    monkeypatch.setattr(Path, "open", failing(errno.EIO))
    assert said(RunError, lambda: sniff(path)) == f"{path}: could not be read: Input/output error"


def test_only_the_start_of_a_file_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x" * 1023 + b",y")
    assert first_bytes(path) == b"x" * 1023 + b","
    path.write_bytes(b"x" * 1024 + b"\0")
    assert sniff(path) == "csv"


@pytest.mark.parametrize(
    ("name", "data", "found"),
    [
        ("a", b"\x93NUMPY", "npy"),
        ("a", b"PAR1", "parquet"),
        ("a", b"ARROW1", "arrow file"),
        ("a", b"\xff\xff\xff\xff", "arrow stream"),
        ("a.CSV", b"a", "csv"),
        ("a.tsv", b"a", "csv"),
        ("a.TXT", b"a", "lines"),
        ("a.csv", b"12345678{", "csv"),  # no zero byte before the brace
        ("a.csv", b"\x80\x06", "csv"),  # of no pickle's protocol
        ("a.csv", b"\x80\x01", "csv"),
        ("a", b"\2\0\0\0\0\0\0\0{}", "safetensors"),
    ],
)  # fmt: skip
def test_formats_by_their_first_bytes(tmp_path: Path, name: str, data: bytes, found: str) -> None:
    (tmp_path / name).write_bytes(data)
    assert sniff(tmp_path / name) == found


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_of_every_protocol(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "a.csv").write_bytes(b"\x80" + bytes([protocol]))
    assert "is a Python pickle" in said(DataError, lambda: sniff(tmp_path / "a.csv"))


@pytest.mark.parametrize(
    ("members", "found"),
    [
        (["a/data.pkl"], "torch"),
        (["data.pkl"], "torch"),
        (["a/b.npy", "c"], "npz"),
        ([], "npz"),
        (["archive_version"], "is an exported model (.pt2)"),
        (["m/archive_format", "m/data.pkl"], "is an exported model (.pt2)"),
        (["m/serialized_exported_program.json"], "is an exported model (.pt2)"),
        (["m/constants.pkl", "m/data.pkl"], "is a TorchScript model"),
        (["m/n/data.pkl"], "is a zip file that holds m/n/data.pkl"),
    ],
)
def test_zips_by_their_members(tmp_path: Path, members: list[str], found: str) -> None:
    with zipfile.ZipFile(tmp_path / "a", "w") as archive:
        for name in members:
            archive.writestr(name, b"")
    if found in ("torch", "npz"):
        assert sniff(tmp_path / "a") == found
    else:
        assert found in said(DataError, lambda: sniff(tmp_path / "a"))


# Plain bytes


class Trickle:
    """A file that gives a few bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def readinto(self, buffer: memoryview, /) -> int:
        given = min(len(buffer), len(self.rest), 3)
        buffer[:given] = self.rest[:given]
        self.rest = self.rest[given:]
        return given


def test_a_buffer_is_filled_however_the_bytes_come() -> None:
    target = np.zeros(10, np.uint8)
    source = Trickle(bytes(range(1, 12)))
    fill(source, target)
    assert target.tolist() == list(range(1, 11))
    assert source.rest == b"\x0b"
    fill(source, target[:0])
    assert said(EOFError, lambda: fill(source, target)) == "ends before its last value"


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        ("f2", "float"), ("f4", "float"), ("f8", "float"), (np.longdouble, "other"), ("i1", "int"), ("u8", "int"),
        ("?", "bool"), ("U3", "text"), ("S3", "text"), ("c8", "other"), ("M8[s]", "other"), ("V3", "other"),
        ("(2,)f4", "other"), ("f4,f4", "other"), ("O", "other"),
    ],
)  # fmt: skip
def test_what_types_are(dtype: Any, kind: str) -> None:
    assert kind_of(np.dtype(dtype)) == kind


def test_a_read_that_fails_in_whole_sentences(tmp_path: Path) -> None:
    def act(error: Exception) -> None:
        with read_errors(tmp_path):
            raise error

    assert said(RunError, lambda: act(EOFError("x"))) == (
        f"{tmp_path}: became shorter while it was read; keep other jobs from writing it"
    )
    sentence = f"{tmp_path}: could not be read on: no luck"
    assert said(RunError, lambda: act(OSError(5, "no luck"))) == sentence


@pytest.mark.parametrize("fortran_order", [False, True])
def test_bytes_that_are_not_there_any_more(tmp_path: Path, fortran_order: bool) -> None:
    (tmp_path / "a").write_bytes(bytes(40))
    array = RawArray(tmp_path / "a", 0, (3, 2), np.dtype("f8"), fortran_order)
    assert said(RunError, lambda: list(array.blocks(2))).startswith(f"{tmp_path}/a: became shorter")
    assert said(RunError, array.read).startswith(f"{tmp_path}/a: became shorter")


@pytest.mark.parametrize(
    ("code", "good"),
    [(0xD7FF, True), (0xD800, False), (0xDFFF, False), (0xE000, True), (0x10FFFF, True), (0x110000, False)],
)  # fmt: skip
@pytest.mark.parametrize("order", "<>")
def test_code_points_that_are_characters(tmp_path: Path, code: int, good: bool, order: str) -> None:
    data = npy_bytes(np.array(["a", "b"], f"{order}U1"))
    (tmp_path / "a").write_bytes(data[:-4] + code.to_bytes(4, "little" if order == "<" else "big"))
    if good:
        assert open_table(tmp_path / "a").read("").tolist() == ["a", chr(code)]
    else:
        assert "is not Unicode" in said(DataError, lambda: open_table(tmp_path / "a").read(""))


# .npy headers


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_header_of_just_the_limit(version: int) -> None:
    limit = HEADER_LIMIT - (version == 1)  # two bytes of length do not go further
    literal = b"{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2)}".ljust(limit - 1) + b"\n"
    digits = 2 if version == 1 else 4
    start = b"\x93NUMPY" + bytes([version, 0]) + limit.to_bytes(digits, "little")
    header = read_header(io.BytesIO(start + literal), "a")
    assert (header.shape, header.fortran_order, header.dtype) == ((3, 2), True, np.dtype("f4"))
    assert header.length == 8 + digits + limit
    assert header.nbytes == header.length + 24
    field = header.field("x")
    assert (field.name, field.kind, field.shape, field.stored) == ("x", "float", (3, 2), "float32")


# Zips


@pytest.mark.parametrize(
    ("packed", "unpacked", "bomb"),
    [
        (1, RATIO_FREE, False),
        (1, RATIO_FREE + 1, True),
        (1 << 20, RATIO_LIMIT << 20, False),
        (1 << 20, (RATIO_LIMIT << 20) + 1, True),
    ],
)
def test_how_well_a_member_may_be_packed(packed: int, unpacked: int, bomb: bool) -> None:
    member = zipfile.ZipInfo("x")
    member.compress_size, member.file_size = packed, unpacked
    if bomb:
        assert "more than 1000:1" in said(DataError, lambda: _refuse_bomb("a", member))
    else:
        _refuse_bomb("a", member)


def test_what_the_system_says_of_a_zip(tmp_path: Path) -> None:
    def act() -> None:
        with zip_errors(tmp_path):
            raise OSError(5, "no luck")

    assert said(RunError, act) == f"{tmp_path}: could not be read: no luck"
