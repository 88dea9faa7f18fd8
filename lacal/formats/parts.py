"""A folder, or a pattern, of Parquet or Arrow parts read as one table.

Parts come in natural order, part-2 before part-10. Hidden files and those that begin with `_` (markers,
manifests of other tools) are passed over; anything else that is not a part stops the run, as a part that
is skipped in silence is rows lost.
"""

import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from numpy.typing import NDArray

from lacal.errors import DataError
from lacal.formats.arrow import open_arrow
from lacal.formats.arrow_batches import Layout
from lacal.formats.fields import chosen, gathered
from lacal.formats.shown import place, printable, reason
from lacal.formats.sniff import is_folder, sniff
from lacal.formats.table import Field
from lacal.formats.unchanged import HeldTable, state_of, unchanged

ARROW_FORMATS = ("parquet", "arrow file", "arrow stream")


@dataclass(frozen=True, slots=True)
class PartsTable:
    """Several files of one schema, end to end."""

    path: Path
    fields: dict[str, Field]
    class_names: tuple[str, ...] | None
    parts: tuple[HeldTable, ...]

    @property
    def inference(self) -> str | None:
        """The first part's; `lacal.rows.one_model` sees to it that all are of one model."""
        return self.parts[0].inference

    @property
    def probabilities(self) -> str | None:
        """Every part's."""
        return self.parts[0].probabilities

    def with_empty(self, name: str) -> "PartsTable":
        """The same parts, whose column `name` may hold nulls."""
        return replace(self, parts=tuple(part.with_empty(name) for part in self.parts))

    def read(self, name: str) -> NDArray[Any]:
        """The whole column, over all parts."""
        chosen(self.path, self.fields, [name])
        every = [part.read(name) for part in self.parts]
        return gathered(self.path, (block for block in every if len(block)), every[0])

    def blocks(self, names: Sequence[str], rows: int) -> Iterator[tuple[NDArray[Any], ...]]:
        """Aligned blocks; none spans two parts."""
        chosen(self.path, self.fields, names)
        for part in self.parts:
            yield from part.blocks(names, rows)


def open_parts(path: Path) -> PartsTable:
    """Open every part and hold its schema against the first one's."""
    tables = tuple(_opened(part) for part in _found(path))
    filled = [table for table in tables if _rows(table) != 0]  # an empty part knows no list length
    first = filled[0] if filled else tables[0]
    for table in filled:
        _check_same(first, table)
    rows = [_rows(table) for table in tables]
    total = None if None in rows else sum(cast("list[int]", rows))
    fields = {
        name: replace(field, shape=(total, *field.shape[1:]))
        for name, field in first.fields.items()
    }
    return PartsTable(path, fields, first.class_names, tuple(filled) or (first,))


def natural_key(path: Path) -> tuple[list[str | int], str]:
    """Sorts the numbers within a path by value; digits stand at odd places, so types never mix."""
    text = str(path)
    pieces = re.split(r"([0-9]+)", text)
    return [int(piece) if i % 2 else piece for i, piece in enumerate(pieces)], text


def _found(path: Path) -> list[Path]:
    try:
        every = list(path.iterdir()) if is_folder(path) else _matching(path)
    except OSError as error:
        raise DataError(
            f"{place(path)}: cannot be listed: {reason(error)}; give yourself permission"
        ) from error
    parts = [part for part in every if not part.name.startswith((".", "_"))]
    if not parts:
        raise DataError(
            f"{place(path)}: holds no parts; expected a folder or a pattern of .parquet or .arrow files"
        )
    ordered = sorted(parts, key=natural_key)
    _refuse_twice(ordered)
    return ordered


def _refuse_twice(parts: list[Path]) -> None:
    """Refuse a link to another part: its rows would count twice."""
    seen: dict[tuple[int, int], Path] = {}
    for part in parts:
        try:
            found = part.stat()
        except (OSError, ValueError):  # said when it is opened
            continue
        first = seen.setdefault((found.st_dev, found.st_ino), part)
        if first is not part:
            raise DataError(
                f"{place(part)}: is the same file as {place(first)}, whose rows would count twice; remove one of them"
            )


def _matching(pattern: Path) -> list[Path]:
    return [Path(name) for name in glob.glob(str(pattern))]  # noqa: PTH207 - it may be absolute


def _opened(part: Path) -> HeldTable:
    if is_folder(part):
        raise DataError(
            f"{place(part)}: is a folder among the parts; name the parts with a pattern, such as '*.parquet'"
        )
    found = sniff(part)
    if found not in ARROW_FORMATS:
        raise DataError(
            f"{place(part)}: is not a Parquet or Arrow file, as all parts must be; move it away or name "
            "the parts with a pattern, such as '*.parquet'"
        )
    opened = state_of(part)
    with unchanged(part, opened):
        return HeldTable(open_arrow(part, cast("Layout", found)), opened)


def _rows(table: HeldTable) -> int | None:
    return next((field.shape[0] for field in table.fields.values()), 0)


def _check_same(first: HeldTable, other: HeldTable) -> None:
    if other.class_names != first.class_names:
        raise DataError(
            f"{place(other.path)}: has other class_names in its metadata than {place(first.path)}"
        )
    if other.probabilities != first.probabilities:
        raise DataError(
            f"{place(other.path)}: says otherwise than {place(first.path)} what its probabilities are ('probabilities' "
            "in its metadata, which lacal adjust writes); expected parts of one adjustment; put those of each into a "
            "folder of their own"
        )
    for name in {**first.fields, **other.fields}:  # in this order, whatever the hashes of names
        ours, theirs = first.fields.get(name), other.fields.get(name)
        if ours is None or theirs is None:
            lacking = first if ours is None else other
            raise DataError(
                f"{place(lacking.path)}: has no column '{printable(name)}', which other parts have"
            )
        mine, yours = (ours.stored, *ours.shape[1:]), (theirs.stored, *theirs.shape[1:])
        if mine != yours:
            raise DataError(
                f"{place(other.path)}: column '{printable(name)}' is {_shown(theirs)}; "
                f"expected {_shown(ours)} as in {place(first.path)}"
            )


def _shown(field: Field) -> str:
    inner = ", ".join(str(size) for size in field.shape[1:])
    return printable(field.stored) + (f" of {inner} values" if inner else "")
