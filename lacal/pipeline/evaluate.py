"""`evaluate`: errors, scores and calibration of a labelled source, with their uncertainty."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lacal.calibration import Calibration
from lacal.errors import DataError
from lacal.metrics import ClassTally, Gain, PairedTally
from lacal.metrics.flows import FlowTally
from lacal.metrics.measurement import Measurement
from lacal.pipeline.keeping import Keep
from lacal.pipeline.scoring import ERRORS_AND_MEASURES, PLAIN, Scorer
from lacal.probabilities import Probabilities
from lacal.rows.decisions import Decisions
from lacal.rows.source import Source, require_labels
from lacal.tau.path import TauPath


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured of one source.

    Attributes:
        rows: Rows, labelled or not.
        measured: Errors, scores and calibration of the predictions that were asked for.
        before: The same of the unadjusted ones, where an adjustment was applied.
        paired: What the adjustment mended and broke, where one was applied.
        flows: Predictions that it moved from group to group, where groups were given.
        path: Balanced error over all tau, where it was kept and the method has an exact one.
        decisions: Ids, labels and predictions, where they were kept.
        tuned_share: Share of the rows that tau was tuned on that were seen again.
        inference: How a model made the logits, where that is known.
        calibration: What was applied, if anything.
        weighted: Whether rows carry weights.
        probabilities: What the adjusted logits were taken for.
        digest: Fingerprint of the rows, where it was kept: 16 hexadecimal digits.
    """

    rows: int
    measured: Measurement
    before: Measurement | None = None
    paired: PairedTally | None = None
    flows: FlowTally | None = None
    path: TauPath | None = None
    decisions: Decisions | None = None
    tuned_share: float = 0.0
    inference: dict[str, Any] | None = None
    calibration: Calibration | None = None
    weighted: bool = False
    probabilities: Probabilities = PLAIN
    digest: str | None = None

    @property
    def tally(self) -> ClassTally:
        """Errors per class of the predictions that were asked for."""
        return self.measured.tally

    @property
    def unadjusted(self) -> ClassTally | None:
        """Errors per class of the plain argmax, where an adjustment was applied."""
        return None if self.before is None else self.before.tally

    @property
    def gain(self) -> Gain | None:
        """Fall of the balanced error by the adjustment, where one was applied."""
        return None if self.paired is None else self.paired.gain()


def evaluate(
    source: Source,
    calibration: Calibration | None,
    *,
    allow_tuned_rows: bool = False,
    keep: Keep = ERRORS_AND_MEASURES,
    probabilities: Probabilities = PLAIN,
) -> Evaluation:
    """Measure a labelled source, adjusted by a calibration or as it is.

    Args:
        source: Logits with labels.
        calibration: What to apply; None leaves the logits alone.
        allow_tuned_rows: Score the rows that tau was tuned on all the same.
        keep: What to gather beside the errors.
        probabilities: What the adjusted logits are as probabilities.

    Raises:
        DataError: No row counts, or these are the rows that tau was tuned on.
    """
    require_labels(source)
    scorer = Scorer(source, calibration, allow_tuned_rows, probabilities, keep)
    for _ in scorer.batches():
        pass
    totals = scorer.totals
    refuse_uncounted(totals.measured.tally, totals.weighted, source.place)
    return Evaluation(
        totals.rows,
        totals.measured,
        totals.before,
        None if calibration is None else totals.paired,
        None if calibration is None else totals.flows,
        totals.kept.tau_path(),
        totals.kept.decisions(source),
        totals.tuned_share,
        source.inference,
        calibration,
        totals.weighted,
        probabilities,
        totals.kept.digest,
    )


def refuse_uncounted(tally: ClassTally, weighted: bool, place: str) -> None:
    """Refuse a file in which no row counts."""
    if not np.count_nonzero(tally.support):
        counted = "a label and a weight above 0" if weighted else "a label"
        raise DataError(f"{place}: no row carries {counted}; there is nothing to evaluate")
