"""Parquet in row groups of a fixed number of rows: the same rows make the same bytes, in whatever pieces they come."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray


@dataclass(slots=True)
class RowGroups:
    """Collects tables and writes them on a grid of rows. Open one with `row_groups`.

    Attributes:
        file: Where bytes go.
        group_rows: Rows of every row group but the last.
        layout: Settings of pyarrow's writer.
        metadata: Of the file, in place of the tables' own; None for theirs.
        spelt: Columns of int32 in the tables, each with what its numbers stand for: the file holds the entries.
    """

    file: BinaryIO
    group_rows: int
    layout: dict[str, Any]
    metadata: dict[str, str] | None = None
    spelt: dict[str, Any] = field(default_factory=dict)
    _parquet: Any = None  # opened with the first rows, as they decide the schema
    _waiting: list[Any] = field(default_factory=list)
    _rows: int = 0

    def write(self, table: Any) -> None:
        """Add rows: a table of the same schema each time."""
        self._waiting.append(table)
        self._rows += table.num_rows
        while self._rows >= self.group_rows:
            self._flush(self.group_rows)

    def _close(self) -> None:
        # Write what waits, and the footer.
        if self._rows:
            self._flush(self._rows)
        self._parquet.close()  # it is open: a source without rows was refused

    def _abandon(self) -> None:
        # pyarrow would complain when a file that will not be is collected.
        if self._parquet is not None:
            with contextlib.suppress(OSError, ValueError, pa.ArrowException):
                self._parquet.close()
            self._parquet.is_open = False

    def _flush(self, rows: int) -> None:
        waiting = pa.concat_tables(self._waiting)
        # One piece a column: pages would otherwise end where the pieces happened to end.
        group = self._spelt_out(waiting.slice(0, rows).combine_chunks())
        if self._parquet is None:
            schema = group.schema
            self._parquet = pq.ParquetWriter(
                self.file,
                schema if self.metadata is None else schema.with_metadata(self.metadata),
                compression="zstd",
                write_page_checksum=True,
                **self.layout,
            )
        self._parquet.write_table(group, row_group_size=rows)
        self._waiting = [waiting.slice(rows)]
        self._rows -= rows

    def _spelt_out(self, group: Any) -> Any:
        # Not in the tables: of thousands that wait each would bring its dictionary, and all would be compared.
        for name, entries in self.spelt.items():
            which = group.column(name).combine_chunks()
            at = group.schema.get_field_index(name)
            group = group.set_column(at, name, pa.DictionaryArray.from_arrays(which, entries))
        return group


@contextlib.contextmanager
def row_groups(
    file: BinaryIO,
    group_rows: int,
    *,
    metadata: dict[str, str] | None = None,
    spelt: dict[str, Any] | None = None,
    **layout: Any,
) -> "Iterator[RowGroups]":
    """A writer whose footer is written when the block ends well.

    Args:
        file: Where bytes go; stays open.
        group_rows: Rows of every row group but the last.
        metadata: Of the file, in place of the tables' own.
        spelt: Columns of int32 in the tables, each with what its numbers stand for.
        layout: Further settings of pyarrow's writer, such as `use_dictionary`.
    """
    writer = RowGroups(file, group_rows, layout, metadata, spelt or {})
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
