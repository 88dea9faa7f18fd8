"""Choosing fields of a table: the checks every format shares, so that each is worded once."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.errors import DataError
from lacal.formats.shown import listed, place, printable
from lacal.formats.table import Field

# One text field in memory; numpy stores every row as wide as the longest
TEXT_BYTES_LIMIT = 4 << 30

OBJECTS = "holds Python objects; lacal never unpickles. Save a numeric array"


def chosen(path: Path, fields: Mapping[str, Field], names: Sequence[str]) -> list[Field]:
    """The fields asked for, each there and of a kind that lacal can use."""
    for name in names:
        if name not in fields:
            raise DataError(
                f"{place(path)}: has no field {_quoted(name)}; it holds {listed(fields)}"
            )
        if fields[name].kind != "image":  # comes in blocks, to be decoded
            refuse_unusable(path, fields[name])
    return [fields[name] for name in names]


def refuse_unusable(path: Path, field: Field) -> None:
    """Raise for a field that is no array of numbers or text: of kind "other" or "image"."""
    if field.kind not in ("other", "image"):
        return
    what = f"{_quoted(field.name)} " if field.name else ""
    if field.stored == "object":
        raise DataError(f"{place(path)}: {what}{OBJECTS}")
    raise DataError(
        f"{place(path)}: {what}is of type {printable(field.stored)}, which lacal cannot use; "
        "expected real numbers of at most 64 bits, booleans or text; convert and save it again"
    )


def paired(path: Path, fields: Sequence[Field]) -> None:
    """Raise unless the fields can be read side by side, row by row."""
    for field in fields:
        if not field.shape:
            raise DataError(
                f"{place(path)}: {_quoted(field.name)} is a single value; expected one row an example"
            )
    first = fields[0]
    for field in fields[1:]:
        if field.shape[0] != first.shape[0]:
            raise DataError(
                f"{place(path)}: {_quoted(field.name)} has {field.shape[0]:,} rows, "
                f"{_quoted(first.name)} has {first.shape[0]:,}; they must pair up"
            )


def gathered(path: Path, blocks: Iterable[NDArray[Any]], empty: NDArray[Any]) -> NDArray[Any]:
    """All blocks as one array, `empty` where there are none; no block may share a buffer."""
    every = list(blocks)
    if not every:
        return empty
    rows = sum(len(block) for block in every)
    width = max(block.dtype.itemsize for block in every)
    if every[0].dtype.kind == "U" and rows * width > TEXT_BYTES_LIMIT:
        raise DataError(
            f"{place(path)}: its longest text has {width // 4:,} characters, which takes "
            f"{rows * width / 2**30:.0f} GiB over {rows:,} rows; shorten it"
        )
    return np.ascontiguousarray(np.concatenate(every))


def names_from_json(path: Path, text: str | bytes | None) -> tuple[str, ...] | None:
    """Class names out of a metadata entry `class_names`, a JSON list of strings."""
    if text is None:
        return None
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(
            f"{place(path)}: class_names in its metadata is not a JSON list of strings; "
            "mend or remove the entry"
        )
    return tuple(names)


def _quoted(name: str) -> str:
    return f"'{printable(name)}'"
