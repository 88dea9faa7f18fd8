"""`compare_methods`: every post-hoc method that applies, tuned on one split and scored on another."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.adjustment import Adjustment
from lacal.calibration import Calibration
from lacal.classes.groups import Groups
from lacal.classes.prior import LabelPrior
from lacal.errors import DataError
from lacal.metrics import Gain, Measurement, PairedTally, paired_bootstrap
from lacal.pipeline.agreement import Agreement
from lacal.pipeline.candidate_rows import Settings, TunedMethod
from lacal.pipeline.candidates import UNADJUSTED, Head, Tuned, are_raw, tuned_candidates
from lacal.pipeline.split_overlap import SplitOverlap
from lacal.probabilities import Probabilities
from lacal.rows.fingerprint import RowSketch
from lacal.rows.same_rows import SameRows
from lacal.rows.source import Source, require_labels

EVERY_CLASS = "all"  # key of the gain over all classes, beside those of the groups


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """One of the two splits.

    Attributes:
        place: As the user named it.
        rows: Rows, labelled or not.
        labelled: Rows with a label.
        absent: Classes without one.
        digest: Fingerprint of the rows: 16 hexadecimal digits.
        inference: How a model made the logits, where that is known.
    """

    place: str
    rows: int
    labelled: int
    absent: tuple[int, ...]
    digest: str
    inference: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class MethodRow:
    """One method, tuned on the validation rows and scored on the test rows.

    Attributes:
        name: What `--keep` calls it: `none`, `logit-adjustment:1`, `weight-norm:drop`, `vector-scaling`.
        detail: What was chosen on the validation rows, in words: `tau = 1.2`; empty where nothing was.
        adjustment: What was applied.
        calibration: The file that `--keep` writes; None for the model as it is.
        measured: Of the adjusted scores, on the test rows.
        paired: What it mended and broke against the unadjusted model, on the test rows.
        gains: Fall of the balanced error against the unadjusted model, of all classes under `EVERY_CLASS` and
            of each group that has rows; empty for the unadjusted model itself.
        behind: How much higher its balanced error is than that of the first row of the table, paired: the gain
            of going from this row to that one; None for the first row itself.
        note: What to know about this row, in a sentence; None for nothing.
    """

    name: str
    detail: str
    adjustment: Adjustment
    calibration: Calibration | None
    measured: Measurement
    paired: PairedTally
    gains: dict[str, Gain]
    behind: Gain | None
    note: str | None


@dataclass(frozen=True, slots=True)
class MethodComparison:
    """The table of methods.

    The first row was picked by the rows that it is scored on, so its lead over those close behind flatters it.

    Attributes:
        rows: Lowest balanced error on the test rows first; ties in the order of the methods.
        val: The split that everything was tuned on.
        test: The split that everything was scored on.
        prior: Training counts.
        groups: Of the classes, by those counts.
        left_out: Name and reason of each method that could not be tried.
        tuned_share: Share of the validation rows whose logits were found among the test rows.
        whole: Whether that share is exact, not of a sample.
        same: What ids and labels say of both being the same rows, perhaps of two models; None for nothing.
        draws: Of the paired bootstrap.
        seed: Of the draws and the folds.
    """

    rows: tuple[MethodRow, ...]
    val: SplitFacts
    test: SplitFacts
    prior: LabelPrior
    groups: Groups
    left_out: tuple[tuple[str, str], ...]
    tuned_share: float
    whole: bool
    same: SameRows | None
    draws: int
    seed: int

    @property
    def best(self) -> MethodRow:
        """The row of the lowest balanced error."""
        return self.rows[0]

    @property
    def unadjusted(self) -> MethodRow:
        """The row of the model as it is."""
        return next(one for one in self.rows if one.name == UNADJUSTED)

    @property
    def close(self) -> tuple[MethodRow, ...]:
        """The rows that are not surely behind the first."""
        return tuple(one for one in self.rows if one.behind is not None and one.behind.low <= 0)


def compare_methods(
    val: Source,
    test: Source,
    prior: LabelPrior,
    head: Head | None,
    groups: Groups,
    settings: Settings = Settings(),  # noqa: B008 - frozen
    *,
    allow_tuned_rows: bool = False,
) -> MethodComparison:
    """Tune every method that applies on one split, and score them all on another in one pass.

    Args:
        val: Logits with labels, to tune on.
        test: Logits with labels of the same model, to score on.
        prior: Training class counts, in the order of both.
        head: Weight norms (k,) and bias (k,) of the classifier's last layer, where known.
        groups: Of the classes.
        settings: Draws, seed, kind of scores.
        allow_tuned_rows: Score rows that are among those tuned on all the same.

    Raises:
        UsageError: A split has no labels.
        DataError: They share rows, hold different kinds of scores, or one has nothing to tell.
    """
    require_labels(test)
    tuned = tuned_candidates(val, prior, head, settings)
    if are_raw(test, settings.scores) != tuned.raw:
        kinds = ("logits", "log-probabilities")
        raise DataError(
            f"{test.place}: rows look like {kinds[tuned.raw]}, those of {val.place} like {kinds[not tuned.raw]}; "
            "both splits must hold the same scores; say --scores if they do"
        )
    scored = _Scored.none_yet(tuned, test.classes)
    scored.read(test)
    overlap = scored.overlap
    if not allow_tuned_rows:
        overlap.refuse(val.place, test.place)
    support = scored.measured[0].tally.support
    tuned_support = np.bincount(tuned.labels, minlength=val.classes)
    return MethodComparison(
        rows=_rows(tuned, scored, groups, settings),
        val=_facts(val, tuned.sketch, tuned_support),
        test=_facts(test, overlap.scored, support),
        prior=prior,
        groups=groups,
        left_out=tuned.left_out,
        tuned_share=overlap.share,
        whole=overlap.whole,
        same=overlap.said(),
        draws=settings.draws,
        seed=settings.seed,
    )


@dataclass(slots=True)
class _Scored:
    """What the pass over the test rows leaves: of each candidate, and of all together."""

    candidates: tuple[TunedMethod, ...]
    measured: tuple[Measurement, ...]
    agreement: Agreement
    overlap: SplitOverlap

    @classmethod
    def none_yet(cls, tuned: Tuned, classes: int) -> "_Scored":
        return cls(
            tuned.candidates,
            tuple(Measurement(classes) for _ in tuned.candidates),
            Agreement.empty(classes, len(tuned.candidates)),
            SplitOverlap.looking_for(tuned.sketch, tuned.marks, tuned.labels),
        )

    def read(self, test: Source) -> None:
        plain = Probabilities()
        for batch in test.batches():
            self.overlap.update(batch)
            logits, labels = batch.labelled()
            predictions = []
            for candidate, measured in zip(self.candidates, self.measured, strict=True):
                adjusted = candidate.adjustment.apply_to(logits, batch, test.place)
                predictions.append(adjusted.argmax(axis=1))
                if labels.size:
                    probabilities = plain.of(adjusted)
                    log_true = plain.log_of_own(adjusted, probabilities, labels, predictions[-1])
                    measured.update(labels, predictions[-1], probabilities, log_true=log_true)
            self.agreement.update(labels, predictions)
        if not self.agreement.rows.any():
            raise DataError(f"{test.place}: no row carries a label; there is nothing to score")


def _rows(
    tuned: Tuned, scored: _Scored, groups: Groups, settings: Settings
) -> tuple[MethodRow, ...]:
    """The table, lowest balanced error first."""
    errors = [one.tally.balanced().value or 0.0 for one in scored.measured]
    order = np.argsort(errors, kind="stable").tolist()
    unadjusted = [one.name for one in tuned.candidates].index(UNADJUSTED)
    masks = {EVERY_CLASS: None, **groups.masks}

    def gains(before: int, after: int, groups_too: bool) -> dict[str, Gain]:
        paired = scored.agreement.paired(before, after)
        chosen = masks if groups_too else {EVERY_CLASS: None}
        return paired_bootstrap(paired, chosen, draws=settings.draws, seed=settings.seed)

    return tuple(
        MethodRow(
            name=one.name,
            detail=one.detail,
            adjustment=one.adjustment,
            calibration=one.calibration,
            measured=scored.measured[at],
            paired=scored.agreement.paired(unadjusted, at),
            gains={} if at == unadjusted else gains(unadjusted, at, True),
            behind=None if at == order[0] else gains(at, order[0], False)[EVERY_CLASS],
            note=one.note,
        )
        for at in order
        for one in (tuned.candidates[at],)
    )


def _facts(source: Source, sketch: RowSketch, support: NDArray[np.int64]) -> SplitFacts:
    absent = tuple(np.flatnonzero(support == 0).tolist())
    labelled = int(support.sum())
    return SplitFacts(
        source.place, sketch.rows, labelled, absent, f"{sketch.digest:016x}", source.inference
    )
