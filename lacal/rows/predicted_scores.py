"""The rows of a predictions file with what it keeps beside label and prediction, checked block by block."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.batch import BATCH_ELEMENTS, Labels, PerRow
from lacal.classes.prior import LabelPrior
from lacal.classes.target import TargetPrior
from lacal.errors import DataError
from lacal.formats import Table
from lacal.rows.fields import ID_NAMES
from lacal.rows.fields_beside import CONFIDENCE, LOGITS, PROBABILITIES, FieldsBeside
from lacal.rows.labels import LabelReader
from lacal.rows.logits_source import SourceOptions
from lacal.rows.predicted import ROWS, PredictedRows, open_predicted
from lacal.rows.scores import SUM_TOLERANCE, as_float

PLAIN_OPTIONS = SourceOptions()


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """Consecutive rows of a predictions file, checked; None for what the file does not hold.

    Attributes:
        labels: (n,), `NO_LABEL` where a row has none.
        predictions: (n,) in 0..k-1.
        unadjusted: (n,) the same of the model as it was.
        confidence: (n,) probability of the prediction.
        probabilities: (n, k) of every class.
        log_true: (n,) log of the label's, where it is known better than by the probability.
        weights: (n,) row weights.
    """

    labels: Labels
    predictions: Labels
    unadjusted: Labels | None
    confidence: PerRow | None
    probabilities: NDArray[Any] | None
    log_true: PerRow | None
    weights: PerRow | None


@dataclass(frozen=True, slots=True)
class PredictionsFile:
    """A predictions file with its scores. Open one with `open_predictions`.

    Attributes:
        rows: Its labels and predictions.
        beside: What it holds beside them.
        options: How it is read.
    """

    rows: PredictedRows
    beside: FieldsBeside
    options: SourceOptions

    @property
    def place(self) -> str:
        """The file as the user named it."""
        return str(self.rows.table.path)

    @property
    def classes(self) -> int:
        """Number of classes, k."""
        return self.rows.classes

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes, where known."""
        return self.rows.class_names

    @property
    def target(self) -> TargetPrior | None:
        """The class shares that its probabilities are for; None where nobody knows.

        Without a word about them, what `lacal adjust` wrote is for equal shares.
        """
        beside = self.beside
        if beside.target is not None:
            return beside.target
        of_adjust = beside.unadjusted is not None and beside.confidence is not None
        return TargetPrior.uniform(self.classes) if of_adjust else None

    def scored_rows(self) -> Iterator[ScoredRows]:
        """All rows in order.

        Raises:
            DataError: A field does not hold what its name says; the row is named.
        """
        rows, beside = self.rows, self.beside
        reader = None if beside.unadjusted is None else _reader(rows, beside.unadjusted)
        weights = None if beside.weights is None else beside.weights.name
        every = (beside.confidence, beside.scores, beside.unadjusted, weights)
        names = list(dict.fromkeys(name for name in every if name is not None))
        size = ROWS if beside.scores is None else max(1, BATCH_ELEMENTS // rows.classes)
        for start, labels, predictions, columns in rows.blocks(names, size):
            raw: dict[str | None, NDArray[Any]] = dict(zip(names, columns, strict=True))
            n, before = labels.size, None
            if reader is not None:
                before = reader.labels(raw[beside.unadjusted], start, n)
            log_true, probabilities = None, None
            if beside.scores is not None and not beside.of_logits:
                probabilities = _probabilities(raw[beside.scores], start, self.place)
            elif beside.scores is not None:
                adjusted = _adjusted(raw[beside.scores], start, self.place)
                meaning = beside.meaning
                probabilities = meaning.of(adjusted)
                log_true = meaning.log_of_own(adjusted, probabilities, labels, predictions)
            confidence = None
            if beside.confidence is not None:
                confidence = _confidence(raw[beside.confidence], start, self.place)
                if probabilities is not None and not beside.of_logits:
                    _check_own(confidence, probabilities, predictions, start, self.place)
            yield ScoredRows(
                labels,
                predictions,
                before,
                confidence,
                probabilities,
                log_true,
                None if beside.weights is None else beside.weights.checked(raw[weights], start),
            )


def open_predictions(
    table: Table, prior: LabelPrior | None, options: SourceOptions = PLAIN_OPTIONS
) -> PredictionsFile:
    """Decide which field of a predictions file is what.

    Args:
        table: The opened file; it `is_predictions`.
        prior: Training counts, which say how many classes there are; without them it is the number of
            the file's class names or of its scores a row, or the largest class number, plus one.
        options: Fields of labels, ids and weights, and the label of rows without one, beside what `lacal
            adjust` writes, -1.

    Raises:
        DataError: A field is missing, or of another number of classes.
    """
    beside = FieldsBeside.of(table, options.weight_key)
    width = None if beside.scores is None else table.fields[beside.scores].shape[1]
    names = table.class_names if prior is None else prior.class_names
    known = width if names is None else len(names)
    rows = open_predicted(
        table,
        classes=known if prior is None else prior.class_counts.size,
        class_names=names,
        label_key=options.label_key,
        ignore=options.ignore_label,
    )
    if beside.weights is not None:
        parts: dict[str | None, str]
        parts = {name: "ids" for name in table.fields if name.lower() in ID_NAMES}
        parts[beside.unadjusted] = "predictions of the model as it was"
        parts[rows.predictions.inline] = "predictions"
        parts[rows.labels.inline] = "labels"
        beside.weights.refuse_parts(parts)
    target = None if beside.target is None else beside.target.prior
    for what, size in (
        ("scores a row", width),
        ("target shares", None if target is None else target.size),
    ):
        if size is not None and size != rows.classes:
            raise DataError(
                f"{table.path}: holds {size} {what}, expected one for each of the {rows.classes} classes"
            )
    return PredictionsFile(rows, beside, options)


def _reader(rows: PredictedRows, field: str) -> LabelReader:
    return LabelReader.open(
        rows.table,
        field,
        classes=rows.classes,
        class_names=rows.class_names,
        ignore=None,
        apart=False,
        required=True,
    )


def _confidence(raw: NDArray[Any], start: int, place: str) -> PerRow:
    confidence = raw.astype(np.float64)
    wrong = ~((confidence >= 0) & (confidence <= 1 + SUM_TOLERANCE))
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"{place}: '{CONFIDENCE}' of row {start + row} is {raw[row]}, expected the probability of the "
            "prediction, 0..1; mend the column, or rename it if it is something else"
        )
    return np.minimum(confidence, 1.0)


