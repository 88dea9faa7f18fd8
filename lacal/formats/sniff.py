"""Which format a file is, told by its first bytes: a suffix is a claim, and often a wrong one.

The commonest mistakes get their own sentence: a git-lfs pointer, an error page saved as data, a
compressed or UTF-16 text, a model where tensors were meant.
"""

import errno
import stat
import zipfile
from pathlib import Path
from typing import Literal

from lacal.errors import DataError, RunError
from lacal.formats.shown import listed, place, reason
from lacal.formats.zipped import zip_errors

Format = Literal[
    "npy", "npz", "torch", "safetensors", "parquet", "arrow file", "arrow stream", "csv", "lines"
]

HEAD_BYTES = 1024
BOM = b"\xef\xbb\xbf"
NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
PAGES = (b"<!doctype html", b"<html", b"<?xml")
TEXT_FORMATS: dict[str, Format] = {".csv": "csv", ".tsv": "csv", ".txt": "lines"}
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
READABLE = ".npy, .npz, .safetensors, .pt, .parquet, .arrow, .csv, .tsv or .txt"

MAGIC: dict[bytes, Format] = {
    b"\x93NUMPY": "npy",
    b"PAR1": "parquet",
    b"ARROW1": "arrow file",
    b"\xff\xff\xff\xff": "arrow stream",
}

# First bytes of what is not read here -> what it is, and how to mend it.
REFUSED = {
    b"version https://git-lfs": "is a Git LFS pointer, not the data; run `git lfs pull`",
    b"PARE": "is an encrypted Parquet file; write it without encryption",
    b"FEA1": "is a Feather file of version 1; write it as version 2 or as Parquet",
    b"\x1f\x8b": "is compressed with gzip; unpack it first",
    b"BZh": "is compressed with bzip2; unpack it first",
    b"\xfd7zXZ": "is compressed with xz; unpack it first",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd; unpack it first",
    b"\xff\xfe": "is text in UTF-16; save it as UTF-8",
    b"\xfe\xff": "is text in UTF-16; save it as UTF-8",
    b"\x89HDF": "is an HDF5 file; save its arrays with numpy.savez",
}


def is_folder(path: Path) -> bool:
    """Whether a folder is there."""
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def is_pattern(path: Path) -> bool:
    """Whether the path names files by wildcard, no file being there of just that name."""
    return any(c in str(path) for c in "*?[") and _mode(path) is None


def sniff(path: Path) -> Format:
    """The format of a regular, non-empty file; an error that says what it is instead.

    Raises:
        DataError: The file is missing, unreadable, empty, or of no format read here.
    """
    head = first_bytes(path)
    refuse_foreign(path, head)
    for start, found in MAGIC.items():
        if head.startswith(start):
            return found
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _inside_zip(path)
    if head[8:9] == b"{" and head[7:8] == b"\0":  # eight bytes of length, then JSON
        return "safetensors"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        raise DataError(
            f"{place(path)}: is a Python pickle (or a .pt of before torch 1.6); lacal never unpickles; "
            "save the tensors again, with a present torch or as safetensors"
        )
    return _text(path, head)


def first_bytes(path: Path) -> bytes:
    """The first bytes of a regular, readable, non-empty file."""
    mode = _mode(path)
    if mode is None:
        raise DataError(f"{place(path)}: there is no such file; check the path")
    if not stat.S_ISREG(mode):
        raise DataError(
            f"{place(path)}: is {_called(mode)}, not a regular file; save the data to a file first"
        )
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except PermissionError as error:
        raise DataError(f"{place(path)}: may not be read; give yourself permission") from error
    except OSError as error:
        raise RunError(f"{place(path)}: could not be read: {reason(error)}") from error
    if not head:
        raise DataError(f"{place(path)}: is empty (0 bytes); was it written to the end?")
    return head


def refuse_foreign(path: Path, head: bytes) -> None:
    """Raise for what is known on sight and not read here: pointers, pages, compressed text."""
    for start, fault in REFUSED.items():
        if head.startswith(start):
            raise DataError(f"{place(path)}: {fault}")
    if head.removeprefix(BOM).lstrip().lower().startswith(PAGES):
        raise DataError(
            f"{place(path)}: is an HTML or XML page, not data; a download may have saved an error page, "
            "fetch it again"
        )


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except PermissionError as error:
        raise DataError(
            f"{place(path)}: may not be reached; give yourself permission to its folder"
        ) from error
    except ValueError:  # a NUL in the name
        return None
    except OSError as error:
        if error.errno in NOT_THERE:
            return None
        raise RunError(f"{place(path)}: could not be looked at: {reason(error)}") from error


def _called(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "something special")


def _inside_zip(path: Path) -> Format:
    with zip_errors(path), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    inner = {name.partition("/")[2] or name for name in names}  # torch puts a folder around all
    if inner & {"archive_format", "archive_version", "serialized_exported_program.json"}:
        raise DataError(
            f"{place(path)}: is an exported model (.pt2), not tensors; run it with --inputs, or give the logits it makes"
        )
    if "constants.pkl" in inner:
        raise DataError(
            f"{place(path)}: is a TorchScript model, not tensors; run it with --inputs, or give the logits it makes"
        )
    if "data.pkl" in inner:
        return "torch"
    if any(name.endswith(".npy") for name in names) or not names:
        return "npz"
    raise DataError(
        f"{place(path)}: is a zip file that holds {listed(names)}; expected arrays: {READABLE}"
    )


def _text(path: Path, head: bytes) -> Format:
    suffix = path.suffix.lower()
    if suffix in TEXT_FORMATS:
        if b"\0" in head:
            raise DataError(
                f"{place(path)}: holds NUL bytes, so it is not UTF-8 text (UTF-16?); save it as UTF-8"
            )
        return TEXT_FORMATS[suffix]
    raise DataError(f"{place(path)}: is of no format that lacal knows; expected {READABLE}")
