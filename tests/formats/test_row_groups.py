"""Row groups: the same rows make the same bytes, in whatever pieces they come."""

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lacal.formats.parquet_groups import as_numpy, fixed_lists, numbers, row_groups


def test_row_groups_do_not_depend_on_the_pieces() -> None:
    values = np.arange(23.0)
    made = []
    for pieces in ([23], [1] * 23, [10, 13], [5, 5, 5, 8], [22, 1]):
        file, at = io.BytesIO(), 0
        with row_groups(file, 5, use_dictionary=False) as writer:
            for rows in pieces:
                writer.write(pa.table({"x": numbers(values[at : at + rows])}))
                at += rows
        made.append(file.getvalue())
    assert len(set(made)) == 1
    footer = pq.ParquetFile(io.BytesIO(made[0])).metadata
    assert [footer.row_group(i).num_rows for i in range(footer.num_row_groups)] == [5, 5, 5, 5, 3]
    column = footer.row_group(0).column(0)
    assert column.compression == "ZSTD"
    assert not column.has_dictionary_page
    np.testing.assert_array_equal(pq.read_table(io.BytesIO(made[0]))["x"].to_numpy(), values)
    spoiled = bytearray(made[0])
    at = column.data_page_offset + column.total_compressed_size - 2
    spoiled[at] ^= 1
    with pytest.raises(OSError, match="CRC"):
        pq.read_table(io.BytesIO(bytes(spoiled)), page_checksum_verification=True)


def test_a_writer_that_is_given_up_leaves_the_file_open() -> None:
    file = io.BytesIO()

    def act() -> None:
        with row_groups(file, 2) as writer:
            writer.write(pa.table({"x": [1, 2, 3]}))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        act()
    assert not file.closed


class Failing(io.BytesIO):
    """A file that can be told to fail."""

    error: Exception | None = None

    def write(self, data: Any, /) -> int:
        if self.error is not None:
            raise self.error
        return super().write(data)


@pytest.mark.parametrize(
    "error", [OSError("full"), ValueError("closed"), pa.ArrowNotImplementedError("no")]
)
def test_a_writer_that_is_given_up_says_what_went_wrong_first(error: Exception) -> None:
    file, kept = Failing(), []

    def act() -> None:
        with row_groups(file, 2) as writer:
            writer.write(pa.table({"x": [1, 2, 3]}))
            kept.append(writer)
            file.error = error
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        act()
    assert kept[0]._parquet.is_open is False  # pyarrow closes an open one when it is collected


def test_columns_are_not_copied() -> None:
    values = np.arange(12, dtype="f4").reshape(4, 3)
    lists = fixed_lists(values)
    assert lists.to_pylist() == values.tolist()
    assert np.shares_memory(as_numpy(lists.values), values)
    assert as_numpy(numbers(values[:, 1]).slice(1, 2)).tolist() == [4, 7]
    assert numbers(values[:, 1]).to_pylist() == [1, 4, 7, 10]
