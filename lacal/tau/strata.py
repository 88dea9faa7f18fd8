"""Variances of a class-balanced mean, class by class: the strata that every standard error here uses.

The balanced error is a mean over classes of class means, so its variance is a sum over classes, each
estimated from the spread of the class's own rows over n_y - 1. A class of one row shows no spread of its
own: all such classes are put together into one stratum, the survey statistician's collapsed strata
(Wolter 2007, Introduction to Variance Estimation, 2.5), whose spread holds the differences between those
classes too and so errs towards wide intervals. A lone class of one row enters with the square of its
value, as if its mean were known to be 0.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from lacal.batch import PerRow
from lacal.tau.path import TauPath


@dataclass(frozen=True, slots=True)
class Strata:
    """Rows in strata whose spread can be estimated.

    With v the values of a stratum's rows, its share of the variance is `spread * sum(v^2) - centre *
    sum(v)^2`: for a class of n_y rows, one of K present, that is sum((v - mean)^2) / (n_y - 1) / n_y / K^2.

    Attributes:
        of_row: (n,) stratum of each row, 0..s-1.
        size: (s,) rows.
        spread: (s,) weight of the sum of squares.
        centre: (s,) weight of the squared sum; 0 for a stratum of one row.
    """

    of_row: NDArray[np.int64]
    size: NDArray[np.int64]
    spread: NDArray[np.float64]
    centre: NDArray[np.float64]

    @classmethod
    def of(cls, path: TauPath) -> "Strata":
        """Each class by itself, the classes of one row together."""
        support = path.support
        single = support == 1
        merged = np.where(single, single.argmax(), np.arange(path.classes))
        merged_support = np.bincount(merged, support).astype(np.int64)
        names = np.flatnonzero(merged_support)
        size, number = merged_support[names], np.cumsum(merged_support > 0) - 1
        row_weight = 1.0 / (np.count_nonzero(support) * support[names].astype(np.float64))
        spread = row_weight**2 * size / np.maximum(size - 1, 1)
        return cls(
            number[merged[path.labels]], size, spread, np.where(size > 1, spread / size, 0.0)
        )

    def variances(self, values: PerRow) -> NDArray[np.float64]:
        """(s,) share of each stratum in the variance of the class-balanced mean of `values` (n,)."""
        total = np.bincount(self.of_row, values, minlength=self.size.size)
        squares = np.bincount(self.of_row, values**2, minlength=self.size.size)
        return np.maximum(self.spread * squares - self.centre * total**2, 0.0)

    def one_row(self) -> float:
        """Variance that one changed row of average weight stands for: mean over rows of weight^2."""
        weight = self.spread * np.maximum(self.size - 1, 1)  # weight^2 * size
        return float(weight.sum() / self.of_row.size)

    def freedom(self, variances: NDArray[np.float64], more: float) -> float:
        """Degrees of freedom of the strata's summed variances (s,) with `more` added.

        Satterthwaite 1946, eq. 17: (sum V)^2 / sum(V^2 / freedom); `more` is known as well as all rows
        together are.
        """
        own = np.maximum(self.size - 1, 1)
        doubt = (variances**2 / own).sum() + more**2 / own.sum()
        return float((variances.sum() + more) ** 2 / doubt)


def student_quantile(freedom: float, probability: float) -> float:
    """Quantile of Student's t; scipy.special would take longer to import than a bootstrap to run.

    Cornish and Fisher's expansion in 1 / freedom (Abramowitz & Stegun 26.7.5): within 1 % at 2 degrees
    of freedom, 0.1 % from 3 on for the 97.5 % point; below 1 it is cut at 1.
    """
    z = NormalDist().inv_cdf(probability)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / max(freedom, 1.0) ** power for power, term in enumerate(terms))
