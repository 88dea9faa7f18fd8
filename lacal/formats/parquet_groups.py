"""Parquet in row groups of a fixed number of rows: the same rows make the same bytes, in whatever pieces they come."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lacal.errors import RunError
from lacal.formats.shown import reason


@dataclass(slots=True)
class RowGroups:
    """Collects tables and writes them on a grid of rows. Open one with `row_groups`.

    Attributes:
        file: Where bytes go.
        group_rows: Rows of every row group but the last.
        place: The file as messages name it.
        layout: Settings of pyarrow's writer.
    """

    file: BinaryIO
    group_rows: int
    place: str
    layout: dict[str, Any]
    _parquet: Any = None  # opened with the first rows, as they decide the schema
    _waiting: list[Any] = field(default_factory=list)
    _rows: int = 0

    def write(self, table: Any) -> None:
        """Add rows: a table of the same schema each time.

        Raises:
            RunError: They could not be written.
        """
        self._waiting.append(table)
        self._rows += table.num_rows
        while self._rows >= self.group_rows:
            self._flush(self.group_rows)

    def _close(self) -> None:
        # Write what waits, and the footer.
        if self._rows:
            self._flush(self._rows)
        if self._parquet is not None:
            self._parquet.close()

    def _abandon(self) -> None:
        # pyarrow would complain when a file that will not be is collected.
        if self._parquet is not None:
            with contextlib.suppress(OSError, ValueError, pa.ArrowException):
                self._parquet.close()
            self._parquet.is_open = False

    def _flush(self, rows: int) -> None:
        waiting = pa.concat_tables(self._waiting)
        if self._parquet is None:
            self._parquet = pq.ParquetWriter(
                self.file,
                waiting.schema,
                compression="zstd",
                write_page_checksum=True,
                **self.layout,
            )
        # One piece a column: pages would otherwise end where the pieces happened to end.
        group = waiting.slice(0, rows).combine_chunks()
        try:
            self._parquet.write_table(group, row_group_size=rows)
        except pa.ArrowException as error:
            raise RunError(f"{self.place}: could not be written ({reason(error)})") from error
        self._waiting = [waiting.slice(rows)]
        self._rows -= rows


@contextlib.contextmanager
def row_groups(file: BinaryIO, group_rows: int, place: str, **layout: Any) -> "Iterator[RowGroups]":
    """A writer whose footer is written when the block ends well.

    Args:
        file: Where bytes go; stays open.
        group_rows: Rows of every row group but the last.
        place: The file as messages name it.
        layout: Further settings of pyarrow's writer, such as `use_dictionary`.
    """
    writer = RowGroups(file, group_rows, place, layout)
    try:
        yield writer
        writer._close()
    except BaseException:
        writer._abandon()
        raise


def numbers(values: NDArray[Any]) -> Any:
    """A NumPy array (n,) as a column; `pyarrow.array` does the same, but imports pandas where it is installed."""
    flat = np.ascontiguousarray(values)
    kind = pa.from_numpy_dtype(flat.dtype)
    return pa.Array.from_buffers(kind, flat.size, [None, pa.py_buffer(flat)])


def fixed_lists(values: NDArray[Any]) -> Any:
    """An array (n, k) as a column of n lists of length k, not copied where it is C-ordered."""
    return pa.FixedSizeListArray.from_arrays(numbers(values.reshape(-1)), values.shape[1])


def as_numpy(column: Any) -> NDArray[Any]:
    """The values of a column of numbers without nulls, not copied."""
    dtype = np.dtype(column.type.to_pandas_dtype())
    values = np.frombuffer(column.buffers()[1], dtype)
    return values[column.offset : column.offset + len(column)]