def _check_own(
    confidence: PerRow,
    probabilities: NDArray[Any],
    predictions: Labels,
    start: int,
    place: str,
) -> None:
    """Refuse a confidence that is not the prediction's probability, as columns of two runs put together are."""
    own = probabilities[np.arange(predictions.size), predictions]
    apart = np.abs(confidence - own)
    if apart.max(initial=0.0) > SUM_TOLERANCE:  # some files keep three digits, or half precision
        row = int(apart.argmax())
        raise DataError(
            f"{place}: '{CONFIDENCE}' of row {start + row} is {confidence[row]:.6g}, but '{PROBABILITIES}' gives its "
            f"prediction, class {predictions[row]}, {own[row]:.6g}; expected the same number, so the columns are not "
            "of one run; write the file anew, or drop one of them"
        )


def _probabilities(scores: NDArray[Any], start: int, place: str) -> NDArray[Any]:
    """(n, k) as they are stored where that is a float, checked."""
    scores = as_float(scores)
    sums = scores.sum(axis=1)  # not `@`: BLAS wakes threads that spin for longer than this takes
    wrong = ~(np.abs(sums - 1) <= SUM_TOLERANCE)
    if not wrong.any() and scores.min() < 0:
        wrong = (scores < 0).any(axis=1)
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"{place}: '{PROBABILITIES}' of row {start + row} is no probability vector (sum {sums[row]:.6g}, "
            f"smallest {scores[row].min():.6g}); expected values in 0..1 that sum to 1"
        )
    return scores


def _adjusted(scores: NDArray[Any], start: int, place: str) -> NDArray[Any]:
    """(n, k) as they are stored where that is a float, checked: -inf where a class is never predicted."""
    scores = as_float(scores)
    largest = scores.max(axis=1)
    if not np.isfinite(largest).all():  # NaN and infinity are the largest of their row
        row = int((~np.isfinite(largest)).argmax())
        raise DataError(
            f"{place}: '{LOGITS}' of row {start + row} has the largest value {largest[row]}, expected a finite "
            "logit; mend the model or drop the row"
        )
    return scores
