"""Which mark stands between the cells of a table: the one that parts the header and the row below alike.

A name may hold a comma, and so may a number where commas write decimals, so the header alone does not tell.
"""

import csv
from pathlib import Path

from lacal.errors import DataError
from lacal.formats.shown import place

MARKS = ",\t;"


def delimiter_of(path: Path, header: str, first: str) -> str:
    """The mark between cells.

    Args:
        path: The file; `.tsv` is parted by tabs.
        header: Its first line.
        first: The line below, "" where there is none.

    Raises:
        DataError: The first line is the `sep=;` that spreadsheets take for a setting.

    Example:
        >>> delimiter_of(Path("a.csv"), "class;count (2024, train)", "cat;7")
        ';'
        >>> delimiter_of(Path("a.csv"), "class;a;b", "cat;1,5;2,5")
        ';'
    """
    if header.strip('" ').lower().startswith("sep="):
        raise DataError(
            f"{place(path)}: line 1 is 'sep=', a setting of spreadsheets; delete that line, so that the names of the "
            "columns come first"
        )
    if path.suffix.lower() == ".tsv":
        return "\t"
    marks = [mark for mark in MARKS if mark in header]
    if len(marks) < 2:
        return marks[0] if marks else ","
    above = {mark: _cells(header, mark) for mark in marks}
    alike = [mark for mark in marks if above[mark] > 1 and above[mark] == _cells(first, mark)]
    return max(alike or marks, key=above.__getitem__)  # the first of equals


def _cells(line: str, mark: str) -> int:
    """How many cells a line has; none where it cannot be read with this mark."""
    try:
        return len(next(csv.reader([line], delimiter=mark, strict=True), []))
    except csv.Error:
        return 0
