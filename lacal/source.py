"""The door: from the named fields of a file to checked Batches of logits, labels and ids.

Which field plays which part follows stated rules, and every part can be named. Nothing is guessed from
the values: numbers are logits unless the user says otherwise, and numbers that look like probabilities
stop the run (`lacal.scores`).

Rules for fields:
- logits: the field asked for; else `logits`; else the only field of two dimensions of numbers; else,
  in a table, every numeric column that is neither label nor id is one class (`logit_` and `logits_`
  prefixes are dropped from the class names). `PREFIX*` asks for the columns that begin with PREFIX.
- labels: the field asked for; else `label` or `labels`; else none.
- ids: the field asked for; else `id` or `ids`; else none.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Batch, Ids, Labels
from lacal.errors import DataError, UsageError
from lacal.formats import Field, Table, open_table
from lacal.ids import IdCheck
from lacal.labels import LabelReader
from lacal.names import class_numbers, shown
from lacal.scores import ScoreDoor

# Elements of one batch: 8 MB of float32, small beside the cache's wishes and memory's bound.
BATCH_ELEMENTS = 1 << 21

LOGITS_NAMES = ("logits",)
LABEL_NAMES = ("label", "labels")
ID_NAMES = ("id", "ids")
ADJUSTED_PREFIX = "adjusted_"
CLASS_PREFIXES = ("logits_", "logit_")


class Source(Protocol):
    """Something that yields the same Batches again and again, in bounded memory."""

    @property
    def place(self) -> str:
        """The source as the user named it, for messages."""

    @property
    def classes(self) -> int:
        """Number of classes, k."""

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes, where known."""

    @property
    def rows(self) -> int | None:
        """Number of rows, where known beforehand."""

    @property
    def labelled(self) -> bool:
        """Whether rows carry labels."""

    def batches(self) -> Iterator[Batch]:
        """All rows in order; a batch is valid until the next is drawn."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What the user said about a source.

    Attributes:
        labels: File of labels, where they are apart from the logits.
        logits_key: Field of the logits; None for the rules above.
        label_key: Field of the labels.
        id_key: Field of the ids.
        scores: "logits", "log-probs" or "probs"; None is logits with a check that they look like it.
        ignore_label: Label value of rows without a label.
        rows_per_batch: Rows of one batch; None for about 8 MB.
    """

    labels: Path | None = None
    logits_key: str | None = None
    label_key: str | None = None
    id_key: str | None = None
    scores: str | None = None
    ignore_label: int | None = None
    rows_per_batch: int | None = None


@dataclass(frozen=True, slots=True)
class LogitsSource:
    """A logits file. Open one with `open_source`.

    Attributes:
        table: The opened file.
        logits_fields: The one field (n, k), or the k fields (n,) of one column a class.
        class_names: Names that came with the file.
        id_field: Field of the ids.
        label_reader: Where labels come from, or None.
        door: What becomes of the numbers.
        rows_per_batch: Rows of one batch.
    """

    table: Table
    logits_fields: tuple[Field, ...]
    class_names: tuple[str, ...] | None
    id_field: str | None
    label_reader: LabelReader | None
    door: ScoreDoor
    rows_per_batch: int

    @property
    def place(self) -> str:
        """The file as the user named it."""
        return str(self.table.path)

    @property
    def classes(self) -> int:
        """Number of classes, k."""
        return _width(self.logits_fields)

    @property
    def rows(self) -> int | None:
        """Number of rows, where the file says so before it is read."""
        return self.logits_fields[0].shape[0]

    @property
    def stored(self) -> str:
        """The type of the logits in the file's own words."""
        return self.logits_fields[0].stored

    @property
    def labelled(self) -> bool:
        """Whether rows carry labels."""
        return self.label_reader is not None

    def batches(self) -> Iterator[Batch]:
        """All rows in order, checked."""
        inline = self.label_reader.inline if self.label_reader else None
        names = [one.name for one in self.logits_fields]
        names += [name for name in (inline, self.id_field) if name is not None]
        count, start, distinct = len(self.logits_fields), 0, IdCheck(self.place)
        for columns in self.table.blocks(names, self.rows_per_batch):
            logits = self.door.check(_stacked(columns[:count]), start)
            ids: Ids | None = columns[-1] if self.id_field is not None else None
            if ids is not None:
                distinct.update(ids)
            labels: Labels | None = None
            if self.label_reader is not None:
                raw = columns[count] if inline is not None else None
                labels = self.label_reader.labels(raw, start, logits.shape[0])
            yield Batch(logits, labels, ids, start)
            start += logits.shape[0]
        if not start:
            raise DataError(f"{self.place}: holds no rows; expected at least one")
        if self.label_reader is not None:
            self.label_reader.check_end(start, self.place)
        distinct.finish()


