"""Batches of `.parquet` and Arrow IPC, file and stream, each validated in full.

The settings were measured on 1.9 GB in one row group: `pre_buffer=False` with a 1 MiB buffer holds 148 MB and
is the fastest, the defaults hold it all; files too small for that to matter go without a buffer. IPC is read
through a plain file, never mapped; a batch that is used before `validate(full=True)` can kill the process.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from lacal.errors import DataError
from lacal.formats.arrow_claims import check_file, check_next, check_stream, rows_at_once
from lacal.formats.arrow_file import arrow_file
from lacal.formats.shown import place
from lacal.formats.table import Field

Layout = Literal["parquet", "arrow file", "arrow stream"]

BUFFER_SIZE = 1 << 20  # bytes of a Parquet column chunk held at a time
WHOLE = 64 << 20  # bytes of a file whose column chunks are held whole
# Of batches: to release after each would cost a fifth of the time of reading
RELEASE_BYTES = 128 << 20


def schema_of(path: Path, layout: Layout) -> tuple[Any, int | None]:
    """The Arrow schema, and the number of rows where the file knows it."""
    with arrow_file(path) as source:
        if layout == "parquet":
            file = pq.ParquetFile(source, pre_buffer=False, buffer_size=BUFFER_SIZE)
            return file.schema_arrow, file.metadata.num_rows
        if layout == "arrow stream":
            check_stream(path, source)
        return _ipc_reader(source, layout, None).schema, None


def batches(path: Path, layout: Layout, fields: Sequence[Field], rows: int) -> Iterator[Any]:
    """Record batches of these columns, of at most `rows` rows."""
    names = [field.name for field in fields]
    with arrow_file(path) as source:
        if layout == "parquet":
            yield from _parquet_batches(source, fields, rows)
            return
        reader = _ipc_reader(source, layout, names)
        for batch in _ipc_batches(path, source, reader, layout):
            batch.validate(full=True)
            for start in range(0, batch.num_rows, rows):
                yield batch.slice(start, rows)


def _parquet_batches(source: Any, fields: Sequence[Field], rows: int) -> Iterator[Any]:
    # Text stays dictionary-encoded: 2 MB on disk can be 50 GB of repeated strings.
    file = pq.ParquetFile(
        source,
        read_dictionary=[field.name for field in fields if field.kind == "text"],
        pre_buffer=False,
        # Through a buffer pyarrow touches as many bytes as a page claims to have, up to 2 GiB.
        buffer_size=BUFFER_SIZE if source.size() > WHOLE else 0,
        page_checksum_verification=True,
    )
    at_once, unreleased = rows_at_once(file.metadata, fields, rows), 0
    if any(len(field.shape) > 1 for field in fields):
        at_once = max(1, at_once // 2)  # lists take twice their size while they are put together
    for batch in file.iter_batches(batch_size=at_once, columns=[field.name for field in fields]):
        batch.validate(full=True)
        yield batch
        unreleased += batch.nbytes
        del batch
        # What is kept of a batch lies between others and would hold their pages
        if unreleased >= RELEASE_BYTES:
            pa.default_memory_pool().release_unused()
            unreleased = 0


def _ipc_reader(source: Any, layout: Layout, names: list[str] | None) -> Any:
    opened = pa.ipc.open_file if layout == "arrow file" else pa.ipc.open_stream
    if names is None:
        return opened(source)
    schema = opened(source).schema
    source.seek(0)
    indices = [schema.get_field_index(name) for name in names]
    return opened(source, options=pa.ipc.IpcReadOptions(included_fields=indices))


def _ipc_batches(path: Path, source: Any, reader: Any, layout: Layout) -> Iterator[Any]:
    if layout == "arrow file":
        check_file(path, source)
        for index in range(reader.num_record_batches):
            yield reader.get_batch(index)
        return
    check_next(path, source)
    for batch in reader:
        yield batch
        check_next(path, source)
    if source.tell() != source.size():
        raise DataError(
            f"{place(path)}: goes on behind the end of its Arrow stream; were two files joined? write them "
            "as one, or give the folder of both"
        )
