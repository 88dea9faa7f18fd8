"""Which line of a CSV file is wrong, and how: a slow second look, taken only when reading has failed.

pyarrow counts rows within a block and quotes whole lines; a person needs the line number of the file.
"""

import csv
import re
from pathlib import Path

from lacal.errors import DataError
from lacal.formats.shown import place, printable

LINE_LIMIT = 16 << 20


def fault_of(
    path: Path, delimiter: str, names: list[str], numeric: list[bool], number: re.Pattern[str]
) -> DataError | None:
    """The first line that breaks the table, as an error; None where each line by itself is fine."""
    blank = 0
    with path.open("rb") as file:
        file.readline(LINE_LIMIT)
        line_number = 1
        while line := file.readline(LINE_LIMIT):
            line_number += 1
            text = line.rstrip(b"\r\n")
            if not text:
                blank = blank or line_number
                continue
            where = f"{place(path)}: line {blank or line_number:,}"
            if blank:
                return DataError(f"{where} is empty; remove or fill it")
            if fault := _line_fault(text, delimiter, names, numeric, number):
                return DataError(f"{where} {fault}")
    return None


def _line_fault(
    line: bytes, delimiter: str, names: list[str], numeric: list[bool], number: re.Pattern[str]
) -> str | None:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return "is not UTF-8 (Latin-1?); save the file as UTF-8"
    if "\r" in text:
        return "holds a carriage return; end lines with LF or CRLF throughout"
    try:
        cells = next(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error:
        return "has a stray quote or an overlong cell; a cell may not span lines"
    if len(cells) != len(names):
        return f"has {len(cells):,} cells; expected {len(names):,} as in the header"
    for name, cell, is_number in zip(names, cells, numeric, strict=True):
        if is_number and not number.fullmatch(cell):
            got = f"'{printable(cell)}'" if cell.strip() else "an empty cell"
            return (
                f"has {got} in column '{printable(name)}'; expected a number as in the rows before"
            )
    return None
