"""The methods that are fitted to validation rows by balanced log loss: temperature, offsets, vector scaling."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lacal.adjustment import Adjustment
from lacal.calibration import FITTED, fitted_calibration
from lacal.calibration_records import FittedOn
from lacal.classes.prior import LabelPrior
from lacal.fits.class_offsets import ClassOffsets
from lacal.fits.log_loss import HeldRows, balanced_log_loss
from lacal.fits.shrinkage import Shrunk, shrunk
from lacal.fits.tempered import COLDEST, HOTTEST, best_temperature, tempered
from lacal.fits.vector_scaling import VectorScaling
from lacal.metrics import ClassTally
from lacal.pipeline.candidate_rows import MOST_HELD, Settings, TunedMethod, ValidationRows
from lacal.rows.fingerprint import RowSketch

TEMPERATURE, OFFSETS, SCALING = FITTED
TOO_MANY = (
    f"the validation split has more than the {MOST_HELD:,} scores (rows x classes) that fits hold in memory; "
    "give fewer rows"
)
LARGEST_LOGIT = 1e100  # what a fit makes of more is no number: it squares them
TOO_LARGE = (
    f"validation scores reach {LARGEST_LOGIT:g} or more, beyond what fits can work with; bring them to the scale of "
    "logits, and the rows they are used on likewise"
)
NOBODY = "no validation row is of a class that may be predicted"
SURE = 1e-6  # nats; where the loss of rows that are all right ends in rounding, any temperature is as good
NO_DOUBT = "the validation rows are nearly all right, and log loss finds no temperature for them"
NO_SENSE = "log loss finds hardly anything in these logits; check the order of the classes"
NOTHING_MOVES = "cross-validation lets nothing move: the same as temperature"


def fitted_candidates(
    rows: ValidationRows,
    prior: LabelPrior,
    settings: Settings,
    *,
    raw: bool,
    inference: dict[str, Any] | None,
    needs_logits: str,
) -> tuple[list[TunedMethod], list[tuple[str, str]]]:
    """The fitted methods, and name and reason of those that cannot be fitted.

    Args:
        rows: The validation rows, read.
        prior: Training class counts.
        settings: Seed and kind of scores.
        raw: Whether the scores are logits, which vector scaling needs.
        inference: How a model made them, where that is known.
        needs_logits: What is said of vector scaling where they are not.
    """
    held = rows.held()
    if held is None:
        return [], [(name, TOO_MANY) for name in FITTED]
    if max(float(held.logits.max()), -float(held.logits.min())) >= LARGEST_LOGIT:
        return [], [(name, TOO_LARGE) for name in FITTED]
    if not prior.trained[held.labels].any():
        return [], [(name, NOBODY) for name in FITTED]
    fitting = _Fitting.on(held, rows.sketch, prior, settings, inference)
    anchor, seed = fitting.anchor, settings.seed
    found = [
        fitting.candidate(TEMPERATURE, None),
        fitting.candidate(OFFSETS, shrunk(lambda _: ClassOffsets(anchor), fitting.rows, seed=seed)),
    ]
    if not raw:
        return found, [(SCALING, needs_logits)]
    scaling = shrunk(lambda part: VectorScaling.around(anchor, part), fitting.rows, seed=seed)
    return [*found, fitting.candidate(SCALING, scaling)], []


@dataclass(frozen=True, slots=True)
class _Fitting:
    """What the fits have in common.

    Attributes:
        every_row: All labelled rows.
        rows: Those of classes that may be predicted, over these classes alone.
        temperature: Of lowest balanced log loss.
        sketch: Fingerprint of the validation rows.
        prior: Training class counts.
        settings: Seed and kind of scores.
        inference: How a model made the logits, where that is known.
    """

    every_row: HeldRows
    rows: HeldRows
    temperature: float
    sketch: RowSketch
    prior: LabelPrior
    settings: Settings
    inference: dict[str, Any] | None

    @classmethod
    def on(
        cls,
        held: HeldRows,
        sketch: RowSketch,
        prior: LabelPrior,
        settings: Settings,
        inference: dict[str, Any] | None,
    ) -> "_Fitting":
        trained = prior.trained
        rows = held
        if not trained.all():
            possible = trained[held.labels]
            numbers = np.cumsum(trained) - 1
            rows = HeldRows.of(
                held.logits[np.ix_(possible, trained)], numbers[held.labels[possible]]
            )
        temperature = best_temperature(rows, prior.log_prior[trained])
        return cls(held, rows, temperature, sketch, prior, settings, inference)

    @property
    def anchor(self) -> Adjustment:
        """Temperature and logit adjustment, over the classes that may be predicted."""
        return tempered(self.prior.log_prior[self.prior.trained], self.temperature)

    def candidate(self, name: str, fit: Shrunk | None) -> TunedMethod:
        """The method with its calibration; no fit for the temperature alone."""
        adjustment = self._over_all_classes(self.anchor if fit is None else fit.adjustment)
        loss = balanced_log_loss(self.rows, self.anchor)
        record = FittedOn(
            rows=self.sketch.rows,
            labelled=self.every_row.labels.size,
            classes_present=int(np.count_nonzero(self.every_row.support)),
            digest=f"{self.sketch.digest:016x}",
            sketch=[f"{int(one):016x}" for one in self.sketch.smallest],
            repeats=self.sketch.repeats,
            unadjusted_error=self._balanced_error(Adjustment.identity(adjustment.classes)),
            balanced_error=self._balanced_error(adjustment),
            ridge=None if fit is None else fit.ridge,
            ridges=[] if fit is None else [ridge for ridge, _ in fit.held_out if ridge is not None],
            held_out=[] if fit is None else [held_out for _, held_out in fit.held_out],
            log_loss=loss if fit is None else fit.loss,
            log_loss_before=loss,
            seed=self.settings.seed,
        )
        calibration = fitted_calibration(
            name,
            self.temperature,
            adjustment,
            self.prior,
            record,
            scores=self.settings.scores or "logits",
            inference=self.inference,
        )
        detail = f"T = {self.temperature:.4g}"
        if fit is not None:
            detail += f", lambda = {'inf' if fit.ridge is None else format(fit.ridge, 'g')}"
        return TunedMethod(name, detail, adjustment, calibration, self._note(fit, loss))

    def _note(self, fit: Shrunk | None, loss: float) -> str | None:
        if fit is not None:
            return NOTHING_MOVES if fit.ridge is None else None
        if self.temperature < 1.01 * COLDEST or loss < SURE:
            return NO_DOUBT
        return NO_SENSE if self.temperature > 0.99 * HOTTEST else None

    def _over_all_classes(self, adjustment: Adjustment) -> Adjustment:
        """The adjustment of the classes that may be predicted, with the masked ones put back."""
        trained = self.prior.trained
        scale, offset = np.full(trained.size, 1 / self.temperature), np.full(trained.size, -np.inf)
        scale[trained], offset[trained] = adjustment.scale, adjustment.offset
        return Adjustment(scale, offset)

    def _balanced_error(self, adjustment: Adjustment) -> float:
        tally = ClassTally.empty(adjustment.classes)
        for part in self.every_row.blocks():
            predictions = adjustment.predict(self.every_row.logits[part])
            tally.update(self.every_row.labels[part], predictions)
        return tally.balanced().value or 0.0
