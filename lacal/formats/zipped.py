"""What .npz and .pt share: a zip whose directory is checked before any member is unpacked."""

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lacal.errors import DataError, RunError
from lacal.formats.shown import place, printable, reason

RATIO_LIMIT = 1000  # deflate cannot exceed 1032
RATIO_FREE = 16 << 20  # bytes below which a constant column may compress as well as it likes
ENCRYPTED = 0x1
END_MARK, END_BYTES = b"PK\x05\x06", 22  # of the record at the end, a comment may follow
PACKINGS = {8: "deflate", 9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstd"}


@contextmanager
def zip_errors(path: Path) -> Iterator[None]:
    """Turn what zipfile raises on a damaged archive into a sentence."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{place(path)}: could not be read: {reason(error)}") from error
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        struct.error,
        EOFError,
        LookupError,
        NotImplementedError,
        OverflowError,
        RuntimeError,
        ValueError,
    ) as error:
        raise _damaged(path, error) from error


def members_of(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files in the zip, each readable, within the archive, and named once."""
    members = [member for member in archive.infolist() if not member.is_dir()]
    size, seen = path.stat().st_size, set[str]()
    _check_alone(path, archive)
    claimed = sum(member.compress_size for member in members)
    if claimed > size:  # members that share their bytes: a small file of a thousand large arrays
        raise DataError(
            f"{place(path)}: its members claim {claimed:,} bytes; the file has {size:,}; it is "
            "damaged or made to fill the memory"
        )
    for member in members:
        where = f"{place(path)}: member '{printable(member.filename)}'"
        if member.filename in seen:
            raise DataError(f"{where} is there twice; save the file again")
        seen.add(member.filename)
        if member.flag_bits & ENCRYPTED:
            raise DataError(f"{where} is encrypted; save the file without a password")
        if member.header_offset + member.compress_size > size:
            raise DataError(
                f"{where} claims {member.compress_size:,} bytes; the file has {size:,}; "
                "it is damaged, copy it again"
            )
        _refuse_bomb(where, member)
    return members


def only_compressed(
    path: Path, members: Sequence[zipfile.ZipInfo], allowed: Sequence[int], advice: str
) -> None:
    """Raise for a member packed in another way than those allowed."""
    for member in members:
        if member.compress_type not in allowed:
            how = PACKINGS.get(member.compress_type, f"method {member.compress_type}")
            raise DataError(
                f"{place(path)}: member '{printable(member.filename)}' is packed with {how}; {advice}"
            )
        if member.compress_type == zipfile.ZIP_STORED and member.file_size != member.compress_size:
            raise DataError(
                f"{place(path)}: member '{printable(member.filename)}' claims {member.file_size:,} "
                f"bytes and holds {member.compress_size:,}; the file is damaged"
            )


def _check_alone(path: Path, archive: zipfile.ZipFile) -> None:
    # zipfile skips whatever lies before and behind: of two files joined it reads the last, of a download
    # that went on it reads what it likes.
    with path.open("rb") as file:
        file.seek(-len(archive.comment) - END_BYTES, io.SEEK_END)
        ends = file.read(len(END_MARK)) == END_MARK
    if not ends or min((member.header_offset for member in archive.infolist()), default=0):
        raise DataError(
            f"{place(path)}: holds more than one zip file, or bytes before or behind it; it was cut off, or "
            "files were joined; copy or save it again"
        )


def _refuse_bomb(where: str, member: zipfile.ZipInfo) -> None:
    unpacked, packed = member.file_size, member.compress_size
    if unpacked > RATIO_FREE and unpacked > RATIO_LIMIT * packed:
        raise DataError(
            f"{where} unpacks from {packed:,} to {unpacked:,} bytes, more than {RATIO_LIMIT}:1; "
            "save it uncompressed if it is meant"
        )


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{place(path)}: is a damaged zip file ({reason(error)}); it was cut off or changed, "
        "copy or save it again"
    )
