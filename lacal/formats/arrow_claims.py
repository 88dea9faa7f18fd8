"""What Parquet and Arrow IPC files claim to unpack to, looked at before pyarrow makes room for it.

Parquet says in its footer how long the rows are; a batch of IPC, held whole in memory, says so in the
eight bytes before each compressed buffer. Of IPC only what leads there is read: the flatbuffers of Footer,
Message and RecordBatch (format/File.fbs and Message.fbs of Apache Arrow).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lacal.errors import DataError
from lacal.formats.shown import place
from lacal.formats.table import Field

BATCH_BYTES = 64 << 20  # of all columns of a Parquet batch that holds text
RATIO_LIMIT = 1000
RATIO_FREE = 256 << 20  # bytes below which a batch may compress as well as it likes

DICTIONARY, BATCH = 2, 3  # kinds of message
GAP = 64  # bytes between the last batch of a file and its footer: the end of a stream, and padding
END = b"\xff\xff\xff\xff\0\0\0\0"  # of a stream


def rows_at_once(metadata: Any, fields: Sequence[Field], rows: int) -> int:
    """At most `rows`; fewer where rows with text are megabytes each: they would be unpacked before any is refused.

    Args:
        metadata: The footer of a Parquet file. Of its row groups alone, as pyarrow ends the process on a
            damaged column in them.
        fields: Columns that will be read.
        rows: Rows of one batch.
    """
    if not any(field.kind == "text" for field in fields):
        return rows
    groups = (metadata.row_group(index) for index in range(metadata.num_row_groups))
    widest = max((group.total_byte_size // max(1, group.num_rows) for group in groups), default=0)
    return min(rows, max(1, BATCH_BYTES // max(1, widest)))


def check_stream(path: Path, source: Any) -> None:
    """Raise unless an IPC stream ends with its mark: without it, rows may be missing and nobody would know."""
    source.seek(max(0, source.size() - len(END)))
    if source.read() != END:
        raise DataError(
            f"{place(path)}: ends without the mark that ends an Arrow stream; its writer was probably "
            "interrupted or something was appended, write or copy it again"
        )
    source.seek(0)


def check_next(path: Path, source: Any) -> None:
    """Look at the next batch of an IPC stream, and at dictionaries before it; the source stays where it is."""
    start = at = source.tell()
    kind = DICTIONARY
    while kind == DICTIONARY:
        kind, at = _check_message(path, source, at)
    source.seek(start)


def check_file(path: Path, source: Any) -> None:
    """Look at every batch and dictionary of an IPC file, as its footer lists them."""
    size = source.size()
    source.seek(size - 10)
    length = _number(source.read(4), 0, 4)  # looked at by pyarrow already
    source.seek(size - 10 - length)
    footer, end = source.read(length), 0
    for slot in (2, 3):  # dictionaries, record batches
        for block in _structs(footer, _followed(footer, 0), slot, 24):
            end = max(end, _check_message(path, source, _number(footer, block, 8))[1])
    if end and end + GAP < size - 10 - length:
        raise DataError(
            f"{place(path)}: holds {size - 10 - length - end:,} bytes more than the batches that it lists; were "
            "two files joined? write them as one, or give the folder of both"
        )


def _check_message(path: Path, source: Any, at: int) -> tuple[int, int]:
    """The kind of the message at an offset, and the offset of the one behind it."""
    source.seek(at)
    head = source.read(8)
    behind = 4 if head[:4] == END[:4] else 0  # Arrow before 0.15 wrote the length alone
    length = _number(head, behind, 4)
    if not 0 < length <= source.size():
        return 0, at  # the end of the stream, or damage that pyarrow will name
    body = at + behind + 4 + length
    source.seek(body - length)
    data = source.read(length)
    message = _followed(data, 0)
    kind_at, header_at, size_at = (_field(data, message, slot) for slot in (1, 2, 3))
    kind = data[kind_at] if kind_at else 0
    packed = _number(data, size_at, 8) if size_at else 0
    if not 0 <= packed <= source.size() - body:
        raise ValueError("a batch ends behind the end of the file")
    if kind in (DICTIONARY, BATCH) and header_at:
        header = _followed(data, header_at)
        inner = _field(data, header, 1) if kind == DICTIONARY else None
        batch = _followed(data, inner) if inner else header
        if _field(data, batch, 3):  # compressed
            _refuse_bomb(path, packed, sum(_unpacked(source, data, batch, body)))
    return kind, body + packed


def _unpacked(source: Any, data: bytes, batch: int, body: int) -> Iterator[int]:
    for buffer in _structs(data, batch, 2, 16):
        offset, length = _number(data, buffer, 8), _number(data, buffer + 8, 8)
        if length >= 8:
            source.seek(body + offset)
            yield max(0, _number(source.read(8), 0, 8))  # -1: it is not compressed


def is_bomb(packed: int, unpacked: int) -> bool:
    """Whether so few bytes cannot be what so many were made of."""
    return unpacked > RATIO_FREE and unpacked > RATIO_LIMIT * packed


def _refuse_bomb(path: Path, packed: int, unpacked: int) -> None:
    if is_bomb(packed, unpacked):
        raise DataError(
            f"{place(path)}: a batch unpacks from {packed:,} to {unpacked:,} bytes, more than "
            f"{RATIO_LIMIT}:1; write it in smaller batches, or as Parquet"
        )


def _number(data: bytes, at: int, size: int) -> int:
    piece = data[at : at + size]
    if at < 0 or len(piece) < size:
        raise ValueError("its metadata point outside of it")
    return int.from_bytes(piece, "little", signed=size > 2)


def _followed(data: bytes, at: int) -> int:
    return at + _number(data, at, 4)


def _field(data: bytes, table: int, slot: int) -> int:
    """Where a table's field is; 0 where it has none."""
    vtable = table - _number(data, table, 4)
    if 4 + 2 * slot >= _number(data, vtable, 2):
        return 0
    offset = _number(data, vtable + 4 + 2 * slot, 2)
    return table + offset if offset else 0


def _structs(data: bytes, table: int, slot: int, size: int) -> range:
    """Where the structs of a table's vector are."""
    at = _field(data, table, slot)
    if not at:
        return range(0)
    start = _followed(data, at)
    return range(start + 4, start + 4 + size * _number(data, start, 4), size)
