"""One Arrow column as a numpy array: plain numbers, lists of equal length, text.

Nulls and ragged lists are looked for before anything is flattened: `flatten` drops null rows without a
word, and `values` ignores that an array is a slice.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lacal.errors import DataError
from lacal.formats.shown import place, printable
from lacal.formats.table import Field, Kind

TEXT_LIMIT = 4096  # characters in a cell; numpy stores every row as wide as the longest


def described(name: str, column: Any, rows: int | None) -> Field:
    """The column of this Arrow type as a field; a plain list's length is not yet known."""
    kind, inner = _layout(column)
    return Field(name, kind, (rows, *inner), str(column))


def with_length(field: Field, column: Any) -> Field:
    """The field of a plain list, its length taken from the column's first row."""
    first = column[0].as_py() if len(column) else None
    return field if first is None else replace(field, shape=(field.shape[0], len(first)))


def is_plain_list(column: Any) -> bool:
    """Whether the type leaves the lists' length open."""
    return bool(pa.types.is_list(column) or pa.types.is_large_list(column))


def to_numpy(column: Any, field: Field, first_row: int, path: Path) -> NDArray[Any]:
    """The column's values; errors name the row, counted from `first_row`."""
    where = f"{place(path)}: column '{printable(field.name)}'"
    if column.null_count:
        raise DataError(
            f"{where} is empty (null) in row {first_row + _first_null(column):,}; fill it"
        )
    if field.kind == "text":
        return _text(column, first_row, where)
    if len(field.shape) == 1:
        return _numbers(column)
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    inner = tuple(size or 0 for size in field.shape[1:])
    if is_plain_list(column.type):
        _check_lengths(column, inner[0], first_row, where)
    values = column.flatten()
    if values.null_count:
        row = first_row + _first_null(values) // math.prod(inner)
        raise DataError(f"{where} holds an empty (null) value in row {row:,}; fill it")
    return _numbers(values).reshape(len(column), *inner)


def _layout(column: Any) -> tuple[Kind, tuple[int | None, ...]]:
    types = pa.types
    if isinstance(column, pa.FixedShapeTensorType):
        turned = column.permutation not in (None, list(range(len(column.shape))))
        return ("other" if turned else _number_kind(column.value_type)), tuple(column.shape)
    if types.is_dictionary(column):
        return ("text" if _is_text(column.value_type) else "other"), ()
    if types.is_fixed_size_list(column):
        return _number_kind(column.value_type), (column.list_size,)
    if is_plain_list(column):
        return _number_kind(column.value_type), (None,)
    return ("text" if _is_text(column) else _number_kind(column)), ()


def _number_kind(column: Any) -> Kind:
    if pa.types.is_floating(column):
        return "float"
    if pa.types.is_integer(column):
        return "int"
    return "bool" if pa.types.is_boolean(column) else "other"


def _is_text(column: Any) -> bool:
    return bool(pa.types.is_string(column) or pa.types.is_large_string(column))


def _numbers(values: Any) -> NDArray[Any]:
    array: NDArray[Any] = values.to_numpy(zero_copy_only=False)
    return array


def _first_null(column: Any) -> int:
    return int(np.flatnonzero(_numbers(column.is_null()))[0])


def _check_lengths(column: Any, expected: int, first_row: int, where: str) -> None:
    lengths = _numbers(pc.list_value_length(column))
    ragged = np.flatnonzero(lengths != expected)
    if len(ragged):
        row = int(ragged[0])
        raise DataError(
            f"{where} has {lengths[row]:,} values in row {first_row + row:,}; "
            f"expected {expected:,} as in the first row"
        )


def _text(column: Any, first_row: int, where: str) -> NDArray[Any]:
    if isinstance(column, pa.DictionaryArray):
        # Only the entries this block uses: the dictionary may be larger than all blocks together.
        used, at = np.unique(_numbers(column.indices), return_inverse=True)
        entries = column.dictionary.take(pa.array(used))
        if entries.null_count:
            row = int(np.flatnonzero(at == _first_null(entries))[0])
            raise DataError(f"{where} is empty (null) in row {first_row + row:,}; fill it")
        return _strings(entries, first_row, where, rows=at)[at]
    return _strings(column, first_row, where, rows=None)


def _strings(
    column: Any, first_row: int, where: str, rows: NDArray[np.intp] | None
) -> NDArray[Any]:
    """The strings; `rows` says which entry each row uses, None that entry i is row i."""
    lengths = _numbers(pc.utf8_length(column))
    values = column.to_pylist() if not (lengths > TEXT_LIMIT).any() else []
    bad = [i for i, value in enumerate(values) if "\0" in value]
    bad = bad or np.flatnonzero(lengths > TEXT_LIMIT).tolist()
    if bad:
        row = bad[0] if rows is None else int(np.flatnonzero(np.isin(rows, bad))[0])
        fault = "holds a NUL character" if values else f"has more than {TEXT_LIMIT:,} characters"
        raise DataError(f"{where} {fault} in row {first_row + row:,}; shorten or clean it")
    return np.array(values, np.str_)
