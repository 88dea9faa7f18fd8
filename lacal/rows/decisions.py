"""Decisions row by row: what a model predicted, beside the labels; `lacal.rows.joining` holds two of them side by side."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lacal.batch import NO_LABEL, Ids, Labels
from lacal.errors import DataError
from lacal.formats import Table, open_table
from lacal.formats.fields import gathered
from lacal.formats.shown import place
from lacal.rows.fields import id_column
from lacal.rows.ids import refuse_missing
from lacal.rows.logits_source import SourceOptions, open_source
from lacal.rows.predicted import is_predictions, open_predicted
from lacal.rows.source import Source, require_labels


@dataclass(frozen=True, slots=True)
class Decisions:
    """What was decided for every row of a source.

    Attributes:
        place: The source as the user named it.
        ids: (n,) as the source spells them; None where it has none.
        labels: (n,), `NO_LABEL` where a row has none.
        predictions: (n,) in 0..k-1.
        class_names: Names of the classes, where known.
        classes: Number of classes, k.
        told: Whether the source says how many there are; else k is the largest number that occurs, plus one.
    """

    place: str
    ids: Ids | None
    labels: Labels
    predictions: Labels
    class_names: tuple[str, ...] | None
    classes: int
    told: bool = True


@dataclass(slots=True)
class Decided:
    """Collects the decisions of a pass, some 16 bytes a row and the ids."""

    _ids: list[Ids] = field(default_factory=list)
    _labels: list[Labels] = field(default_factory=list)
    _predictions: list[Labels] = field(default_factory=list)

    def update(self, ids: Ids | None, labels: Labels | None, predictions: Labels) -> None:
        """Add rows; the arrays are copied, since a source may use them again."""
        if ids is not None:
            self._ids.append(ids.copy())
        none = np.full(predictions.size, NO_LABEL)
        self._labels.append(none if labels is None else labels.copy())
        self._predictions.append(predictions.astype(np.int64))

    def result(self, source: Source) -> Decisions:
        """All rows of a source that has passed."""
        empty = np.empty(0, np.int64)
        ids = gathered(Path(source.place), self._ids, empty) if self._ids else None
        labels, predictions = (
            np.concatenate(parts or [empty]) for parts in (self._labels, self._predictions)
        )
        return Decisions(source.place, ids, labels, predictions, source.class_names, source.classes)


def decisions_of(
    path: Path,
    options: SourceOptions | None = None,
    *,
    class_names: tuple[str, ...] | None = None,
) -> Decisions:
    """The decisions in a predictions file, or the plain argmax of a logits file.

    Args:
        path: The file; of a training run, one of its logits files.
        options: How to read labels, ids and logits.
        class_names: Names known from elsewhere, to read text labels with.

    Raises:
        DataError: It is damaged, or holds neither predictions nor logits with labels.
        UsageError: It has no labels.
    """
    options = options or SourceOptions()
    table = open_table(path)
    if is_predictions(table):
        return _predicted(table, options, class_names)
    source = open_source(path, options, class_names=class_names, allow_adjusted=True)
    require_labels(source)
    decided = Decided()
    for batch in source.batches():
        decided.update(batch.ids, batch.labels, batch.logits.argmax(axis=1))
    return decided.result(source)


def _predicted(
    table: Table, options: SourceOptions, class_names: tuple[str, ...] | None
) -> Decisions:
    table, id_field = id_column(table, options.id_key)
    rows = open_predicted(
        table,
        class_names=table.class_names or class_names,
        label_key=options.label_key,
        ignore=options.ignore_label,
    )
    blocks = [(labels, predictions) for _, labels, predictions, _ in rows.blocks()]
    if not blocks:
        raise DataError(f"{place(table.path)}: holds no rows; expected at least one")
    labels, predictions = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    ids = None if id_field is None else table.read(id_field)
    if ids is not None:
        refuse_missing(ids, str(table.path))
    return Decisions(
        str(table.path), ids, labels, predictions, rows.class_names, rows.classes, rows.told
    )
