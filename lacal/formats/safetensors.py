"""`.safetensors`: a JSON header and plain bytes, parsed by us and streamed.

The header is eight bytes of length, then a JSON object: name -> dtype, shape, data_offsets. The
offsets must cover what follows without hole or overlap (the format's own rule); duplicate keys, which
the library lets through, are refused.
"""

import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.errors import DataError
from lacal.formats.fields import chosen, names_from_json, paired
from lacal.formats.raw import RawArray, kind_of
from lacal.formats.shown import place, printable, reason
from lacal.formats.table import Field

HEADER_LIMIT = 1 << 24  # bytes, a hundred thousand tensors; parsed it is thirty times as large
METADATA = "__metadata__"

DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",  # widened to float32 as it is read
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "<i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "<u1",
    "BOOL": "|b1",
}


@dataclass(frozen=True, slots=True)
class SafetensorsTable:
    """A .safetensors file: one field for each tensor, in the header's order."""

    path: Path
    fields: dict[str, Field]
    _arrays: dict[str, RawArray]
    _class_names: str | None

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The metadata's `class_names`, a JSON list of strings, where there is one."""
        return names_from_json(self.path, self._class_names)

    def read(self, name: str) -> NDArray[Any]:
        """The whole tensor."""
        chosen(self.path, self.fields, [name])
        return self._arrays[name].read()

    def blocks(self, names: Sequence[str], rows: int) -> Iterator[tuple[NDArray[Any], ...]]:
        """Aligned blocks, each tensor in its own reused buffer."""
        paired(self.path, chosen(self.path, self.fields, names))
        yield from zip(*(self._arrays[name].blocks(rows) for name in names), strict=True)


def open_safetensors(path: Path) -> SafetensorsTable:
    """Parse the header and hold every offset against the file's size."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        size = file.seek(0, io.SEEK_END)
        if length > HEADER_LIMIT or 8 + length > size:
            raise _fault(path, f"its header claims {length:,} bytes, the file has {size:,}")
        file.seek(8)
        entries = _parsed(path, file.read(length))
    metadata = entries.pop(METADATA, {})
    if not isinstance(metadata, dict):
        raise _fault(path, f"{METADATA} is not an object")
    if not entries:
        raise DataError(f"{place(path)}: holds no tensors; save at least one")
    fields, arrays, spans = {}, {}, []
    for name, entry in entries.items():
        dtype, shape, start, stop = _entry(path, name, entry)
        spans.append((start, stop, name))
        stored = DTYPES.get(dtype)
        kind = "float" if dtype == "BF16" else kind_of(np.dtype(stored)) if stored else "other"
        fields[name] = Field(name, kind, shape, printable(dtype, 20))
        if stored:
            at = 8 + length + start
            arrays[name] = RawArray(path, at, shape, np.dtype(stored), bfloat16=dtype == "BF16")
    _check_cover(path, spans, size - 8 - length)
    names = metadata.get("class_names")
    return SafetensorsTable(path, fields, arrays, names if isinstance(names, str) else None)


def _parsed(path: Path, header: bytes) -> dict[str, Any]:
    try:
        # The header of what is sniffed as this format begins with a brace, so it is an object.
        entries: dict[str, Any] = json.loads(header.decode(), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise _fault(path, f"its header cannot be read ({reason(error)})") from error
    return entries


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"'{printable(twice)}' is there twice")
    return entries


def _entry(path: Path, name: str, entry: Any) -> tuple[str, tuple[int, ...], int, int]:
    known: dict[str, Any] = entry if isinstance(entry, dict) else {}
    dtype: Any = known.get("dtype")
    shape: Any = known.get("shape")
    offsets: Any = known.get("data_offsets")
    proper = isinstance(dtype, str) and _naturals(shape) and _naturals(offsets)
    if not proper or len(offsets) != 2:
        raise _fault(
            path, f"tensor '{printable(name)}' has no proper dtype, shape and data_offsets"
        )
    start, stop = offsets
    if dtype in DTYPES and stop - start != math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize:
        raise _fault(
            path,
            f"tensor '{printable(name)}' of {dtype} and shape {tuple(shape)} has {stop - start:,} bytes",
        )
    return dtype, tuple(shape), start, stop


def _naturals(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _check_cover(path: Path, spans: list[tuple[int, int, str]], size: int) -> None:
    end = 0
    for start, stop, name in sorted(spans):
        if start != end or stop < start:
            raise _fault(
                path,
                f"tensor '{printable(name)}' starts at {start:,}; expected {end:,}, right after the last",
            )
        end = stop
    if end != size:
        raise _fault(path, f"its tensors take {end:,} bytes, the file has {size:,} for them")


def _fault(path: Path, what: str) -> DataError:
    return DataError(
        f"{place(path)}: {what}; the file is damaged or was cut off, copy or save it again"
    )
