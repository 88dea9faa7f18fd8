"""Temperature, then logit adjustment: `logits / T - log_prior`, with T by balanced log loss.

tau and temperature are one knob: this ranks the classes as `logits - T * log_prior` does (Menon et al., 2021,
section 4), so T is a tau that was chosen by log loss instead of errors.
"""

import numpy as np

from lacal.adjustment import Adjustment
from lacal.batch import PerClass
from lacal.fits.log_loss import HeldRows, balanced_log_loss

# Beyond these log loss wants no doubt at all (rows that are all right), or finds nothing in the logits.
COLDEST, HOTTEST = 1 / 40, 40.0
TOLERANCE = 1e-5  # of log T


def tempered(log_prior: PerClass, temperature: float) -> Adjustment:
    """`logits / temperature - log_prior`; -inf for a masked class."""
    scale = np.full(log_prior.size, 1 / temperature)
    return Adjustment(scale, np.where(np.isneginf(log_prior), -np.inf, -log_prior))


def best_temperature(rows: HeldRows, log_prior: PerClass) -> float:
    """The temperature in `COLDEST..HOTTEST` of lowest balanced log loss of `logits / T - log_prior`.

    The loss is convex in 1 / T, so it has one minimum in log T as well.

    Args:
        rows: At least one.
        log_prior: (k,) finite.
    """
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda log_t: balanced_log_loss(rows, tempered(log_prior, float(np.exp(log_t)))),
        bounds=(np.log(COLDEST), np.log(HOTTEST)),
        method="bounded",
        options={"xatol": TOLERANCE},
    )
    return float(np.exp(found.x))
