"""`.npz`: named .npy arrays in a zip, streamed out of it block by block, stored or deflated."""

import math
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from lacal.errors import DataError
from lacal.formats.fields import chosen, paired, refuse_unusable
from lacal.formats.npy import Header, check_size, read_header
from lacal.formats.raw import Readable, fill, native, native_dtype, rows_of
from lacal.formats.shown import listed, place, printable
from lacal.formats.table import Field
from lacal.formats.zipped import members_of, only_compressed, zip_errors

SUFFIX = ".npy"


@dataclass(frozen=True, slots=True)
class NpzTable:
    """An .npz file: one field for each .npy member; other members are left alone."""

    path: Path
    fields: dict[str, Field]
    _headers: dict[str, Header]

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The one-dimensional text member `class_names`, where there is one."""
        field = self.fields.get("class_names")
        if field is None:
            return None
        refuse_unusable(self.path, field)  # names kept as objects must not be lost in silence
        if field.kind != "text" or len(field.shape) != 1:
            return None
        return tuple(str(name) for name in self.read("class_names"))

    @property
    def inference(self) -> str | None:
        """The text member `inference`, a single value."""
        field = self.fields.get("inference")
        if field is None or field.kind != "text" or field.shape:
            return None
        return str(self.read("inference"))

    def read(self, name: str) -> NDArray[Any]:
        """The whole member."""
        chosen(self.path, self.fields, [name])
        header = self._headers[name]
        shape = header.shape or (1,)
        with zip_errors(self.path), zipfile.ZipFile(self.path) as archive:
            for block in self._member(archive, name, shape[0]):
                return block.reshape(header.shape)
        return np.empty(header.shape, native_dtype(header.dtype))

    def blocks(self, names: Sequence[str], rows: int) -> Iterator[tuple[NDArray[Any], ...]]:
        """Aligned blocks; a member in Fortran order is held whole, as a zip cannot be sought in."""
        paired(self.path, chosen(self.path, self.fields, names))
        with zip_errors(self.path), zipfile.ZipFile(self.path) as archive:
            yield from zip(*(self._member(archive, name, rows) for name in names), strict=True)

    def _member(self, archive: zipfile.ZipFile, name: str, rows: int) -> Iterator[NDArray[Any]]:
        header = self._headers[name]
        with ExitStack() as stack:
            file = stack.enter_context(archive.open(name + SUFFIX))
            file.read(header.length)
            stream = cast("Readable", file)  # typed as IO[bytes]; a ZipExtFile has readinto
            shape = header.shape or (1,)
            if header.fortran_order and len(shape) > 1:
                yield from _turned(stream, header, rows, self.path)
            else:
                yield from rows_of(stream, shape, header.dtype, rows, self.path)


def open_npz(path: Path) -> NpzTable:
    """Read the zip's directory and every member's header, and hold them against each other."""
    headers: dict[str, Header] = {}
    with zip_errors(path), zipfile.ZipFile(path) as archive:
        members = members_of(path, archive)
        arrays = [member for member in members if member.filename.endswith(SUFFIX)]
        if not arrays:
            found = listed(member.filename for member in members)
            raise DataError(f"{place(path)}: holds no .npy arrays; got {found}; use numpy.savez")
        packings = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        only_compressed(path, arrays, packings, "save it with numpy.savez or savez_compressed")
        for member in arrays:
            with archive.open(member) as file:
                headers[member.filename.removesuffix(SUFFIX)] = _checked(path, member, file)
    return NpzTable(path, {name: header.field(name) for name, header in headers.items()}, headers)


def _checked(path: Path, member: zipfile.ZipInfo, file: IO[bytes]) -> Header:
    where = f"{place(path)}: {printable(member.filename)}"
    header = read_header(file, where)
    if not header.dtype.hasobject:  # what follows then is a pickle of any length, never read
        check_size(header, member.file_size, where)
    return header


def _turned(stream: Readable, header: Header, rows: int, path: Path) -> Iterator[NDArray[Any]]:
    flat = np.empty(math.prod(header.shape) * header.dtype.itemsize, np.uint8)
    fill(stream, flat)
    whole = native(flat.view(header.dtype), path).reshape(header.shape, order="F")
    for start in range(0, header.shape[0] if whole.size else 0, rows):
        yield np.ascontiguousarray(whole[start : start + rows])
