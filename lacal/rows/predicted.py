"""A predictions file: a label and a prediction a row, with an id where there is one; nothing is computed from logits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.batch import NO_LABEL, Labels
from lacal.classes.names import shown
from lacal.errors import DataError
from lacal.formats import Table
from lacal.formats.fields import refuse_unusable
from lacal.formats.shown import place
from lacal.rows.fields import LABEL_NAMES, field_named
from lacal.rows.label_field import where_empty, whole_number, whole_numbers
from lacal.rows.labels import Ignored, LabelReader

PREDICTION_FIELDS = ("prediction", "predictions")
ROWS = 1 << 16
MOST_CLASSES = 1_000_000


@dataclass(frozen=True, slots=True)
class PredictedRows:
    """The rows of a predictions file, read in blocks. Open them with `open_predicted`.

    Attributes:
        table: The opened file.
        classes: Number of classes, k.
        class_names: Their names, where known.
        told: Whether file or caller say how many classes there are; else k is the largest number, plus one.
        labels: Reads the labels.
        predictions: Reads the predictions.
    """

    table: Table
    classes: int
    class_names: tuple[str, ...] | None
    told: bool
    labels: LabelReader
    predictions: LabelReader

    def blocks(
        self, others: Sequence[str] = (), rows_per_block: int = ROWS
    ) -> Iterator[tuple[int, Labels, Labels, tuple[NDArray[Any], ...]]]:
        """First row, labels (n,), predictions (n,), and the other fields asked for, block by block."""
        names = [str(self.labels.inline), str(self.predictions.inline), *others]
        start = 0
        for columns in self.table.blocks(names, rows_per_block):
            rows = columns[0].shape[0]
            labels = self.labels.labels(columns[0], start, rows)
            yield start, labels, self.predictions.labels(columns[1], start, rows), columns[2:]
            start += rows


def is_predictions(table: Table) -> bool:
    """Whether a file holds predictions rather than logits."""
    return any(name.lower() in PREDICTION_FIELDS for name in table.fields)


def open_predicted(
    table: Table,
    *,
    classes: int | None = None,
    class_names: tuple[str, ...] | None = None,
    label_key: str | None = None,
    ignore: Ignored = None,
) -> PredictedRows:
    """Find labels and predictions in a file that `is_predictions`.

    Args:
        table: The opened file.
        classes: How many there are, where known from elsewhere.
        class_names: Names known from elsewhere; the file's own by default.
        label_key: Field of the labels; `label` or `labels` by default.
        ignore: Label of rows without one, beside what `lacal adjust` writes, -1.

    Raises:
        DataError: There is no such field, or it holds no class numbers or names.
    """
    prediction = next(name for name in table.fields if name.lower() in PREDICTION_FIELDS)
    label = field_named(table, label_key, LABEL_NAMES, "--label-key")
    if label is None:
        raise DataError(
            f"{place(table.path)}: has no field `label`, which a predictions file holds beside `prediction`; name it "
            "with --label-key"
        )
    table = where_empty(table, label)
    names = table.class_names if class_names is None else class_names
    known = classes if classes is not None else len(names) if names else None
    k = max(2, _largest(table, [prediction, label], ignore) + 1) if known is None else known
    how: dict[str, Any] = {
        "classes": k,
        "class_names": names,
        "apart": False,
        "told": known is not None,
    }
    labels = LabelReader.open(table, label, ignore=ignore, unlabelled=NO_LABEL, **how)
    predictions = LabelReader.open(table, prediction, ignore=None, required=True, **how)
    return PredictedRows(table, k, names, known is not None, labels, predictions)


def _largest(table: Table, names: list[str], ignore: Ignored) -> int:
    """The largest class number that occurs, in whole numbers, floats or digits."""
    largest, start, ignored = 0, 0, whole_number(str(ignore or ""))
    names = [name for name in table.fields if name in names]
    for name in names:
        refuse_unusable(table.path, table.fields[name])  # images come in blocks too
    for columns in table.blocks(names, ROWS):
        for name, column in zip(names, columns, strict=True):
            numbers = _class_numbers(column, ignored)
            largest = max(largest, int(numbers.max(initial=0)))
            if largest > MOST_CLASSES:
                raise DataError(
                    f"{place(table.path)}: {shown(name)} of row {start + int(numbers.argmax())} is the class number "
                    f"{largest}, expected one up to {MOST_CLASSES:,}; mend it or drop the row"
                )
        start += columns[0].shape[0]
    return largest


def _class_numbers(column: NDArray[Any], ignored: int | None) -> NDArray[Any]:
    """(n,) the column with 0 for what is no class number, or means that there is none."""
    if column.dtype.kind == "U":
        texts, place_of = np.unique(column, return_inverse=True)
        numbers = [whole_number(text) for text in texts.tolist()]
        return whole_numbers([0 if one in (None, ignored) else one for one in numbers])[place_of]
    if column.dtype.kind == "f":
        # Half precision cannot be held against a number beyond its own.
        column = column.astype(np.float64)
    counted = np.isfinite(column) & (True if ignored is None else column != ignored)
    return np.where(counted, column, column.dtype.type(0))
