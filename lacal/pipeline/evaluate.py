"""`evaluate`: errors with their uncertainty, of logits or of a predictions file."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lacal.batch import NO_LABEL
from lacal.calibration import Calibration
from lacal.errors import DataError
from lacal.formats import Table
from lacal.formats.fields import refuse_unusable
from lacal.labels import LabelReader
from lacal.metrics import ClassTally, Gain
from lacal.pipeline.scoring import Scorer
from lacal.prior import LabelPrior
from lacal.source import Source, require_labels

PREDICTION_FIELDS = ("prediction", "predictions")
ROWS = 1 << 16


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Errors of one source.

    Attributes:
        rows: Rows, labelled or not.
        tally: Errors per class of the predictions that were asked for.
        unadjusted: Errors per class of the plain argmax, where an adjustment was applied.
        gain: Fall of the balanced error by the adjustment, where one was applied.
        tuned_share: Share of the rows that tau was tuned on that were seen again.
        inference: How a model made the logits, where that is known.
    """

    rows: int
    tally: ClassTally
    unadjusted: ClassTally | None
    gain: Gain | None
    tuned_share: float
    inference: dict[str, Any] | None = None


def evaluate(
    source: Source, calibration: Calibration | None, *, allow_tuned_rows: bool = False
) -> Evaluation:
    """Errors of a labelled source, adjusted by a calibration or as it is."""
    require_labels(source)
    scorer = Scorer(source, calibration, allow_tuned_rows)
    for _ in scorer.batches():
        pass
    totals = scorer.totals
    _refuse_unlabelled(totals.adjusted, source.place)
    if calibration is None:
        return Evaluation(totals.rows, totals.adjusted, None, None, 0.0, source.inference)
    return Evaluation(
        totals.rows,
        totals.adjusted,
        totals.unadjusted,
        totals.paired.gain(),
        totals.tuned_share,
        source.inference,
    )


def is_predictions(table: Table) -> bool:
    """Whether a file holds predictions rather than logits."""
    return any(name.lower() in PREDICTION_FIELDS for name in table.fields)


def evaluate_predictions(
    table: Table,
    prior: LabelPrior | None,
    *,
    label_key: str | None = None,
    ignore: int | None = None,
) -> Evaluation:
    """Errors of a file that holds a label and a prediction a row.

    Args:
        table: The opened file.
        prior: Training counts, which say how many classes there are; without them it is the number
            of the file's class names, or the largest class number that occurs, plus one.
        label_key: Field of the labels; `label` or `labels` by default.
        ignore: Label value of rows without a label; what `lacal adjust` writes, -1, by default.
    """
    ignore = NO_LABEL if ignore is None else ignore
    field = next(name for name in table.fields if name.lower() in PREDICTION_FIELDS)
    labels_field = label_key or next(
        (name for name in table.fields if name.lower() in ("label", "labels")), None
    )
    if labels_field is None:
        raise DataError(f"{table.path}: has no field `label`; name it with --label-key")
    names = table.class_names if prior is None else prior.class_names
    if prior is not None:
        k = prior.class_counts.size
    else:
        k = len(names) if names else max(2, _largest(table, [field, labels_field], ignore) + 1)
    readers = [
        LabelReader.open(table, name, classes=k, class_names=names, ignore=ignored, apart=False)
        for name, ignored in ((labels_field, ignore), (field, None))
    ]
    tally, start = ClassTally.empty(k), 0
    for raw in table.blocks([labels_field, field], ROWS):
        rows = raw[0].shape[0]
        labels, predictions = (
            reader.labels(block, start, rows) for reader, block in zip(readers, raw, strict=True)
        )
        tally.update(labels, predictions)
        start += rows
    _refuse_unlabelled(tally, str(table.path))
    return Evaluation(start, tally, None, None, 0.0)


def _largest(table: Table, names: list[str], ignore: int | None) -> int:
    """The largest class number that occurs, in whole numbers, floats or digits."""
    largest = 0
    for name in table.fields.keys() & set(names):
        refuse_unusable(table.path, table.fields[name])  # images come in blocks too
    for columns in table.blocks(names, ROWS):
        for column in columns:
            if column.dtype.kind == "U":
                short = column[np.char.str_len(column) <= 9].tolist()
                digits = [int(text) for text in short if text.isascii() and text.isdigit()]
                column = np.array(digits, np.int64)
            numbers = column[np.isfinite(column) & (column != ignore)]
            largest = max(largest, int(numbers.max(initial=0)))
    if largest > 1_000_000:
        raise DataError(f"{table.path}: holds the class number {largest}, expected fewer classes")
    return largest


def _refuse_unlabelled(tally: ClassTally, place: str) -> None:
    if not np.count_nonzero(tally.support):
        raise DataError(f"{place}: no row carries a label; there is nothing to evaluate")
