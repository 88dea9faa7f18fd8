"""Counts from text: JSON, CSV, and the long-tail field's list files.

They are small, so the standard library reads them: a command on an .npz and a .csv loads no Arrow.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.classes.class_counts import Counts, in_class_order
from lacal.classes.names import class_numbers, shown
from lacal.errors import DataError
from lacal.formats.text import Line, csv_lines, read_text, strict_json

COUNT_FIELDS = ("class_counts", "train_counts", "counts", "count")
SHARE_FIELDS = ("share", "shares", "prior", "probability", "frequency")
KEY_FIELDS = ("class", "class_name", "class_names", "label", "name")
MOST_CLASSES = 10_000_000
THOUSANDS = re.compile(r"[0-9]{1,3}\.[0-9]{3}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for beside the classes.

    Attributes:
        what: One of the numbers, in words.
        numbers: What it may be, in words.
        fields: Names that the column may have.
        hint: What to do where none has such a name.
        only: Take the only column of numbers, whatever its name.
        whole: Whether every number is whole.
    """

    what: str = "count"
    numbers: str = "a whole number"
    fields: tuple[str, ...] = COUNT_FIELDS
    hint: str = "name it with --counts-key"
    only: bool = False
    whole: bool = True


COUNTS = Wanted()
SHARES = Wanted(
    "share",
    "a number from 0",
    (*SHARE_FIELDS, *COUNT_FIELDS),
    "call the column of class shares `share`, or that of counts `count`",
    only=True,
    whole=False,
)


def json_counts(path: Path, wanted: Wanted = COUNTS) -> Counts:
    """A list in class order, an object {class: count}, or `class_counts` beside `class_names`."""
    try:
        value = strict_json(read_text(path))
    except ValueError as error:
        raise DataError(
            f"{path}: is not JSON that can be read ({str(error)[:80]}); expected a list of {wanted.what}s, or an "
            f"object {{class: {wanted.what}}}"
        ) from error
    if isinstance(value, dict) and isinstance(value.get("class_counts"), dict):
        value = value["class_counts"]
    if isinstance(value, dict) and isinstance(value.get("class_counts"), list):
        names = value.get("class_names")
        if names is not None and not (
            isinstance(names, list) and all(isinstance(name, str) for name in names)
        ):
            raise DataError(f"{path}: class_names must be a list of texts")
        counts = _json_numbers(value["class_counts"], path, wanted)
        if names is not None and len(names) != counts.size:
            raise DataError(f"{path}: has {counts.size} class_counts and {len(names)} class_names")
        return Counts(path, counts, None if names is None else tuple(names))
    if isinstance(value, list):
        return Counts(path, _json_numbers(value, path, wanted))
    if isinstance(value, dict):
        numbers = _json_numbers(list(value.values()), path, wanted)
        return in_class_order(path, numbers, [list(value)])
    raise DataError(
        f"{path}: holds no {wanted.what}s, expected a list or an object {{class: {wanted.what}}}"
    )


def _json_numbers(values: list[Any], path: Path, wanted: Wanted) -> NDArray[np.float64]:
    for at, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e300:
            raise DataError(
                f"{path}: the {wanted.what} of class {at} is {shown(str(value)[:80])}, expected {wanted.numbers}"
            )
    return np.array(values, np.float64)


def list_file_counts(path: Path) -> Counts | None:
    """Labels of `relative/path label` lines, counted; None for a plain column of numbers."""
    every = enumerate(read_text(path).splitlines(), 1)
    lines = [(number, line) for number, line in every if line.strip()]
    if not lines or len(lines[0][1].rsplit(maxsplit=1)) < 2:
        return None
    labels = np.empty(len(lines), np.int64)
    for row, (number, line) in enumerate(lines):
        label = line.rsplit(maxsplit=1)[-1]
        if not (
            label.isascii() and label.isdigit() and len(label) < 9 and int(label) <= MOST_CLASSES
        ):
            raise DataError(
                f"{path}: line {number} ends in {shown(label)}, expected `relative/path label` with a "
                f"class number 0..{MOST_CLASSES:,}; of class names, write a table `class,count`"
            )
        labels[row] = int(label)
    return Counts(path, np.bincount(labels), counted=True)


