"""What the functions of fits, adjustments and probabilities promise."""

import numpy as np

from lacal.batch import Batch
from lacal.fits.class_offsets import ClassOffsets
from lacal.fits.log_loss import HeldRows, balanced_log_loss, row_losses, slope
from lacal.fits.shrinkage import shrunk
from lacal.fits.temperature import possible
from lacal.fits.tempered import best_temperature, tempered
from lacal.fits.vector_scaling import VectorScaling
from lacal.probabilities import Probabilities
from tests.contracts.given import (
    ADJUSTMENT,
    EACH,
    LOG_PRIOR,
    MASK,
    ORDERED,
    SUMMED,
    WHOLE,
    Contract,
    K,
    held,
    log_loss_sums,
    scaling,
)

# Module below lacal and name -> what it promises.
CONTRACTS: dict[str, Contract] = {
    "adjustment.Adjustment.apply": Contract(EACH, lambda logits: ADJUSTMENT.apply(logits)),
    "adjustment.Adjustment.apply_to": Contract(
        EACH, lambda logits: ADJUSTMENT.apply_to(logits, Batch(logits, None, None, 0), "logits")
    ),
    "adjustment.Adjustment.predict": Contract(EACH, lambda logits: ADJUSTMENT.predict(logits)),
    "adjustment.Adjustment.check_width": Contract(
        WHOLE, lambda logits: ADJUSTMENT.check_width(logits)
    ),
    "probabilities.Probabilities.of": Contract(
        EACH, lambda logits: Probabilities(2.0, LOG_PRIOR).of(logits)
    ),
    "probabilities.Probabilities.log_of_own": Contract(
        EACH,
        lambda logits, probabilities, labels, predictions: Probabilities().log_of_own(
            logits, probabilities, labels, predictions
        ),
    ),
    "fits.class_offsets.ClassOffsets.adjustment": Contract(
        WHOLE, lambda parameters: ClassOffsets(ADJUSTMENT).adjustment(parameters[:1])
    ),
    "fits.class_offsets.ClassOffsets.slope": Contract(
        WHOLE, lambda parameters: ClassOffsets(ADJUSTMENT).slope(held(), parameters[:1])
    ),
    "fits.log_loss.HeldRows.of": Contract(
        ORDERED, lambda logits, labels: HeldRows.of(logits, labels).weights
    ),
    "fits.log_loss.HeldRows.take": Contract(WHOLE, lambda some: held().take(some)),
    "fits.log_loss.slope": Contract(
        SUMMED, lambda logits, labels: slope(HeldRows.of(logits, labels), ADJUSTMENT)
    ),
    "fits.log_loss.row_losses": Contract(
        EACH, lambda logits, labels: row_losses(HeldRows.of(logits, labels), ADJUSTMENT)
    ),
    "fits.log_loss.balanced_log_loss": Contract(
        SUMMED, lambda logits, labels: balanced_log_loss(HeldRows.of(logits, labels), ADJUSTMENT)
    ),
    "fits.shrinkage.shrunk": Contract(
        WHOLE,
        lambda logits, labels: shrunk(
            lambda _: ClassOffsets(ADJUSTMENT), HeldRows.of(logits, labels), seed=0
        ),
    ),
    "fits.temperature.possible": Contract(
        EACH, lambda logits, labels: possible(logits, labels, np.where(MASK, LOG_PRIOR, -np.inf))
    ),
    "fits.temperature.LogLossSums.update": Contract(SUMMED, log_loss_sums),
    "fits.temperature.LogLossSums.mean": Contract(
        SUMMED,
        lambda numbers: log_loss_sums(np.tile(np.eye(K), (2, 1)), np.tile(np.arange(K), 2)).mean(
            numbers
        ),
    ),
    "fits.tempered.tempered": Contract(EACH, lambda log_prior: tempered(log_prior, 1.3)),
    "fits.tempered.best_temperature": Contract(
        WHOLE,
        lambda logits, labels, log_prior: best_temperature(HeldRows.of(logits, labels), log_prior),
    ),
    "fits.vector_scaling.VectorScaling.around": Contract(
        SUMMED, lambda logits, labels: VectorScaling.around(ADJUSTMENT, HeldRows.of(logits, labels))
    ),
    "fits.vector_scaling.VectorScaling.adjustment": Contract(
        WHOLE, lambda parameters: scaling().adjustment(parameters)
    ),
    "fits.vector_scaling.VectorScaling.slope": Contract(
        WHOLE, lambda parameters: scaling().slope(held(), parameters)
    ),
}
