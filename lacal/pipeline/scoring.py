"""One pass that applies an adjustment: what `adjust` and `evaluate` share."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lacal.adjustment import Adjustment
from lacal.batch import Batch, Labels
from lacal.calibration import Calibration
from lacal.errors import DataError
from lacal.fingerprint import Overlap
from lacal.metrics import ClassTally, PairedTally
from lacal.source import Source

# Share of the tuned rows found again from which on this is the same split and not a few duplicates.
SAME_ROWS = 0.1


@dataclass(frozen=True, slots=True)
class ScoredBatch:
    """A batch with what the adjustment makes of it."""

    batch: Batch
    adjusted: NDArray[np.float64]
    predictions: Labels
    unadjusted: Labels


@dataclass(slots=True)
class Scored:
    """Running totals of a pass.

    Attributes:
        unadjusted: Errors of the plain argmax.
        adjusted: Errors of the adjusted argmax.
        paired: What the adjustment mended and broke.
        overlap: Looks for the rows that tau was tuned on.
        rows: Rows so far.
        changed: Rows whose prediction the adjustment changed.
    """

    unadjusted: ClassTally
    adjusted: ClassTally
    paired: PairedTally
    overlap: Overlap
    rows: int = 0
    changed: int = 0

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
        totals: Of the rows that have passed.
    """

    source: Source
    calibration: Calibration | None
    allow_tuned_rows: bool = False
    totals: Scored = field(init=False)

    def __post_init__(self) -> None:
        k = self.source.classes
        tuned = self.calibration.tuned_rows if self.calibration else np.empty(0, np.uint64)
        self.totals = Scored(
            ClassTally.empty(k),
            ClassTally.empty(k),
            PairedTally.empty(k),
            Overlap.with_rows(np.asarray(tuned, np.uint64)),
        )

    def batches(self) -> Iterator[ScoredBatch]:
        """Every batch, adjusted and counted; the overlap is judged at the end."""
        adjustment = (
            self.calibration.adjustment
            if self.calibration
            else Adjustment.identity(self.source.classes)
        )
        totals = self.totals
        for batch in self.source.batches():
            adjusted = adjustment.apply(batch.logits)
            predictions = adjusted.argmax(axis=1)
            plain = batch.logits.argmax(axis=1)
            totals.rows += plain.size
            totals.changed += int(np.count_nonzero(plain != predictions))
            totals.unadjusted.update(batch.labels, plain)
            totals.adjusted.update(batch.labels, predictions)
            totals.paired.update(batch.labels, plain, predictions)
            if self.source.labelled:
                totals.overlap.update(batch)
            yield ScoredBatch(batch, adjusted, predictions, plain)
        self._judge_overlap()

    def _judge_overlap(self) -> None:
        share, found = self.totals.tuned_share, int(self.totals.overlap.found.sum())
        tuned_on = self.calibration.tuned_on if self.calibration else None
        by_chance = 3 * tuned_on.repeats if tuned_on else 0.0
        few = found < min(3, self.totals.overlap.tuned.size)
        if share >= SAME_ROWS + by_chance and not few and not self.allow_tuned_rows:
            raise DataError(
                f"{self.source.place}: about {share:.0%} of the rows that tau was tuned on are among these "
                "rows, so their error would flatter the result; score a held-out split, or say "
                "--allow-tuned-rows"
            )
