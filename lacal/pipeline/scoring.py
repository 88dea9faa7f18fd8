"""One pass that applies an adjustment: what `adjust` and `evaluate` share."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Batch, Labels
from lacal.calibration import Calibration
from lacal.errors import DataError
from lacal.metrics import ClassTally, PairedTally
from lacal.metrics.flows import FlowTally
from lacal.metrics.measurement import Measurement
from lacal.pipeline.keeping import Keep, KeptRows
from lacal.probabilities import Probabilities
from lacal.rows.fingerprint import Overlap
from lacal.rows.source import Source

PLAIN = Probabilities()
ERRORS_AND_MEASURES = Keep()


@dataclass(frozen=True, slots=True)
class ScoredBatch:
    """A batch with what the adjustment makes of it.

    Attributes:
        batch: As it came.
        adjusted: (n, k) adjusted logits; float64, or the logits themselves where nothing adjusts them.
        predictions: (n,) their argmax.
        unadjusted: (n,) the argmax of the logits.
        probabilities: (n, k) of the adjusted logits; None where nothing was measured on them.
    """

    batch: Batch
    adjusted: NDArray[Any]
    predictions: Labels
    unadjusted: Labels
    probabilities: NDArray[Any] | None


@dataclass(slots=True)
class Scored:
    """Running totals of a pass.

    Attributes:
        measured: Errors, scores and calibration of what was asked for.
        before: The same of the plain logits; None where nothing adjusts them.
        paired: What the adjustment mended and broke.
        flows: Predictions that moved from group to group, where groups were given.
        overlap: Looks for the rows that tau was tuned on.
        kept: Rows that outlive the pass.
        rows: Rows so far.
        changed: Rows whose prediction the adjustment changed.
        weighted: Whether rows carry weights.
    """

    measured: Measurement
    before: Measurement | None
    paired: PairedTally
    flows: FlowTally | None
    overlap: Overlap
    kept: KeptRows
    rows: int = 0
    changed: int = 0
    weighted: bool = False

    @property
    def adjusted(self) -> ClassTally:
        """Errors of the adjusted argmax."""
        return self.measured.tally

    @property
    def tuned_share(self) -> float:
        """Share of the tuned rows that were seen again."""
        return self.overlap.share


@dataclass(slots=True)
class Scorer:
    """Applies one calibration to one source.

    Attributes:
        source: Where rows come from.
        calibration: What to apply; None leaves the logits alone.
        allow_tuned_rows: Whether scoring the rows that tau was tuned on is wanted.
        probabilities: What the adjusted logits are as probabilities.
        keep: What to gather beside the errors.
        totals: Of the rows that have passed.
    """

    source: Source
    calibration: Calibration | None
    allow_tuned_rows: bool = False
    probabilities: Probabilities = PLAIN
    keep: Keep = ERRORS_AND_MEASURES
    totals: Scored = field(init=False)

    def __post_init__(self) -> None:
        k, keep, groups = self.source.classes, self.keep, self.keep.groups
        tuned = self.calibration.tuned_rows if self.calibration else np.empty(0, np.uint64)
        self.totals = Scored(
            Measurement(k, keep.bins),
            Measurement(k, keep.bins) if self.calibration else None,
            PairedTally.empty(k),
            None if groups is None else FlowTally.of(groups.masks),
            Overlap.with_rows(np.asarray(tuned, np.uint64)),
            KeptRows.of(keep, self.calibration),
        )

    def batches(self) -> Iterator[ScoredBatch]:
        """Every batch, adjusted and counted; the overlap is judged at the end."""
        adjustment = self.calibration.adjustment if self.calibration else None
        for batch in self.source.batches():
            plain = batch.logits.argmax(axis=1)
            if adjustment is None:
                yield self._measured(batch, batch.logits, plain, plain)
            else:
                adjusted = adjustment.apply_to(batch.logits, batch, self.source.place)
                yield self._measured(batch, adjusted, adjusted.argmax(axis=1), plain)
        self._judge_overlap()

    def _measured(
        self, batch: Batch, adjusted: NDArray[Any], predictions: Labels, plain: Labels
    ) -> ScoredBatch:
        """Count a batch."""
        totals, labels, weights = self.totals, batch.labels, batch.weights
        totals.rows += plain.size
        measured = self.keep.measures
        probabilities = _measure(
            totals.measured, batch, adjusted, predictions, self.probabilities if measured else None
        )
        if totals.before is not None:
            totals.changed += int(np.count_nonzero(plain != predictions))
            _measure(totals.before, batch, batch.logits, plain, PLAIN if measured else None)
            totals.paired.update(labels, plain, predictions, weights)
            if totals.flows is not None:
                totals.flows.update(plain, predictions, labels)
        totals.weighted |= weights is not None
        totals.kept.update(batch, predictions)
        if labels is not None and totals.overlap.tuned.size:
            totals.overlap.update(batch)
        return ScoredBatch(batch, adjusted, predictions, plain, probabilities)

    def _judge_overlap(self) -> None:
        overlap, repeats = (
            self.totals.overlap,
            self.calibration.repeats if self.calibration else 0.0,
        )
        if overlap.is_same_split(repeats) and not self.allow_tuned_rows:
            raise DataError(
                f"{self.source.place}: about {overlap.share:.0%} of the rows that tau was tuned on are among these "
                "rows, so their error would flatter the result; score a held-out split, or say "
                "--allow-tuned-rows"
            )


def _measure(
    sums: Measurement,
    batch: Batch,
    adjusted: NDArray[Any],
    predictions: Labels,
    meaning: Probabilities | None,
) -> NDArray[Any] | None:
    """Count a batch, and measure the probabilities (n, k) of its adjusted logits, unless they mean nothing."""
    labels, probabilities, log_true = batch.labels, None, None
    if labels is not None and meaning is not None:
        probabilities = meaning.of(adjusted)
        log_true = meaning.log_of_own(adjusted, probabilities, labels, predictions)
    sums.update(labels, predictions, probabilities, weights=batch.weights, log_true=log_true)
    return probabilities