def open_source(
    path: Path,
    options: SourceOptions,
    *,
    class_names: tuple[str, ...] | None = None,
    shift_blind: bool = True,
    allow_adjusted: bool = False,
) -> LogitsSource:
    """Open a logits file (or folder or glob of parts) and decide which field is what.

    Args:
        path: .npy, .npz, .parquet, .arrow, .feather, .csv, .safetensors, .pt, or parts.
        options: What the user said.
        class_names: Names known from elsewhere (counts, calibration), to read text labels with.
        shift_blind: Whether what follows ignores a constant added to a row; if not, log-probabilities
            are refused.
        allow_adjusted: Take logits that `lacal adjust` wrote, which are adjusted already.
    """
    table = open_table(path)
    place = str(path)
    label_field = _named(table, options.label_key, LABEL_NAMES, "--label-key")
    if options.labels is not None and options.label_key is None:
        label_field = None
    id_field = _named(table, options.id_key, ID_NAMES, "--id-key")
    taken = {label_field, id_field} - {None}
    logits_fields = _logits_fields(table, options.logits_key, taken)
    if not allow_adjusted:
        _refuse_adjusted(place, logits_fields[0])
    classes = _width(logits_fields)
    own_names = _own_names(table, logits_fields)
    if own_names is not None and len(own_names) != classes:
        raise DataError(
            f"{place}: has {len(own_names)} class names and {classes} logits a row; they must pair up"
        )
    rows = logits_fields[0].shape[0]
    reader = None
    if options.labels is not None or label_field is not None:
        reader = LabelReader.open(
            table if options.labels is None else open_table(options.labels),
            label_field if options.labels is None else options.label_key,
            classes=classes,
            class_names=own_names or class_names,
            ignore=options.ignore_label,
            apart=options.labels is not None,
        )
        reader.check_length(rows, place)
    door = ScoreDoor(place, options.scores, logits_fields[0].stored, shift_blind)
    rows_per_batch = options.rows_per_batch or max(1, BATCH_ELEMENTS // classes)
    return LogitsSource(table, logits_fields, own_names, id_field, reader, door, rows_per_batch)


def _named(table: Table, asked: str | None, usual: tuple[str, ...], option: str) -> str | None:
    if asked is not None:
        if asked not in table.fields:
            raise DataError(
                f"{table.path}: has no field {shown(asked)} ({option}); it has {_listed(table)}"
            )
        return asked
    found = [name for name in table.fields if name.lower() in usual]
    if len(found) > 1:
        raise DataError(
            f"{table.path}: both {shown(found[0])} and {shown(found[1])} could be meant; "
            f"choose one with {option}"
        )
    return found[0] if found else None


def _logits_fields(table: Table, asked: str | None, taken: set[str | None]) -> tuple[Field, ...]:
    fields = table.fields
    if asked is not None and not asked.endswith("*"):
        if asked not in fields:
            raise DataError(
                f"{table.path}: has no field {shown(asked)} (--logits-key); it has {_listed(table)}"
            )
        return (_two_dimensional(table, fields[asked]),)
    if asked is not None:
        chosen = [one for one in fields.values() if one.name.startswith(asked[:-1])]
        return _class_columns(table, chosen, asked)
    for name in LOGITS_NAMES:
        if name in fields and len(fields[name].shape) != 1:
            return (_two_dimensional(table, fields[name]),)
    if len(fields) == 1 and len(next(iter(fields.values())).shape) != 1:
        return (_two_dimensional(table, next(iter(fields.values()))),)
    matrices = [f for f in fields.values() if len(f.shape) == 2 and f.kind in ("float", "int")]
    if len(matrices) == 1:
        return (matrices[0],)
    if len(matrices) > 1:
        raise DataError(
            f"{table.path}: several fields could be the logits; choose one with --logits-key; "
            f"it has {_listed(table)}"
        )
    columns = [one for one in fields.values() if one.name not in taken and len(one.shape) == 1]
    prefixed = [one for one in columns if one.name.startswith(CLASS_PREFIXES)]
    return _class_columns(table, prefixed or columns, None)


def _two_dimensional(table: Table, one: Field) -> Field:
    if one.kind not in ("float", "int"):
        raise DataError(
            f"{table.path}: {_called(one)} holds {one.stored}, expected numbers (n, classes)"
        )
    if len(one.shape) != 2:
        raise DataError(
            f"{table.path}: {_called(one)} has shape {_shape(one)}, expected two dimensions "
            "(n, classes)"
        )
    if one.shape[1] is not None and one.shape[1] < 2:
        raise DataError(
            f"{table.path}: {_called(one)} has {one.shape[1]} class, expected at least 2"
        )
    if one.shape[0] == 0:
        raise DataError(f"{table.path}: {_called(one)} holds no rows; expected at least one")
    return one


def _class_columns(table: Table, chosen: list[Field], asked: str | None) -> tuple[Field, ...]:
    """One column a class; a column of text among them is a mistake, not a class."""
    numeric = [one for one in chosen if one.kind in ("float", "int")]
    text = [one for one in chosen if one.kind not in ("float", "int")]
    if len(numeric) < 2:
        wanted = f"columns {shown(asked)}" if asked else "logits"
        raise DataError(
            f"{table.path}: found no {wanted}: expected a field of two dimensions or a column for "
            f"each of at least 2 classes; it has {_listed(table)}; name it with --logits-key"
        )
    if text:
        raise DataError(
            f"{table.path}: column {shown(text[0].name)} holds {text[0].stored}, so the columns are "
            "not all logits; drop it, name it with --id-key or --label-key, or choose the logits with "
            "--logits-key 'PREFIX*'"
        )
    if chosen[0].shape[0] == 0:
        raise DataError(f"{table.path}: holds no rows; expected at least one")
    return tuple(numeric)


def _own_names(table: Table, fields: tuple[Field, ...]) -> tuple[str, ...] | None:
    """Names of the classes from the file itself; None where the columns are just numbered."""
    if len(fields) == 1:
        return table.class_names
    names = [one.name for one in fields]
    for prefix in CLASS_PREFIXES:
        if all(name.startswith(prefix) for name in names):
            names = [name.removeprefix(prefix) for name in names]
    numbers = class_numbers(names)
    if numbers is None:
        return tuple(names)
    if numbers != sorted(numbers):
        raise DataError(
            f"{table.path}: class columns are numbered but not in order (column "
            f"{shown(names[1])} is second; sorted as text?); put them in the order 0, 1, 2, ..."
        )
    return None


def _refuse_adjusted(place: str, one: Field) -> None:
    if one.name.startswith(ADJUSTED_PREFIX):
        raise DataError(
            f"{place}: {shown(one.name)} is what lacal adjust wrote: it is adjusted already, and adjusting "
            "twice over-corrects; give the original logits, or say --force-adjust"
        )


def _width(fields: tuple[Field, ...]) -> int:
    width = fields[0].shape[1] if len(fields) == 1 else len(fields)
    assert width is not None  # readers know the width of every two-dimensional field
    return width


def _stacked(columns: tuple[NDArray[Any], ...]) -> NDArray[Any]:
    return columns[0] if len(columns) == 1 else np.stack(columns, axis=1)


def _called(one: Field) -> str:
    return f"field {shown(one.name)}" if one.name else "the array"


def _shape(one: Field) -> str:
    return "(" + ", ".join("?" if side is None else str(side) for side in one.shape) + ")"


def _listed(table: Table) -> str:
    if list(table.fields) == [""]:
        return f"one array of shape {_shape(table.fields[''])}"
    some = [f"{shown(one.name)} {_shape(one)} {one.stored}" for one in table.fields.values()]
    return ", ".join(some[:8]) + (f" and {len(some) - 8} more" if len(some) > 8 else "")


def require_labels(source: Source) -> None:
    """Refuse a source without labels, naming the options that bring them."""
    if not source.labelled:
        raise UsageError(
            f"{source.place}: has no labels; add a field `labels` to it, name one with --label-key, "
            "or give --labels FILE"
        )
