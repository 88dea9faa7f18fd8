"""`.txt`: one value a line, no header; what the values mean is for the caller to say."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.errors import DataError
from lacal.formats.fields import chosen, gathered
from lacal.formats.shown import place, printable
from lacal.formats.table import Field

LINE_LIMIT = 4096  # bytes; numpy stores every row as wide as the longest
WHOLE_READ_ROWS = 8_192  # of text: 128 MB where one cell is as long as a cell may be
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class LinesTable:
    """A text file of one value a line: one text field, named ""."""

    path: Path
    fields: dict[str, Field]
    class_names: tuple[str, ...] | None

    def read(self, name: str) -> NDArray[Any]:
        """Every line, as text."""
        blocks = (block for (block,) in self.blocks([name], WHOLE_READ_ROWS))
        return gathered(self.path, blocks, np.empty(0, "U1"))

    def blocks(self, names: Sequence[str], rows: int) -> Iterator[tuple[NDArray[Any], ...]]:
        """Blocks of lines."""
        chosen(self.path, self.fields, names)
        lines = _values(self.path)
        while block := list(islice(lines, rows)):
            yield (np.array(block, np.str_),) * len(names)


def open_lines(path: Path) -> LinesTable:
    """Look at the first line; the others are checked as they are read."""
    next(_values(path), None)
    return LinesTable(path, {"": Field("", "text", (None,), "text")}, None)


def _values(path: Path) -> Iterator[str]:
    number, blank = 0, 0
    with path.open("rb") as file:
        while line := file.readline(LINE_LIMIT + 1):
            number += 1
            value = _value(line.removeprefix(BOM) if number == 1 else line, number, path)
            if not value:
                blank = blank or number
            elif blank:
                raise DataError(f"{place(path)}: line {blank:,} is empty; remove or fill it")
            else:
                yield value


def _value(line: bytes, number: int, path: Path) -> str:
    where = f"{place(path)}: line {number:,}"
    if len(line) > LINE_LIMIT:
        raise DataError(f"{where} is longer than {LINE_LIMIT:,} bytes; expected one value a line")
    try:
        value = line.rstrip(b"\r\n").decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8 text; save the file as UTF-8") from error
    if "\0" in value:
        raise DataError(f"{where} holds a NUL character; save the file as UTF-8 text")
    if len(value.split()) > 1 or value != value.strip():
        raise DataError(
            f"{where} holds whitespace: '{printable(value)}'; expected one value a line and no header; "
            "save several columns as .csv"
        )
    return value
