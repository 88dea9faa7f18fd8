"""`.npy`: one array behind a short header. The header is read by us, its literal parsed by numpy.

`numpy.load` reads a header whole before it looks at its size and reserves what the header claims; here
both are compared with the file before anything is allocated.
"""

import io
import math
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from lacal.errors import DataError
from lacal.formats.fields import chosen, paired, refuse_unusable
from lacal.formats.raw import RawArray, kind_of, read_errors
from lacal.formats.shown import place
from lacal.formats.table import Field

HEADER_LIMIT = 65_536  # bytes; numpy itself writes 118 for a plain array
LENGTH_BYTES = {1: 2, 2: 4, 3: 4}  # of the header's length, by major version

# What numpy's literal parser raises on damaged headers; they have no common parent but Exception.
PARSE_ERRORS = (
    ValueError,
    TypeError,
    SyntaxError,
    LookupError,
    ArithmeticError,
    AttributeError,
    MemoryError,
    RecursionError,
    tokenize.TokenError,
)


@dataclass(frozen=True, slots=True)
class Header:
    """What an .npy header says, and how many bytes it takes."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]
    length: int

    @property
    def nbytes(self) -> int:
        """Bytes of header and data together."""
        return self.length + math.prod(self.shape) * self.dtype.itemsize

    def field(self, name: str) -> Field:
        """The array as a field of a table."""
        stored = "object" if self.dtype.hasobject else str(self.dtype)
        return Field(name, kind_of(self.dtype), self.shape, stored)


@dataclass(frozen=True, slots=True)
class NpyTable:
    """An .npy file: one field, named ""."""

    path: Path
    fields: dict[str, Field]
    class_names: tuple[str, ...] | None
    _array: RawArray

    def read(self, name: str) -> NDArray[Any]:
        """The whole array."""
        chosen(self.path, self.fields, [name])
        return self._array.read()

    def blocks(self, names: Sequence[str], rows: int) -> Iterator[tuple[NDArray[Any], ...]]:
        """Blocks of rows, in one reused buffer."""
        paired(self.path, chosen(self.path, self.fields, names))
        for block in self._array.blocks(rows):
            yield (block,) * len(names)


def open_npy(path: Path) -> NpyTable:
    """Read the header and hold its claim against the file's size."""
    with read_errors(path), path.open("rb") as file:
        header = read_header(file, place(path))
        size = file.seek(0, io.SEEK_END)
    field = header.field("")
    if header.dtype.hasobject or header.dtype.kind == "V":
        refuse_unusable(path, field)
    check_size(header, size, place(path))
    array = RawArray(path, header.length, header.shape, header.dtype, header.fortran_order)
    return NpyTable(path, {"": field}, None, array)


def read_header(file: IO[bytes], where: str) -> Header:
    """The header of the .npy file, or member of an .npz, that `file` stands at the start of."""
    magic = file.read(8)
    if magic[:6] != npy_format.MAGIC_PREFIX or len(magic) < 8:
        raise DataError(f"{where}: does not start as an .npy file does; save it again")
    if magic[6] not in LENGTH_BYTES:
        raise DataError(
            f"{where}: is of .npy version {magic[6]}.{magic[7]}; expected 1.0, 2.0 or 3.0"
        )
    digits = LENGTH_BYTES[magic[6]]
    length = int.from_bytes(file.read(digits), "little")
    if length > HEADER_LIMIT:
        raise DataError(
            f"{where}: its header claims {length:,} bytes; expected at most {HEADER_LIMIT:,}; "
            "the file is damaged"
        )
    literal = file.read(length)
    if len(literal) < length:
        raise DataError(f"{where}: ends inside its header; it was cut off, copy it again")
    return _parsed(literal, 8 + digits + length, where)


def check_size(header: Header, size: int, where: str) -> None:
    """Raise where the bytes that are there are not those the header claims."""
    if size == header.nbytes:
        return
    fault = "it was cut off" if size < header.nbytes else "something was appended"
    raise DataError(
        f"{where}: holds {size:,} bytes; its header claims {header.nbytes:,} "
        f"(shape {header.shape}, {header.dtype}); {fault}, copy or save it again"
    )


def _parsed(literal: bytes, length: int, where: str) -> Header:
    # Versions 1, 2 and 3 differ in the width of the length and the encoding of field names, and a
    # type with field names is refused anyway: all go through numpy's public parser for version 2.
    stream = io.BytesIO(len(literal).to_bytes(4, "little") + literal)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # headers written by Python 2 make numpy talk
            shape, fortran_order, dtype = npy_format.read_array_header_2_0(stream, HEADER_LIMIT)
    except PARSE_ERRORS as error:
        raise DataError(f"{where}: its header cannot be read; the file is damaged") from error
    if any(type(size) is not int or size < 0 for size in shape):
        raise DataError(f"{where}: its header claims shape {shape}; the file is damaged")
    if not dtype.itemsize:
        raise DataError(f"{where}: its header claims values of no bytes; save it again")
    return Header(shape, fortran_order, dtype, length)
