"""One temperature by log loss: sums over rows at a given temperature, and the next temperature to try.

With b = 1/T the loss of a row is `log sum_j q_j exp(b s_j) - b s_y - log q_y`, s its adjusted logits and q
the target prior. It is convex in b, its slope is `E[s] - s_y` and its curvature `Var[s]` under the
probabilities at b. Rows count q_y / n_y each, so the fit is for data whose classes come in the shares q,
whatever the shares of these rows (temperature scaling: Guo et al., 2017; weights: balanced log loss).

Nothing is kept of a row: a pass leaves five sums a class, which merge by addition.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Labels, PerClass

# Temperatures beyond these fit nothing: rows that are all right (0), or scores that tell nothing (infinity).
COLDEST, HOTTEST = 1e-3, 1e3
# Steps shrink quadratically: after one this small, relative to b, the next would be near the rounding.
TOLERANCE = 1e-5
BLOCK = 1 << 17  # elements at once: a few arrays of so many stay in the cache
LONGEST_STEP = 8.0  # b is at most multiplied or divided by this at once


def possible(
    adjusted: NDArray[np.float64], labels: Labels, log_target: PerClass
) -> NDArray[np.bool_]:
    """(n,) rows whose own class can be: others lose infinitely much at any temperature."""
    own = adjusted[np.arange(labels.size), labels]
    return np.asarray((own > -np.inf) & (log_target[labels] > -np.inf))


@dataclass(slots=True)
class LogLossSums:
    """The log loss at one inverse temperature and its derivatives, as sums over the rows of each class.

    Attributes:
        inverse: b = 1 / temperature, > 0.
        log_target: (k,) log of the target prior, -inf for a class that never occurs.
        support: (k,) rows that count.
        loss: (k,) sum of the log loss, in nats.
        slope: (k,) sum of its derivative by b.
        slope_squares: (k,) sum of the squares of those derivatives.
        curvature: (k,) sum of its second derivative.
    """

    inverse: float
    log_target: PerClass
    support: NDArray[np.int64] = field(init=False)
    loss: PerClass = field(init=False)
    slope: PerClass = field(init=False)
    slope_squares: PerClass = field(init=False)
    curvature: PerClass = field(init=False)

    def __post_init__(self) -> None:
        k = self.log_target.size
        self.support = np.zeros(k, np.int64)
        self.loss, self.slope, self.slope_squares, self.curvature = (np.zeros(k) for _ in range(4))

    def update(self, adjusted: NDArray[np.float64], labels: Labels) -> None:
        """Add labelled, possible rows: adjusted logits (n, k), -inf where a class is never predicted."""
        rows = max(1, BLOCK // self.log_target.size)
        for start in range(0, labels.size, rows):
            part = slice(start, start + rows)
            self._add(adjusted[part], labels[part])

    def _add(self, adjusted: NDArray[np.float64], labels: Labels) -> None:
        scores = adjusted - adjusted.max(axis=1, keepdims=True)
        exponents = self.inverse * scores
        exponents += self.log_target
        exponents -= exponents.max(axis=1, keepdims=True)
        own = (np.arange(labels.size), labels)
        own_exponent = exponents[own]
        weights = np.exp(exponents, out=exponents)
        total = weights.sum(axis=1)
        if scores.min() == -np.inf:  # 0 * -inf has no value: such a class is out of the means
            np.copyto(scores, 0.0, where=np.isneginf(scores))
        mean = np.einsum("ij,ij->i", weights, scores) / total
        squares = np.einsum("ij,ij,ij->i", weights, scores, scores) / total
        k, slope = self.log_target.size, mean - scores[own]
        self.support += np.bincount(labels, minlength=k)
        self.loss += np.bincount(labels, np.log(total) - own_exponent, k)
        self.slope += np.bincount(labels, slope, k)
        self.slope_squares += np.bincount(labels, slope**2, k)
        self.curvature += np.bincount(labels, np.maximum(squares - mean**2, 0.0), k)

    def merge(self, other: "LogLossSums") -> None:
        """Add another part's rows, summed at the same inverse temperature."""
        self.support += other.support
        self.loss += other.loss
        self.slope += other.slope
        self.slope_squares += other.slope_squares
        self.curvature += other.curvature

    def mean(self, sums: PerClass) -> float:
        """A sum per class as the mean over classes in the shares of the target, those without rows left out."""
        present = self.support > 0
        shares = np.exp(self.log_target[present])
        return float((shares * sums[present] / self.support[present]).sum() / shares.sum())

    def error_of_log(self) -> float | None:
        """Standard error of log T at the minimum, robust to a wrong model; None where the loss is flat.

        sqrt(variance of the mean slope) / (b * curvature): the variance adds over classes, within each from
        the spread of its rows; a class of one row, which shows none, enters with its square.
        """
        present = self.support > 0
        rows = self.support[present].astype(np.float64)
        shares = np.exp(self.log_target[present])
        squares, net = self.slope_squares[present], self.slope[present]
        spread = np.where(rows > 1, np.maximum(squares - net**2 / rows, 0.0), squares)
        variance = spread / (rows * np.maximum(rows - 1, 1))
        steep = self.inverse * self.mean(self.curvature)
        if steep <= 0:
            return None
        return float(np.sqrt((shares**2 * variance).sum()) / shares.sum() / steep)


@dataclass(slots=True)
class InverseSearch:
    """Newton's steps in log b towards the lowest log loss, kept inside what is known.

    Attributes:
        low: The minimum is above this.
        high: The minimum is below this.
    """

    low: float = 0.0
    high: float = np.inf

    def after(self, sums: LogLossSums) -> float | None:
        """The next inverse temperature to try; None where this one is the minimum, or an end of the range.

        The slope rises with b, so its sign says on which side the minimum is. A step past a point of the
        other side goes to the geometric middle instead.
        """
        b = sums.inverse
        slope = b * sums.mean(sums.slope)  # by log b, as is the bend
        bend = b * b * sums.mean(sums.curvature) + slope
        if slope == 0:
            return None
        if slope > 0:
            self.high = b
        else:
            self.low = b
        longest = np.log(LONGEST_STEP)
        step = -slope / bend if bend > 0 else -np.sign(slope) * longest
        tried = b * float(np.exp(np.clip(step, -longest, longest)))
        tried = min(max(tried, 1 / HOTTEST), 1 / COLDEST)
        if not self.low < tried < self.high and tried != b:
            tried = float(np.sqrt(self.low * self.high))
        return None if abs(tried / b - 1) <= TOLERANCE else tried
