"""`fit_temperature`: the temperature of adjusted logits, by log loss on labelled rows, and what it leaves.

One pass at temperature 1, a few of Newton's, and one at the temperature found; no row is kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.adjustment import Adjustment
from lacal.batch import Batch, Labels, PerClass
from lacal.classes.names import some_classes
from lacal.errors import DataError
from lacal.fits.temperature import COLDEST, HOTTEST, InverseSearch, LogLossSums, possible
from lacal.metrics import BINS, NORMAL_95
from lacal.pipeline.quality import ProbabilityTally, Quality
from lacal.probabilities import Probabilities
from lacal.rows.fingerprint import Overlap, RowSketch
from lacal.rows.source import Source

OVERFLOWING = 1e100  # the squares of such differences, summed over rows, must not overflow
SMALL = 0.01  # differences within a row that make a temperature below COLDEST no surprise
VANISHING = 1e-6  # times the largest difference: exponents so small that the slope is that at 0


@dataclass(frozen=True, slots=True)
class Temperature:
    """A temperature, how sure it is, and what it does to the rows it was fitted on.

    Attributes:
        place: The rows, as the user named them.
        value: T; adjusted logits are divided by it.
        low: Lower end of its 95 % interval; None where the rows do not tell.
        high: Upper end.
        before: Of these rows at T = 1, in the class shares of the target prior.
        after: At `value`.
        rows: Labelled rows it rests on.
        left_out: Labelled rows of classes that are never predicted or never occur under the target prior.
        absent: Classes without a row, which do not count.
        sketch: Fingerprint of the rows.
        inference: How a model made their logits, where that is known.
    """

    place: str
    value: float
    low: float | None
    high: float | None
    before: Quality
    after: Quality
    rows: int
    left_out: int
    absent: NDArray[np.int64]
    sketch: RowSketch
    inference: dict[str, Any] | None = None


class HeldApart:
    """A source whose passes refuse, at their end, to hold the rows that a temperature was fitted on.

    Attributes:
        share: Share of those rows that the last pass held.
    """

    def __init__(self, source: Source, fitted: Temperature, *, allow_tuned_rows: bool) -> None:
        """Wrap a source."""
        self._source = source
        self._fitted = fitted
        self._allow = allow_tuned_rows
        self.share = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def batches(self) -> Iterator[Batch]:
        """The source's batches.

        Raises:
            DataError: At the end, where they held the rows; unless that was allowed.
        """
        sketch = self._fitted.sketch
        overlap = Overlap.with_rows(sketch.smallest)
        for batch in self._source.batches():
            if batch.labels is not None:
                overlap.update(batch)
            yield batch
        self.share = overlap.share
        if overlap.is_same_split(sketch.repeats) and not self._allow:
            raise DataError(
                f"{self._source.place}: about {self.share:.0%} of the rows that the temperature was fitted on are "
                "among these rows, so their calibration error would flatter it; score a held-out split, or say "
                "--allow-tuned-rows"
            )


def fit_temperature(
    source: Source, adjustment: Adjustment, *, prior: PerClass | None = None, bins: int = BINS
) -> Temperature:
    """The temperature of lowest log loss of `softmax(adjusted / T + log prior)`.

    Every class counts by its share of the prior, whatever its number of rows, so rows of any class mix serve;
    those that tau was tuned on do too. Predictions stay what they are: the class of the largest adjusted logit.

    Args:
        source: Logits with labels.
        adjustment: What is applied to them first.
        prior: (k,) class shares where the probabilities are used, summing to 1; None for equal shares.
        bins: Of the calibration errors.

    Raises:
        DataError: No row that counts, rows of one class, or rows that no temperature fits.
    """
    rows = _Rows(source, adjustment, _log_of(prior, source.classes))
    first = _first_pass(rows, bins)
    sums = _fitted(rows, first)
    scaled = Probabilities(1 / sums.inverse, rows.log_target)
    after = ProbabilityTally.empty(source.classes, bins)
    for _, adjusted, labels in rows:
        after.update(scaled.of(adjusted), adjusted.argmax(axis=1), labels)
    shares, spread = np.exp(rows.log_target), _spread(sums)
    return Temperature(
        place=source.place,
        value=scaled.temperature,
        low=None if spread is None else scaled.temperature / spread,
        high=None if spread is None else scaled.temperature * spread,
        before=first.before.under(shares),
        after=after.under(shares),
        rows=int(sums.support.sum()),
        left_out=first.labelled - int(sums.support.sum()),
        absent=np.flatnonzero((sums.support == 0) & (shares > 0)),
        sketch=first.sketch,
        inference=source.inference,
    )


def _log_of(prior: PerClass | None, classes: int) -> PerClass:
    if prior is None:
        return np.full(classes, -np.log(classes))
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(prior), np.float64)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Batches of a source with the adjusted logits and labels of the rows that count; again and again."""

    source: Source
    adjustment: Adjustment
    log_target: PerClass

    def __iter__(self) -> Iterator[tuple[Batch, NDArray[np.float64], Labels]]:
        for batch in self.source.batches():
            logits, labels = batch.labelled()
            adjusted = self.adjustment.apply_to(logits, batch, self.source.place)
            counted = possible(adjusted, labels, self.log_target)
            if not counted.all():
                adjusted, labels = adjusted[counted], labels[counted]
            yield batch, adjusted, labels


