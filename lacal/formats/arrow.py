"""`.parquet` and Arrow IPC, file and stream, as a table of named columns."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.errors import DataError
from lacal.formats.arrow_batches import Layout, batches, schema_of
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
        seen = 0
        with arrow_errors(self.path):
            for batch in batches(self.path, self._layout, wanted, rows):
                yield tuple(
                    to_numpy(self._filled(batch.column(field.name), field), field, seen, self.path)
                    for field in wanted
                )
                seen += batch.num_rows
        _check_rows(self.path, seen, wanted[0].shape[0] if wanted else seen)


def open_arrow(path: Path, layout: Layout) -> ArrowTable:
    """Read the schema, and the first row where a list column leaves its length open."""
    with arrow_errors(path):
        schema, rows = schema_of(path, layout)
        _refuse_duplicates(path, schema.names)
        fields = {column.name: described(column.name, column.type, rows) for column in schema}
        open_lists = [column.name for column in schema if is_plain_list(column.type)]
        usable = [name for name in open_lists if fields[name].kind != "other"]
        if usable:
            first = next(batches(path, layout, [fields[name] for name in usable], 1), None)
            if first is None:  # then no length is known, and none is needed
                _check_rows(path, 0, rows)
                fields = {
                    name: replace(one, shape=(0, *one.shape[1:])) for name, one in fields.items()
                }
            else:
                for name in usable:
                    fields[name] = with_length(fields[name], first.column(name))
    return ArrowTable(path, fields, layout, schema.metadata or {})


def _check_rows(path: Path, seen: int, expected: int | None) -> None:
    if expected not in (None, seen):
        raise DataError(
            f"{place(path)}: holds {seen:,} rows; its footer claims {expected:,}; the file is damaged, write it again"
        )


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


def _refuse_duplicates(path: Path, names: list[str]) -> None:
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(
            f"{place(path)}: has two columns named '{printable(twice)}'; rename or drop one"
        )


def _empty(field: Field) -> NDArray[Any]:
    types = {"text": "U1", "int": "i8", "bool": "?"}
    return np.empty([size or 0 for size in field.shape], types.get(field.kind, "f8"))
