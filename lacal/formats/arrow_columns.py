"""One Arrow column as a numpy array: plain numbers, lists of equal length, text, encoded images.

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

DEPTH_LIMIT = 8  # of lists in lists
STORED_LIMIT = 200  # characters of a type that is shown: its fields have names from the file
TEXT_LIMIT = 4096  # characters in a cell; numpy stores every row as wide as the longest


def described(name: str, column: Any, rows: int | None) -> Field:
    """The column of this Arrow type as a field; a plain list's length is not yet known."""
    kind, inner = _layout(column)
    return Field(name, kind, (rows, *inner), printable(str(column), STORED_LIMIT))


def with_length(field: Field, column: Any) -> Field:
    """The field of a plain list, its lengths at every depth taken from the column's first row."""
    sizes: list[int] = []
    values = column[0].values if len(column) else None
    while values is not None:
        sizes.append(len(values))
        deeper = len(sizes) < len(field.shape) - 1 and len(values)
        values = values[0].values if deeper else None
    unknown = field.shape[1 + len(sizes) :]
    return replace(field, shape=(field.shape[0], *sizes, *unknown))


def is_plain_list(column: Any) -> bool:
    """Whether the type leaves the lists' length open, at whatever depth."""
    while _is_list(column):
        if not pa.types.is_fixed_size_list(column):
            return True
        column = column.value_type
    return False


def without_nulls(column: Any) -> Any:
    """The column with "" (text) or NaN (numbers, then float64) for null."""
    if isinstance(column, pa.DictionaryArray):
        entries = column.dictionary
        if not column.null_count and not entries.null_count:
            return column
        column = entries.take(column.indices)  # 4,096 characters at most, and a block of rows
    if not column.null_count:
        return column
    if _is_text(column.type):
        return pc.fill_null(column, "")
    return pc.fill_null(column.cast(pa.float64(), safe=False), math.nan)


def to_numpy(column: Any, field: Field, first_row: int, path: Path) -> NDArray[Any]:
    """The column's values; errors name the row, counted from `first_row`."""
    where = f"{place(path)}: column '{printable(field.name)}'"
    if column.null_count:
        raise DataError(
            f"{where} is empty (null) in row {first_row + _first_null(column):,}; fill it"
        )
    if field.kind == "text":
        return _text(column, first_row, where)
    if field.kind == "image":
        return _encoded(column, first_row, where)
    if len(field.shape) == 1:
        return _numbers(column)
    inner = tuple(size or 0 for size in field.shape[1:])
    if isinstance(column, pa.ExtensionArray):
        flat = _flattened(column.storage, (math.prod(inner),), first_row, where)
    else:
        flat = _flattened(column, inner, first_row, where)
    return flat.reshape(len(column), *inner)


def _flattened(column: Any, sizes: tuple[int, ...], first_row: int, where: str) -> NDArray[Any]:
    """The values of lists, `sizes` long at each depth, one after the other."""
    a_row = 1  # values that one row has at this depth
    for size in sizes:
        if not pa.types.is_fixed_size_list(column.type):
            _check_lengths(column, size, a_row, first_row, where)
        column, a_row = column.flatten(), a_row * size
        if column.null_count:
            row = first_row + _first_null(column) // a_row
            raise DataError(f"{where} holds an empty (null) value in row {row:,}; fill it")
    return _numbers(column)


def _layout(column: Any) -> tuple[Kind, tuple[int | None, ...]]:
    types = pa.types
    if isinstance(column, pa.FixedShapeTensorType):
        turned = column.permutation not in (None, list(range(len(column.shape))))
        return ("other" if turned else _number_kind(column.value_type)), tuple(column.shape)
    if types.is_dictionary(column):
        return ("text" if _is_text(column.value_type) else "other"), ()
    if _is_binary(column) or _holds_images(column):
        return "image", ()
    if _is_list(column):
        return _list_layout(column)
    return ("text" if _is_text(column) else _number_kind(column)), ()


def _list_layout(column: Any) -> tuple[Kind, tuple[int | None, ...]]:
    sizes: list[int | None] = []
    while _is_list(column) and len(sizes) < DEPTH_LIMIT:
        sizes.append(column.list_size if pa.types.is_fixed_size_list(column) else None)
        column = column.value_type
    return _number_kind(column), tuple(sizes)


def _is_list(column: Any) -> bool:
    types = pa.types
    return bool(
        types.is_list(column) or types.is_large_list(column) or types.is_fixed_size_list(column)
    )


def _is_binary(column: Any) -> bool:
    return bool(pa.types.is_binary(column) or pa.types.is_large_binary(column))


def _holds_images(column: Any) -> bool:
    """Whether this is Hugging Face's struct of an image: its bytes, and the path they came from."""
    if not pa.types.is_struct(column) or {one.name for one in column} != {"bytes", "path"}:
        return False
    return _is_binary(column.field("bytes").type)


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


def _check_lengths(column: Any, expected: int, a_row: int, first_row: int, where: str) -> None:
    lengths = _numbers(pc.list_value_length(column))
    ragged = np.flatnonzero(lengths != expected)
    if len(ragged):
        at = int(ragged[0])
        what = "values" if a_row == 1 else "values in an inner list"
        raise DataError(
            f"{where} has {lengths[at]:,} {what} in row {first_row + at // a_row:,}; "
            f"expected {expected:,} as in the first row"
        )


def _encoded(column: Any, first_row: int, where: str) -> NDArray[Any]:
    if pa.types.is_struct(column.type):
        column = column.field("bytes")
    if column.null_count:
        row = first_row + _first_null(column)
        raise DataError(
            f"{where} holds no image bytes in row {row:,}, at most a path; put the bytes of every image "
            "into the file, or give the images as a folder or a list file"
        )
    images = np.empty(len(column), np.object_)
    images[:] = column.to_pylist()
    return images


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