@dataclass(frozen=True, slots=True)
class _FirstPass:
    """What is known of the rows before any temperature is tried, and the sums at 1.

    Attributes:
        largest: How far any row's finite scores reach below its largest.
    """

    sketch: RowSketch
    labelled: int
    largest: float
    before: ProbabilityTally
    sums: LogLossSums


def _first_pass(rows: _Rows, bins: int) -> _FirstPass:
    sketch, labelled, wrong, largest = RowSketch(), 0, 0, 0.0
    before, sums = (
        ProbabilityTally.empty(rows.source.classes, bins),
        LogLossSums(1.0, rows.log_target),
    )
    plain = Probabilities(log_target=rows.log_target)
    for batch, adjusted, labels in rows:
        sketch.update(batch)
        labelled += batch.labelled()[1].size
        own = adjusted[np.arange(labels.size), labels]
        wrong += int(np.count_nonzero(own < adjusted.max(axis=1)))
        largest = max(largest, _reach(adjusted))
        if largest > OVERFLOWING:
            raise _out_of_scale(rows.source.place, largest)
        sums.update(adjusted, labels)
        before.update(plain.of(adjusted), adjusted.argmax(axis=1), labels)
    if not sums.support.any():
        raise DataError(
            f"{rows.source.place}: no row carries a label of a class that can be; a temperature is fitted on "
            "labelled rows"
        )
    if np.count_nonzero(sums.support) < 2:
        only = some_classes(np.flatnonzero(sums.support).tolist(), rows.source.class_names)
        raise DataError(
            f"{rows.source.place}: every row that counts is of class {only}; a temperature needs labelled rows of at "
            "least 2 classes"
        )
    if not wrong:
        raise _no_doubt(rows.source.place)
    return _FirstPass(sketch, labelled, largest, before, sums)


def _reach(adjusted: NDArray[np.float64]) -> float:
    """How far the lowest finite score (n, k) of any row is below the row's largest."""
    if not adjusted.size:
        return 0.0
    lowest = adjusted.min(axis=1, where=adjusted > -np.inf, initial=np.inf)
    with np.errstate(over="ignore"):
        return float((adjusted.max(axis=1) - lowest).max())


def _fitted(rows: _Rows, first: _FirstPass) -> LogLossSums:
    """The sums at the best inverse temperature, searched from those at 1."""
    search, place, sums = InverseSearch(), rows.source.place, first.sums
    while (inverse := search.after(sums)) is not None:
        sums = _sums_at(inverse, rows)
    if sums.inverse >= 1 / COLDEST:
        raise _out_of_scale(place, first.largest) if first.largest < SMALL else _no_doubt(place)
    if sums.inverse <= 1 / HOTTEST:
        # The loss is convex: where it falls at the start, it has its minimum at some temperature, a hotter one.
        start = _sums_at(VANISHING / max(first.largest, 1.0), rows)
        if start.mean(start.slope) < 0:
            raise _out_of_scale(place, first.largest)
        raise DataError(
            f"{place}: its scores do not tell the classes apart, so no temperature up to {HOTTEST:g} is the "
            "best; check that labels and classes are in the model's order"
        )
    return sums


def _sums_at(inverse: float, rows: _Rows) -> LogLossSums:
    sums = LogLossSums(inverse, rows.log_target)
    for _, adjusted, labels in rows:
        sums.update(adjusted, labels)
    return sums


def _no_doubt(place: str) -> DataError:
    return DataError(
        f"{place}: hardly any row scores another class above its own, so log loss sees no reason for doubt and no "
        "temperature fits; fit it on rows that hold errors, such as a larger held-out split"
    )


def _out_of_scale(place: str, largest: float) -> DataError:
    far = f"up to {largest:.3g}" if np.isfinite(largest) else "more than a float holds"
    return DataError(
        f"{place}: its scores differ by {far} within a row, so the best temperature lies outside "
        f"{COLDEST:g} to {HOTTEST:g}; bring them to the scale of logits, and the rows it is used on likewise"
    )


def _spread(sums: LogLossSums) -> float | None:
    """What T is divided and multiplied by for its 95 % interval; None where the rows do not tell."""
    error = sums.error_of_log()
    told = error is not None and NORMAL_95 * error < np.log(HOTTEST / COLDEST)
    return float(np.exp(NORMAL_95 * error)) if told and error is not None else None
