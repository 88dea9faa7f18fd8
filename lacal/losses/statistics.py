"""What losses know of the classes, from the training counts: pure functions, (k,) counts to (k,) float64. No torch.

Counts are above 0 and need not be whole: those of a sampled stream are expected numbers.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lacal.batch import PerClass
from lacal.classes.names import some_classes
from lacal.errors import DataError


def checked_class_counts(class_counts: ArrayLike) -> PerClass:
    """The counts as float64.

    Raises:
        DataError: They are no vector of at least 2 finite numbers above 0.
    """
    counts = np.asarray(class_counts)
    if counts.ndim != 1 or counts.size < 2 or counts.dtype.kind not in "iuf":
        raise DataError(
            f"class counts: got {counts.dtype} of shape {counts.shape}; expected one number for each of at least "
            "2 classes"
        )
    counts = counts.astype(np.float64)
    bad = np.flatnonzero(~(np.isfinite(counts) & (counts > 0)))
    if bad.size:
        raise DataError(
            f"class counts: {bad.size} of {counts.size} classes have no count above 0 (classes "
            f"{some_classes(bad.tolist(), None)}); every class needs a training example, leave out those without"
        )
    return counts


def log_prior(class_counts: PerClass) -> PerClass:
    """log(n / sum n)."""
    return _float64(np.log(class_counts) - np.log(class_counts.sum()))


def prior_power(class_counts: PerClass, exponent: float) -> PerClass:
    """(n / sum n)^exponent: -1 weighs classes alike, -1/4 is the adaptive margin, tau - 1 keeps tau consistent."""
    return _float64(np.exp(exponent * log_prior(class_counts)))


def effective_number_weights(class_counts: PerClass, beta: float) -> PerClass:
    """(1 - beta) / (1 - beta^n), scaled to sum to k; with beta = 1 its limit, 1/n.

    Source: Cui et al., CVPR 2019. Cao et al. 2019 defer these weights (DRW).
    """
    with np.errstate(divide="ignore"):  # beta 0: log 0 is -inf, and every weight is 1
        numbers = -np.expm1(class_counts * np.log(beta)) if beta < 1 else class_counts
    weights = 1 / numbers
    return _float64(weights * (class_counts.size / weights.sum()))


def ldam_margins(class_counts: PerClass, max_margin: float) -> PerClass:
    """max_margin (n_min / n)^(1/4), margins of cosines: that of the rarest class is `max_margin`.

    Source: Cao et al., NeurIPS 2019; code kaidic/LDAM-DRW.
    """
    return _float64(max_margin * (class_counts.min() / class_counts) ** 0.25)


def quantity_factors(class_counts: PerClass) -> PerClass:
    """1 / log(n / n_min + 1): 1.4427 for the rarest class.

    Source: Zhao et al., AAAI 2022; the base of the logarithm is not printed, natural is taken.
    """
    return _float64(1 / np.log(class_counts / class_counts.min() + 1))


def count_ratios(class_counts: PerClass, gamma: float) -> PerClass:
    """(n / n_max)^gamma, the multipliers of vector scaling (Kini et al., NeurIPS 2021)."""
    return _float64((class_counts / class_counts.max()) ** gamma)


def _float64(values: NDArray[np.floating]) -> PerClass:
    return np.asarray(values, np.float64)
