"""The door: from the named fields of a file to checked Batches of logits, labels and ids.

Which field plays which part is decided in `lacal.rows.fields`. Nothing is guessed from the values: numbers are logits unless the user says otherwise, and numbers that look like probabilities
stop the run (`lacal.rows.scores`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.batch import BATCH_ELEMENTS, NO_LABEL, Batch, Ids, Labels, PerRow
from lacal.classes.names import check_distinct
from lacal.errors import DataError
from lacal.formats import Field, Noted, Table, open_table
from lacal.rows.fields import (
    LABEL_NAMES,
    field_named,
    id_column,
    logits_fields,
    own_names,
    refuse_adjusted,
    refuse_text_order,
    skipped,
    width,
)
from lacal.rows.ids import IdCheck
from lacal.rows.label_field import where_empty
from lacal.rows.labels import Ignored, LabelReader
from lacal.rows.one_model import check_one_model
from lacal.rows.scores import ScoreDoor
from lacal.rows.weights import WeightField
from lacal.trained import inference_from_note


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What the user said about a source.

    Attributes:
        labels: File of labels, where they are apart from the logits.
        logits_key: Field of the logits; None for the rules above.
        label_key: Field of the labels.
        id_key: Field of the ids.
        scores: "logits", "log-probs" or "probs"; None is logits with a check that they look like it.
        ignore_label: Label of rows without one: a number, a text, or "" for an empty cell.
        rows_per_batch: Rows of one batch; None for about 16 MB.
        weight_key: Field of the rows' weights; None where every row counts 1.
        skip_keys: Fields that are neither logits nor anything else, where the file has them.
    """

    labels: Path | None = None
    logits_key: str | None = None
    label_key: str | None = None
    id_key: str | None = None
    scores: str | None = None
    ignore_label: Ignored = None
    rows_per_batch: int | None = None
    weight_key: str | None = None
    skip_keys: tuple[str, ...] = ()


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
        weight_field: Where row weights come from, or None.
    """

    table: Table
    logits_fields: tuple[Field, ...]
    class_names: tuple[str, ...] | None
    id_field: str | None
    label_reader: LabelReader | None
    door: ScoreDoor
    rows_per_batch: int
    weight_field: WeightField | None = None

    @property
    def place(self) -> str:
        """The file as the user named it."""
        return str(self.table.path)

    @property
    def classes(self) -> int:
        """Number of classes, k."""
        return width(self.logits_fields)

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

    @property
    def inference(self) -> dict[str, Any] | None:
        """What `lacal infer` noted in the file."""
        note = self.table.inference if isinstance(self.table, Noted) else None
        return inference_from_note(note, self.place)

    def batches(self) -> Iterator[Batch]:
        """All rows in order, checked."""
        inline = self.label_reader.inline if self.label_reader else None
        weighing = self.weight_field
        beside = [inline, self.id_field, weighing.name if weighing else None]
        names = [one.name for one in self.logits_fields]
        count, start, distinct = len(names), 0, IdCheck(self.place)
        names += dict.fromkeys(name for name in beside if name is not None)
        at = {name: names.index(name, count) for name in names[count:]}
        for columns in self.table.blocks(names, self.rows_per_batch):
            logits = self.door.check(_stacked(columns[:count]), start)
            ids: Ids | None = None
            if self.id_field is not None:
                ids = columns[at[self.id_field]]
                distinct.update(ids)
            labels: Labels | None = None
            if self.label_reader is not None:
                raw = columns[at[inline]] if inline is not None else None
                labels = self.label_reader.labels(raw, start, logits.shape[0], ids)
            weights: PerRow | None = None
            if weighing is not None:
                weights = weighing.checked(columns[at[weighing.name]], start)
            yield Batch(logits, labels, ids, start, weights)
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
    check_one_model(table)
    place = str(path)
    label_field = None
    if options.labels is None:
        label_field = field_named(table, options.label_key, LABEL_NAMES, "--label-key")
    if label_field is not None:
        table = where_empty(table, label_field)
    table, id_field = id_column(table, options.id_key)
    # A label column beside the logits is no class, also where the labels come from elsewhere.
    beside = label_field or field_named(table, None, LABEL_NAMES, "--label-key")
    weighing = None if options.weight_key is None else WeightField.of(table, options.weight_key)
    if weighing is not None:
        weighing.refuse_parts({beside: "labels", id_field: "ids"})
    taken = {beside, id_field, options.weight_key, *skipped(table, options.skip_keys)} - {None}
    chosen = logits_fields(table, options.logits_key, taken)
    if not allow_adjusted:
        refuse_adjusted(place, chosen[0])
    classes = width(chosen)
    names = own_names(table, chosen)
    if names is not None and len(names) != classes:
        raise DataError(
            f"{place}: has {len(names)} class names and {classes} logits a row; they must pair up"
        )
    if names is not None:
        check_distinct(names, place)
    rows = chosen[0].shape[0]
    reader = None
    if options.labels is not None or label_field is not None:
        reader = LabelReader.open(
            table if options.labels is None else open_table(options.labels),
            label_field if options.labels is None else options.label_key,
            classes=classes,
            class_names=names or class_names,
            ignore=options.ignore_label,
            apart=options.labels is not None,
            by_id=id_field is not None,
            id_key=options.id_key,
            unlabelled=NO_LABEL if options.labels is None and _of_infer(table) else None,
        )
        reader.check_length(rows, place)
    by_name = names == class_names and (reader is None or reader.of_text)
    refuse_text_order(place, chosen, by_name=by_name)
    door = ScoreDoor(place, options.scores, chosen[0].stored, shift_blind)
    rows_per_batch = options.rows_per_batch or max(1, BATCH_ELEMENTS // classes)
    return LogitsSource(table, chosen, names, id_field, reader, door, rows_per_batch, weighing)


def _of_infer(table: Table) -> bool:
    """Whether `lacal infer` wrote the file, with -1 for rows without a label."""
    return isinstance(table, Noted) and table.inference is not None


def _stacked(columns: tuple[NDArray[Any], ...]) -> NDArray[Any]:
    return columns[0] if len(columns) == 1 else np.stack(columns, axis=1)
