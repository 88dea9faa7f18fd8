"""Arrays that lie in a file as plain bytes: read with `readinto` in blocks, never mapped.

A mapped file that another job shortens kills the process; a block read into one reused buffer
costs no more and holds only itself in memory. Whatever the file's byte order and layout, what comes
out is native and C-ordered.
"""

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lacal.errors import DataError, RunError
from lacal.formats.shown import place, reason
from lacal.formats.table import Kind

LAST_CODE_POINT = sys.maxunicode
SURROGATES = (0xD800, 0xDFFF)


class Readable(Protocol):
    """A binary file, or a member of a zip, read from where it stands."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill as much of the buffer as there is; how many bytes that was."""


@dataclass(frozen=True, slots=True)
class RawArray:
    """Where one array lies in a file; whoever makes one has checked its size against the file.

    Attributes:
        path: The file.
        offset: Of the first byte.
        shape: Rows first.
        dtype: As stored, byte order included.
        fortran_order: Columns, not rows, lie together.
        bfloat16: The `uint16` stored are the upper halves of float32.
    """

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool = False
    bfloat16: bool = False

    def read(self) -> NDArray[Any]:
        """The whole array."""
        rows = self.shape or (1,)
        lone = RawArray(self.path, self.offset, rows, self.dtype, self.fortran_order, self.bfloat16)
        for block in lone.blocks(rows[0]):
            return block.reshape(self.shape)
        return np.empty(self.shape, native_dtype(self.dtype, self.bfloat16))

    def blocks(self, rows: int) -> Iterator[NDArray[Any]]:
        """Blocks of at most `rows` rows, all in the same buffer."""
        with read_errors(self.path), self.path.open("rb", buffering=0) as file:
            if self.fortran_order and len(self.shape) > 1:
                blocks = self._columns(file, rows)
            else:
                file.seek(self.offset)
                blocks = rows_of(file, self.shape, self.dtype, rows, self.path)
            yield from _widened(blocks) if self.bfloat16 else blocks

    def _columns(self, file: Any, rows: int) -> Iterator[NDArray[Any]]:
        count, *inner = self.shape
        size, columns, step = self.dtype.itemsize, math.prod(inner), min(rows, count)
        # Column by column, so that memory is bounded by the block and not by the file.
        by_column = np.empty(columns * step * size, np.uint8)
        block = np.empty(0)
        for start in _starts(self.shape, step, self.path):
            taken = min(step, count - start)
            part = by_column[: columns * taken * size]
            for column in range(columns):
                file.seek(self.offset + (column * count + start) * size)
                fill(file, part[column * taken * size : (column + 1) * taken * size])
            turned = native(part.view(self.dtype), self.path).reshape(*inner[::-1], taken).T
            if block.dtype != turned.dtype or block.shape[1:] != turned.shape[1:]:
                block = np.empty((step, *inner), turned.dtype)
            block[:taken] = turned
            yield block[:taken]


def rows_of(
    file: Readable, shape: tuple[int, ...], dtype: np.dtype[Any], rows: int, path: Path
) -> Iterator[NDArray[Any]]:
    """Blocks of a C-ordered array whose first byte is the file's next, all in the same buffer."""
    count, step = shape[0], min(rows, shape[0])
    row_bytes = math.prod(shape[1:]) * dtype.itemsize
    buffer = np.empty(step * row_bytes, np.uint8)
    for start in _starts(shape, step, path):
        taken = min(step, count - start)
        part = buffer[: taken * row_bytes]
        fill(file, part)
        yield native(part.view(dtype), path).reshape(taken, *shape[1:])


def kind_of(dtype: np.dtype[Any]) -> Kind:
    """What the values of a numpy type are to lacal."""
    if dtype.kind == "f":
        # Long double: 12 or 16 bytes, by machine
        return "float" if dtype.itemsize <= 8 else "other"
    kinds: dict[str, Kind] = {"i": "int", "u": "int", "b": "bool", "U": "text", "S": "text"}
    return kinds.get(dtype.kind, "other")


def fill(file: Readable, target: NDArray[np.uint8]) -> None:
    """Read until the target is full; EOFError where the file ends before."""
    view, done = target.data, 0
    while done < len(view):
        got = file.readinto(view[done:])
        if not got:
            raise EOFError("ends before its last value")
        done += got


def native(values: NDArray[Any], path: Path) -> NDArray[Any]:
    """The same values in native byte order, swapped in place; bytes decoded, text checked."""
    if not values.dtype.isnative:
        values = values.byteswap(inplace=True).view(values.dtype.newbyteorder("="))
    if values.dtype.kind == "S":
        try:
            return np.strings.decode(values, "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{place(path)}: holds text that is not UTF-8; save it as str"
            ) from error
    if values.dtype.kind == "U":
        _check_code_points(values, path)
    return values


def native_dtype(dtype: np.dtype[Any], bfloat16: bool = False) -> np.dtype[Any]:
    """The type in which values of a stored type come out."""
    if bfloat16:
        return np.dtype(np.float32)
    if dtype.kind == "S":
        return np.dtype(f"U{max(dtype.itemsize, 1)}")
    return dtype.newbyteorder("=")


def _check_code_points(values: NDArray[Any], path: Path) -> None:
    codes = values.view(np.uint32)
    low, high = SURROGATES
    if codes.size and ((codes > LAST_CODE_POINT) | ((codes >= low) & (codes <= high))).any():
        raise DataError(f"{place(path)}: holds text that is not Unicode; the file is damaged")


def _starts(shape: tuple[int, ...], step: int, path: Path) -> range:
    if not shape[0]:
        return range(0)
    if not math.prod(shape[1:]):
        # Such a header costs nothing to write and could ask for 10^18 empty blocks.
        raise DataError(f"{place(path)}: has shape {shape}, rows without values; save it again")
    return range(0, shape[0], step)


def _widened(blocks: Iterator[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    wide = np.empty(0, np.uint32)
    for block in blocks:
        if wide.size < block.size:
            wide = np.empty(block.size, np.uint32)
        part = wide[: block.size].reshape(block.shape)
        np.left_shift(block, 16, out=part, dtype=np.uint32)
        yield part.view(np.float32)


@contextmanager
def read_errors(path: Path) -> Iterator[None]:
    """Turn what the system raises into a sentence: a file whose header was checked is whole, so it is no DataError."""
    try:
        yield
    except EOFError as error:
        raise RunError(
            f"{place(path)}: became shorter while it was read; keep other jobs from writing it"
        ) from error
    except OSError as error:
        raise RunError(f"{place(path)}: could not be read on: {reason(error)}") from error