def csv_counts(path: Path, key: str | None = None, wanted: Wanted = COUNTS) -> Counts | None:
    """A `class,count` table; None for a table without a column of such a name, which may hold labels."""
    rows = _csv_rows(path, wanted)
    header = [name.strip() for name in rows[0][1]]
    lowered = [name.lower() for name in header]
    if len(set(lowered)) != len(lowered):
        raise DataError(f"{path}: two columns have one name; rename one")
    if all(_number(name) is not None for name in header):
        raise DataError(
            f"{path}: looks like it has no header; write `class,{wanted.what}` as its first line"
        )
    at = _column(path, header, rows[1:], key, wanted)
    if at is None:
        return None
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise DataError(f"{path}: line {line} has {len(row)} cells, expected {len(header)}")
    cells = [row for _, row in rows[1:]]
    values = [_number(row[at]) for row in cells]
    if None in values:
        line, row = rows[1 + values.index(None)]
        raise DataError(
            f"{path}: line {line}: the {wanted.what} is {shown(row[at])}, expected {wanted.numbers}"
        )
    if wanted.whole:
        _refuse_thousands(path, rows[1:], at)
    columns = {name: [row[j] for row in cells] for j, name in enumerate(header) if j != at}
    return in_class_order(path, np.array(values, np.float64), key_columns(path, columns, wanted))


def key_columns(
    path: Path, columns: Mapping[str, list[str]], wanted: Wanted = COUNTS
) -> list[list[str]]:
    """The columns that tell the classes: those of the usual names, or the only one of text, or of 0..k-1.

    Args:
        path: The file.
        columns: The cells of every column beside the numbers.
        wanted: What the numbers are.

    Raises:
        DataError: Several could: without one the numbers would go to the classes in the order of the lines.
    """
    usual = [cells for name, cells in columns.items() if name.lower() in KEY_FIELDS]
    if usual:
        return usual
    found = [name for name, cells in columns.items() if None in map(_number, cells)]
    found = found or [name for name, cells in columns.items() if class_numbers(cells) is not None]
    if len(found) > 1:
        listed = ", ".join(shown(name) for name in found[:12])
        raise DataError(
            f"{path}: which column names the classes? {listed} could; call it `class`, or write a table of "
            f"class,{wanted.what} alone"
        )
    return [columns[name] for name in found]


def _refuse_thousands(path: Path, rows: list[Line], at: int) -> None:
    """Refuse 2.000, which is 2 to some and two thousand to others, unless other numbers tell that points are decimal."""
    pointed = [(line, row[at].strip()) for line, row in rows if "." in row[at]]
    if pointed and all(THOUSANDS.fullmatch(cell) for _, cell in pointed):
        line, cell = pointed[0]
        raise DataError(
            f"{path}: line {line}: the count is {shown(cell)}: is that {float(cell):g}, or {cell.replace('.', '')}? "
            "write whole numbers without a point"
        )


def _column(
    path: Path, header: list[str], rows: list[Line], key: str | None, wanted: Wanted
) -> int | None:
    """The column of the numbers: the one asked for, the first of a usual name, or the only one of numbers."""
    if key is not None and key not in header:
        listed = ", ".join(shown(name) for name in header[:12])
        raise DataError(f"{path}: has no column {shown(key)} (--counts-key); it has {listed}")
    if key is not None:
        return header.index(key)
    lowered = [name.lower() for name in header]
    usual = [name for name in wanted.fields if name in lowered]
    if usual:
        return lowered.index(usual[0])
    numeric = [
        at
        for at, name in enumerate(lowered)
        if name not in KEY_FIELDS
        and all(at < len(row) and _number(row[at]) is not None for _, row in rows)
    ]
    return numeric[0] if wanted.only and len(numeric) == 1 else None


def _csv_rows(path: Path, wanted: Wanted) -> list[Line]:
    """Line number and cells of every line that is not blank; the first is the header."""
    rows = csv_lines(path)
    if len(rows) < 2:
        raise DataError(
            f"{path}: holds no {wanted.what}s; expected a header `class,{wanted.what}` and a line a class"
        )
    return rows


def _number(text: str) -> float | None:
    """The number a cell holds; Python would read 1_000 as one, nobody else does."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None
