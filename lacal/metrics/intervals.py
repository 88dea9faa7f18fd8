"""`Rate`, and the 95 % intervals of proportions and of class-weighted means of proportions."""

from dataclasses import dataclass

import numpy as np

from lacal.batch import PerClass

NORMAL_95 = 1.959963984540054  # two-sided 95 % of the normal distribution

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Rate:
    """A share in [0, 1] with its standard error, its 95 % interval and the rows behind it.

    Attributes:
        value: None where there are no rows.
        standard_error: None where there are no rows to tell.
        n: Labelled rows.
        classes: Classes with rows.
        low: Lower end of the interval; None where there is none.
        high: Upper end.
    """

    value: float | None
    standard_error: float | None
    n: int
    classes: int
    low: float | None = None
    high: float | None = None


NOTHING = Rate(None, None, 0, 0)


def wilson(share: float, rows: float, quantile: float = NORMAL_95) -> Interval:
    """Wilson's score interval of a share seen in `rows` rows, which need not be whole.

    Source: Wilson 1927, Journal of the American Statistical Association 22, 209.
    """
    z2 = quantile**2
    centre = (share + z2 / (2 * rows)) / (1 + z2 / rows)
    half = quantile / (1 + z2 / rows) * np.sqrt(share * (1 - share) / rows + z2 / (4 * rows**2))
    low = 0.0 if share <= 0 else max(float(centre - half), 0.0)
    high = 1.0 if share >= 1 else min(float(centre + half), 1.0)
    return low, high


def effective_rows(share: float, rows: float, squares: float) -> float:
    """Rows of equal weight that tell as much of one share as the weighted rows do.

    Args:
        share: Weighted share.
        rows: Kish's effective number of rows.
        squares: sum(w^2 z) / sum(w^2) * rows; `rows * share` where the weights are equal.
    """
    # One more row, half right, so that a share of 0 or 1 has a variance to compare.
    middle = (rows * share + 0.5) / (rows + 1)
    variance = ((squares + 0.5) * (1 - 2 * middle) + middle**2 * (rows + 1)) / (rows + 1) ** 2
    return float(np.clip(middle * (1 - middle) / max(variance, 1e-300) - 1, 0.1, 10 * rows))


def of_mean(shares: PerClass, rows: PerClass, squares: PerClass, prior: PerClass) -> Interval:
    """95 % interval of `prior @ shares`, the shares of independent classes.

    Wilson's interval of the mean, with the number of rows that the stratified variance stands for, as
    survey samplers do for clustered proportions (Dean & Pagano 2015, Journal of Survey Statistics and
    Methodology 3, 484). So that 0 errors in 5 rows do not count as no doubt, each class's variance is taken
    with one more row at the mean of all classes, and divided by what that would make of classes that are
    all alike. A single class has Wilson's interval itself.

    Measured over 385 kinds of problem (1 to 1,000 classes, 1 to 30 rows a class or falling from 100 to 1,
    errors alike or rising to the tail, near 0, near 1), it covers 96 % on average; less than 92 %, down to
    80 %, in 27 of them, all but two of at most 50 rows in all, where Wilson's own is as coarse. On the
    same problems mean +- 1.96 standard errors covers 76 % on average and down to nothing; the classes' Wilson
    limits combined by their squared distances (MOVER, Zou & Donner 2008, Statistics in Medicine 27, 1693) 92 %
    and down to 72 %, most of all where classes are many, because each of their centres leans towards
    1/2. Under unequal priors, where a class or two
    make up the mean, it falls to 79 %. `benchmarks/interval_coverage.py` measures other problems of these kinds.

    Args:
        shares: (k,) share of each class.
        rows: (k,) > 0, effective number of rows of each class.
        squares: (k,) as in `effective_rows`.
        prior: (k,) >= 0, sums to 1.
    """
    mean = float(np.clip(prior @ shares, shares.min(), shares.max()))  # the sum rounds
    alone = float((prior**2 / rows).sum())  # 1 / rows, were all classes alike
    spread = mean * (1 - mean)
    if spread == 0 or alone >= 1:
        return wilson(mean, 1 / alone)
    near = (rows * shares + mean) / (rows + 1)
    own = ((squares + mean) * (1 - 2 * near) + near**2 * (rows + 1)) / (rows + 1)
    if_alike = (1 - (rows + 2 * prior + alone) / (rows + 1) ** 2) / (1 - alone)
    ratio = own / spread / np.maximum(if_alike, 0.25)
    parts = prior**2 / rows / alone
    design = float(parts @ ratio)
    # Where one class makes up most of the variance, its being all right by chance is not averaged out.
    uneven = (shares.size * float(parts @ parts) - 1) / max(shares.size - 1, 1)
    design += max(uneven, 0.0) * max(1 - design, 0.0)
    return wilson(mean, 1 / (alone * design))
