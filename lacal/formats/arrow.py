"""`.parquet` and Arrow IPC, file and stream: columns streamed in batches, each validated in full.

The settings were measured on 1.9 GB in one row group: `pre_buffer=False` with a 1 MiB buffer holds 148 MB
and is the fastest, the defaults hold it all. IPC is read through a plain file, never mapped; a batch that is
used before `validate(full=True)` can kill the process.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lacal.errors import DataError
from lacal.formats.arrow_columns import (
    described,
    is_plain_list,
    to_numpy,
    with_length,
    without_nulls,
)
from lacal.formats.arrow_faults import arrow_errors
from lacal.formats.fields import chosen, gathered, names_from_json, refuse_unusable
from lacal.formats.shown import place, printable
from lacal.formats.table import Field

Layout = Literal["parquet", "arrow file", "arrow stream"]

BUFFER_SIZE = 1 << 20  # bytes of a Parquet column chunk held at a time
WHOLE_READ_ROWS = 16_384


@dataclass(frozen=True, slots=True)
class ArrowTable:
    """A Parquet or Arrow IPC file: one field for each column."""

    path: Path
    fields: dict[str, Field]
    _layout: Layout
    _metadata: Mapping[bytes, bytes]
    _may_be_empty: frozenset[str] = frozenset()

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The schema metadata's `class_names`, a JSON list of strings; else Hugging Face's names."""
        names = names_from_json(self.path, self._metadata.get(b"class_names"))
        return _hugging_face_names(self._metadata.get(b"huggingface")) if names is None else names

    @property
    def inference(self) -> str | None:
        """The schema metadata's `lacal.inference`."""
        note = self._metadata.get(b"lacal.inference")
        return None if note is None else note.decode(errors="replace")

    @property
    def probabilities(self) -> str | None:
        """The schema metadata's `probabilities`."""
        note = self._metadata.get(b"probabilities")
        return None if note is None else note.decode(errors="replace")

    def with_empty(self, name: str) -> "ArrowTable":
        """The same file, whose column `name` may hold nulls."""
        return replace(self, _may_be_empty=self._may_be_empty | {name})

    def _filled(self, column: Any, field: Field) -> Any:
        """The column without nulls, where it may hold some."""
        plain = field.kind in ("int", "float", "text") and len(field.shape) == 1
        return without_nulls(column) if plain and field.name in self._may_be_empty else column

    def read(self, name: str) -> NDArray[Any]:
        """The whole column; encoded images come in blocks only."""
        if name in self.fields:
            refuse_unusable(self.path, self.fields[name])
        return gathered(
            self.path,
            (block for (block,) in self.blocks([name], WHOLE_READ_ROWS)),
            _empty(self.fields[name]) if name in self.fields else np.empty(0),
        )

    def blocks(self, names: Sequence[str], rows: int) -> Iterator[tuple[NDArray[Any], ...]]:
        """Aligned blocks; numbers are views of Arrow's own memory and read-only."""
        wanted = chosen(self.path, self.fields, names)
        text = [field.name for field in wanted if field.kind == "text"]
        seen = 0
        with arrow_errors(self.path):
            for batch in _batches(self.path, self._layout, list(names), text, rows):
                yield tuple(
                    to_numpy(self._filled(batch.column(field.name), field), field, seen, self.path)
                    for field in wanted
                )
                seen += batch.num_rows
        expected = wanted[0].shape[0] if wanted else seen
        if expected not in (None, seen):
            raise DataError(
                f"{place(self.path)}: holds {seen:,} rows; its footer claims {expected:,}; "
                "the file is damaged, write it again"
            )


def open_arrow(path: Path, layout: Layout) -> ArrowTable:
    """Read the schema, and the first row where a list column leaves its length open."""
    with arrow_errors(path):
        schema, rows = _schema(path, layout)
        _refuse_duplicates(path, schema.names)
        fields = {column.name: described(column.name, column.type, rows) for column in schema}
        open_lists = [column.name for column in schema if is_plain_list(column.type)]
        usable = [name for name in open_lists if fields[name].kind != "other"]
        if usable:
            for batch in islice(_batches(path, layout, usable, [], 1), 1):
                for name in usable:
                    fields[name] = with_length(fields[name], batch.column(name))
    return ArrowTable(path, fields, layout, schema.metadata or {})


def _hugging_face_names(text: bytes | None) -> tuple[str, ...] | None:
    """The names of the one ClassLabel, or of the one called `label`, in the `datasets` library's metadata.

    The entry is another tool's: where it says nothing that can be used, no names are known.
    """
    try:
        features = json.loads(text or b"{}")["info"]["features"]
        labels = {
            name: feature["names"]
            for name, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    named = [labels[name] for name in labels if len(labels) == 1 or name in ("label", "labels")]
    if len(named) != 1 or not isinstance(named[0], list) or not named[0]:
        return None
    return tuple(named[0]) if all(isinstance(name, str) for name in named[0]) else None


def _schema(path: Path, layout: Layout) -> tuple[Any, int | None]:
    with pa.OSFile(str(path)) as source:
        if layout == "parquet":
            file = pq.ParquetFile(source, pre_buffer=False, buffer_size=BUFFER_SIZE)
            return file.schema_arrow, file.metadata.num_rows
        return _ipc_reader(source, layout, None).schema, None


def _batches(
    path: Path, layout: Layout, names: list[str], text: list[str], rows: int
) -> Iterator[Any]:
    with pa.OSFile(str(path)) as source:
        if layout == "parquet":
            # Text stays dictionary-encoded: 2 MB on disk can be 50 GB of repeated strings.
            file = pq.ParquetFile(
                source,
                read_dictionary=text,
                pre_buffer=False,
                buffer_size=BUFFER_SIZE,
                page_checksum_verification=True,
            )
            for batch in file.iter_batches(batch_size=rows, columns=names):
                batch.validate(full=True)
                yield batch
            return
        reader = _ipc_reader(source, layout, names)
        for batch in _ipc_batches(reader, layout):
            batch.validate(full=True)
            for start in range(0, batch.num_rows, rows):
                yield batch.slice(start, rows)


def _ipc_reader(source: Any, layout: Layout, names: list[str] | None) -> Any:
    opened = pa.ipc.open_file if layout == "arrow file" else pa.ipc.open_stream
    if names is None:
        return opened(source)
    schema = opened(source).schema
    source.seek(0)
    indices = [schema.get_field_index(name) for name in names]
    return opened(source, options=pa.ipc.IpcReadOptions(included_fields=indices))


def _ipc_batches(reader: Any, layout: Layout) -> Iterator[Any]:
    if layout == "arrow stream":
        yield from reader
        return
    for index in range(reader.num_record_batches):
        yield reader.get_batch(index)


def _refuse_duplicates(path: Path, names: list[str]) -> None:
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(
            f"{place(path)}: has two columns named '{printable(twice)}'; rename or drop one"
        )


def _empty(field: Field) -> NDArray[Any]:
    types = {"text": "U1", "int": "i8", "bool": "?"}
    return np.empty([size or 0 for size in field.shape], types.get(field.kind, "f8"))
