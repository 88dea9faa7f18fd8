"""The files that inputs lie in, with size and time: what a run that goes on compares."""

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from lacal.errors import DataError
from lacal.formats import Table
from lacal.formats.shown import place, reason
from lacal.formats.sniff import is_pattern

PATHS_AT_ONCE = 4096


def identity_of(table: Table, image_fields: tuple[str, ...]) -> list[tuple[str, int, int]]:
    """(name, bytes, modification time in ns) of every file, in the order of the rows or of the names.

    Args:
        table: The opened inputs.
        image_fields: Fields of images, which may be files of their own.

    Raises:
        DataError: A file is missing.
    """
    every = [] if _is_folder_of_images(table, image_fields) else sorted(_files(table.path))
    return [_identity(path) for path in [*every, *_images(table, image_fields)]]


def _files(path: Path) -> Iterator[Path]:
    """The file, or the parts; hidden ones and markers are no parts."""
    if path.is_dir():
        found = list(path.iterdir())
    elif is_pattern(path):
        found = [Path(name) for name in glob.glob(str(path))]  # noqa: PTH207 - the pattern may be absolute
    else:
        found = [path]
    if path in found:
        yield path
    else:
        yield from (part for part in found if not part.name.startswith((".", "_")))


def _is_folder_of_images(table: Table, image_fields: tuple[str, ...]) -> bool:
    return table.path.is_dir() and next(_images(table, image_fields), None) is not None


def _images(table: Table, image_fields: tuple[str, ...]) -> Iterator[Path]:
    if not image_fields:
        return
    for columns in table.blocks(image_fields, PATHS_AT_ONCE):
        for one in (one for column in columns for one in column):
            if not isinstance(one, Path):
                return  # the bytes are in the table's own files
            yield one


def _identity(path: Path) -> tuple[str, int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{place(path)}: cannot be reached: {reason(error)}") from error
    return os.fspath(path), status.st_size, status.st_mtime_ns
