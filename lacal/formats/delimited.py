"""`.csv`, `.tsv`: columns under a header line, streamed by pyarrow with every type fixed beforehand.

Types are never inferred over the file: id and label columns are text as they stand ("007", "NA"), the
others float64 unless their first row is no number. The threaded reader of pyarrow loses rows after one stray
quote without an error, so the streaming one is used and records are counted against lines.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from lacal.errors import DataError
from lacal.formats.arrow_columns import to_numpy
from lacal.formats.arrow_faults import arrow_errors
from lacal.formats.arrow_file import arrow_file
from lacal.formats.delimited_faults import fault_of
from lacal.formats.delimiters import delimiter_of
from lacal.formats.fields import chosen, gathered
from lacal.formats.shown import listed, place, printable
from lacal.formats.table import Field

TEXT_COLUMNS = {
    "id",
    "ids",
    "label",
    "labels",
    "class",
    "classes",
    "class_name",
    "class_names",
    "name",
    "names",
    "path",
}
NUMBER = re.compile(
    r"\s*[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|inf|infinity|nan)\s*",
    re.I | re.ASCII,  # other digits are digits to Python alone
)
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")

LINE_LIMIT = 16 << 20  # bytes of a header or first row
BLOCK_SIZE = 1 << 20
TAIL_SIZE = 1 << 16  # bytes within which blank lines at the end are looked for
BLOCK_LINES = 8  # a parsed block holds at least so many rows like the first
WHOLE_READ_ROWS = 8_192  # of text: 128 MB where one cell is as long as a cell may be
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class DelimitedTable:
    """A CSV file: one field for each column, text or float64."""

    path: Path
    fields: dict[str, Field]
    class_names: tuple[str, ...] | None
    _delimiter: str
    _block_size: int

    def with_empty(self, name: str) -> "DelimitedTable":
        """The same file, whose column `name` may have empty cells: it is text as it stands."""
        return self.as_text(name)

    def as_text(self, name: str) -> "DelimitedTable":
        """The same file, whose column `name` is text as it stands."""
        fields = {**self.fields, name: replace(self.fields[name], kind="text")}
        return replace(self, fields=fields)

    def read(self, name: str) -> NDArray[Any]:
        """The whole column."""
        blocks = (block for (block,) in self.blocks([name], WHOLE_READ_ROWS))
        text = name in self.fields and self.fields[name].kind == "text"
        return gathered(self.path, blocks, np.empty(0, "U1" if text else "f8"))

    def blocks(self, names: Sequence[str], rows: int) -> Iterator[tuple[NDArray[Any], ...]]:
        """Aligned blocks of columns; at the end, records are held against lines."""
        wanted = chosen(self.path, self.fields, names)
        expected, seen = _count_records(self.path), 0
        try:
            with arrow_errors(self.path):
                for batch in self._batches(list(dict.fromkeys(names)), rows) if expected else ():
                    columns = (batch.column(field.name) for field in wanted)
                    yield tuple(
                        to_numpy(column, field, seen, self.path)
                        for column, field in zip(columns, wanted, strict=True)
                    )
                    seen += batch.num_rows
        except DataError as error:
            raise self._explained(error) from error
        if seen != expected:
            found = f"holds {seen:,} records on {expected:,} lines; quotes may not span lines"
            raise self._explained(DataError(f"{place(self.path)}: {found}"))

    def _batches(self, names: list[str], rows: int) -> Iterator[Any]:
        types = {
            field.name: pa.string() if field.kind == "text" else pa.float64()
            for field in self.fields.values()
        }
        with arrow_file(self.path) as source:
            reader = pa_csv.open_csv(
                source,
                read_options=pa_csv.ReadOptions(
                    use_threads=False,
                    block_size=self._block_size,
                    column_names=list(types),
                    skip_rows=1,
                ),
                parse_options=pa_csv.ParseOptions(delimiter=self._delimiter),
                convert_options=pa_csv.ConvertOptions(
                    column_types=types,
                    include_columns=names,
                    null_values=[],
                    strings_can_be_null=False,
                ),
            )
            for batch in reader:
                for start in range(0, batch.num_rows, rows):
                    yield batch.slice(start, rows)

    def _explained(self, error: DataError) -> DataError:
        """The first line that is wrong, in our words; the error itself where every line is right."""
        numeric = [field.kind == "float" for field in self.fields.values()]
        return fault_of(self.path, self._delimiter, list(self.fields), numeric, NUMBER) or error


def open_delimited(path: Path) -> DelimitedTable:
    """Read the header and the first row, and fix delimiter, names and types."""
    with path.open("rb") as file:
        lines = [file.readline(LINE_LIMIT).removeprefix(BOM), file.readline(LINE_LIMIT)]
    header, first = (_decoded(path, line, number) for number, line in enumerate(lines, 1))
    if "\r" in header + first:
        raise DataError(f"{place(path)}: ends lines with CR alone; save it with LF or CRLF")
    delimiter = delimiter_of(path, header, first)
    names, cells = _cells(path, header, delimiter, 1), _cells(path, first, delimiter, 2)
    _check_names(path, names)
    _check_first_row(path, names, cells, delimiter)
    fields = {
        name: Field(name, "text" if _is_text(name, cell) else "float", (None,), "text")
        for name, cell in zip(names, cells or [""] * len(names), strict=True)
    }
    size = max(BLOCK_SIZE, BLOCK_LINES * max(len(line) for line in lines))
    return DelimitedTable(path, fields, None, delimiter, size)


def _decoded(path: Path, line: bytes, number: int) -> str:
    if len(line) >= LINE_LIMIT:
        raise DataError(
            f"{place(path)}: line {number} is longer than {LINE_LIMIT:,} bytes; expected a table"
        )
    if b"\0" in line:
        raise DataError(f"{place(path)}: line {number} holds a NUL byte; save it as UTF-8 text")
    try:
        return line.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{place(path)}: line {number} is not UTF-8 (Latin-1?); save the file as UTF-8"
        ) from error


def _cells(path: Path, line: str, delimiter: str, number: int) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise DataError(
            f"{place(path)}: line {number} has a stray quote or an overlong cell; a cell may not span lines"
        ) from error


def _check_names(path: Path, names: list[str]) -> None:
    if not names:
        raise DataError(f"{place(path)}: line 1 is empty; expected the names of the columns")
    if all(NUMBER.fullmatch(name) for name in names):
        raise DataError(
            f"{place(path)}: looks like it has no header; line 1 holds only numbers: {listed(names)}; "
            "put the names of the columns there, such as id, label, c0, c1"
        )
    if "" in names:
        raise DataError(
            f"{place(path)}: column {names.index('') + 1} has no name (an index that pandas wrote?); "
            "name it, or save with index=False"
        )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(
            f"{place(path)}: has two columns named '{printable(twice)}'; rename or drop one"
        )


def _check_first_row(path: Path, names: list[str], cells: list[str], delimiter: str) -> None:
    if not cells:
        return
    if len(cells) != len(names):
        raise DataError(
            f"{place(path)}: line 2 has {len(cells):,} cells; expected {len(names):,} as in the header; "
            "are cells separated by the same mark throughout?"
        )
    pieces = re.split(r"[;\t ]+", cells[0].strip())
    if len(cells) == 1 and len(pieces) > 1 and all(NUMBER.fullmatch(piece) for piece in pieces):
        raise DataError(
            f"{place(path)}: has one column whose rows hold several numbers: '{printable(cells[0])}'; "
            "separate columns with commas"
        )
    if delimiter != "," and any(DECIMAL_COMMA.fullmatch(cell.strip()) for cell in cells):
        raise DataError(
            f"{place(path)}: line 2 writes numbers with a decimal comma; write them with a point"
        )


def _is_text(name: str, cell: str) -> bool:
    return name.lower() in TEXT_COLUMNS or bool(cell and not NUMBER.fullmatch(cell))


def _count_records(path: Path) -> int:
    """Lines after the header; blank lines at the very end are not counted."""
    newlines, tail = 0, b""
    with path.open("rb") as file:
        while block := file.read(BLOCK_SIZE):
            if b"\0" in block:
                raise DataError(f"{place(path)}: holds a NUL byte; save it as UTF-8 text")
            newlines += block.count(b"\n")
            tail = (tail + block)[-TAIL_SIZE:]
    # The last line may end or not; with the header taken off, both give the newlines before it.
    return newlines - tail[len(tail.rstrip(b"\r\n")) :].count(b"\n")
