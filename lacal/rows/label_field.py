"""Which field of a file holds its labels, and which number a cell of it says."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.classes.names import shown
from lacal.errors import DataError
from lacal.formats import MayBeEmpty, Table
from lacal.rows.fields import ID_NAMES

LABEL_FIELDS = ("label", "labels")
WHOLE = re.compile(r"\s*(-?)0*(\d+)(\.0*)?\s*", re.ASCII)  # pandas writes 3.0 beside empty cells


def where_empty(table: Table, key: str) -> Table:
    """The table, whose labels may be empty where its format knows empty cells; the reader judges them."""
    one = table.fields[key]
    plain = len(one.shape) == 1 and one.kind in ("int", "float", "text")
    return table.with_empty(key) if plain and isinstance(table, MayBeEmpty) else table


def whole_number(text: str) -> int | None:
    """The whole number that a text is, exactly; None of one that no file stores as a number, in 64 bits."""
    found = WHOLE.fullmatch(text)
    if found is None or len(found[2]) > 20:
        return None
    value = int(found[1] + found[2])
    return value if -(2**63) <= value < 2**64 else None


def whole_numbers(values: list[int]) -> NDArray[Any]:
    """(n,) those numbers as int64, or as Python's own where one is larger."""
    try:
        return np.array(values, np.int64)
    except OverflowError:
        return np.array(values, np.object_)


def label_key(table: Table, key: str | None, class_names: tuple[str, ...]) -> str:
    """The field of a labels file: the one asked for, the usual name, or the only one."""
    listed = ", ".join(shown(name) for name in list(table.fields)[:12])
    if key is not None and key not in table.fields:
        raise DataError(f"{table.path}: has no field {shown(key)} (--label-key); it has {listed}")
    if key is not None:
        return key
    usual = [name for name in table.fields if name.lower() in LABEL_FIELDS]
    if len(usual) == 1:
        return usual[0]
    several = len(table.fields) > 1
    # A single column may be called 0, as pandas does.
    headless = [one for one in table.fields if one in class_names or (several and one.isdecimal())]
    if headless:
        raise DataError(
            f"{table.path}: which field holds the labels? it has {listed}; is {shown(headless[0])} the name of a "
            "column, or has the file no header? write `label`, or `id,label`, as its first line (or name the column "
            "with --label-key)"
        )
    if several or next(iter(table.fields)).lower() in ID_NAMES:
        raise DataError(
            f"{table.path}: which field holds the labels? it has {listed}; name it with --label-key"
        )
    return next(iter(table.fields))
