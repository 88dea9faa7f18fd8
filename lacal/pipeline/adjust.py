"""`adjust`: adjusted predictions of every row, and the errors where rows carry labels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lacal.calibration import Calibration
from lacal.classes.target import TargetPrior
from lacal.errors import DataError
from lacal.pipeline.evaluate import Evaluation
from lacal.pipeline.keeping import Keep
from lacal.pipeline.predictions import Meaning, PredictionColumns, predictions_writer
from lacal.pipeline.quality import ProbabilityTally
from lacal.pipeline.scoring import ERRORS_AND_MEASURES, Scored, Scorer
from lacal.pipeline.temperature import HeldApart, Temperature
from lacal.probabilities import Probabilities
from lacal.rows.source import Source


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the confidences of the file are to be.

    Attributes:
        temperature: Fitted, and what they are divided by; None for 1.
        target: The class shares they are for; None for equal shares.
        allow_tuned_rows: Score the rows that tau or the temperature was chosen on all the same.
    """

    temperature: Temperature | None = None
    target: TargetPrior | None = None
    allow_tuned_rows: bool = False

    @property
    def probabilities(self) -> Probabilities:
        """Of the adjusted logits."""
        return self.at(1.0 if self.temperature is None else self.temperature.value)

    def at(self, temperature: float) -> Probabilities:
        """The same at another temperature."""
        return Probabilities(temperature, None if self.target is None else self.target.log_prior)


@dataclass(frozen=True, slots=True)
class Adjusted:
    """What was written.

    Attributes:
        path: The predictions file.
        calibration: What was applied.
        found: What the adjustment does to the rows that carry labels; its tallies are empty where none does.
        changed: Rows whose prediction the adjustment changed.
        wanted: What the confidences are.
        cold: The labelled rows at temperature 1; None where no other was fitted, or no row carries a label.
        fitted_share: Share of the rows that the temperature was fitted on that were seen again.
    """

    path: Path
    calibration: Calibration
    found: Evaluation
    changed: int
    wanted: Wanted
    cold: ProbabilityTally | None
    fitted_share: float

    @property
    def labelled(self) -> bool:
        """Whether any row carries a label."""
        return bool(self.found.tally.support.any())


def adjust(
    source: Source,
    calibration: Calibration,
    path: Path,
    columns: PredictionColumns,
    wanted: Wanted = Wanted(),
    *,
    keep: Keep = ERRORS_AND_MEASURES,
    force: bool = True,
) -> Adjusted:
    """Apply a calibration to every row and write the predictions, whole or not at all.

    The prediction is the class of the largest adjusted logit, whatever the confidences are wanted for.

    Args:
        source: Logits, with labels or without.
        calibration: What to apply.
        path: The Parquet file to write.
        columns: Which optional columns to write.
        wanted: What the confidences are.
        keep: What to gather beside the errors.
        force: Replace a file that is there.

    Raises:
        DataError: A row cannot be scored; nothing is written.
        RunError: The file cannot be written.
    """
    _refuse_impossible(wanted.target, calibration)
    apart = None
    if wanted.temperature is not None:
        apart = HeldApart(source, wanted.temperature, allow_tuned_rows=wanted.allow_tuned_rows)
    scorer = Scorer(
        apart or source, calibration, wanted.allow_tuned_rows, wanted.probabilities, keep
    )
    names = calibration.class_names or source.class_names
    known = tuple(names) if names else None
    cold = ProbabilityTally.empty(source.classes, keep.bins)
    meaning = Meaning(wanted.probabilities, wanted.target)
    with predictions_writer(path, columns, source, known, meaning=meaning, force=force) as writer:
        for scored in scorer.batches():
            if apart is not None and scored.batch.labels is not None:
                plain = wanted.at(1.0).of(scored.adjusted)
                cold.update(plain, scored.predictions, scored.batch.labels)
            writer.write(scored)
    found = _evaluation(scorer.totals, source, calibration, wanted.probabilities)
    told = apart is not None and bool(found.tally.support.any())
    share = 0.0 if apart is None else apart.share
    return Adjusted(
        path, calibration, found, scorer.totals.changed, wanted, cold if told else None, share
    )


def _refuse_impossible(target: TargetPrior | None, calibration: Calibration) -> None:
    """Refuse class shares under which nothing that can be predicted ever occurs."""
    offset = calibration.adjustment.offset
    if target is not None and not (target.prior[offset > -np.inf] > 0).any():
        raise DataError(
            f"--target-prior {target.name}: every class that occurs there has no training example and is never "
            "predicted; give shares of other classes, or another --zero-count"
        )


def _evaluation(
    totals: Scored, source: Source, calibration: Calibration, probabilities: Probabilities
) -> Evaluation:
    """What the pass measured; nothing of the rows themselves where no row carries a label."""
    labelled = bool(totals.adjusted.support.any())
    return Evaluation(
        rows=totals.rows,
        measured=totals.measured,
        before=totals.before,
        paired=totals.paired,
        flows=totals.flows,
        path=totals.kept.tau_path() if labelled else None,
        tuned_share=totals.tuned_share,
        inference=source.inference,
        calibration=calibration,
        weighted=totals.weighted,
        probabilities=probabilities,
        digest=totals.kept.digest,
    )
