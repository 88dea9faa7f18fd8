"""Macro F1 with an interval, from what each class has and what was predicted as it."""

import numpy as np
from numpy.typing import NDArray

from lacal.metrics.intervals import NOTHING, Interval, Rate, wilson
from lacal.metrics.moments import Moments


def macro_f1(labelled: Moments, predicted: Moments, present: NDArray[np.bool_], n: int) -> Rate:
    """Mean over the present classes of F1 = 2 tp / (rows of the class + predictions of the class).

    Equal to scikit-learn's `f1_score(average="macro", labels=present, zero_division=0)`: the classes are
    those with rows, so every F1 is defined; predictions of absent classes count as misses alone.

    The standard error is linearised over the rows, each class with one more row at the mean recall. A
    wrong row moves the F1 of its class and of the class it was predicted as; how often which pair occurs is
    not kept, so their covariance is taken at its upper bound (Cauchy and Schwarz).

    F1 of few rows is too low on average, because tp and the predictions rise together. The interval is
    Wilson's around the F1 less that bias (second-order Taylor), of as many rows as the standard error
    stands for, and wide enough to hold the F1 itself. Measured over 64 kinds of problem (3 to 300 classes, 3
    to 30 rows a class or falling from 100 to 2) it covers 96 % on average and 92 % at worst; without the
    correction 32 % at worst, at 300 classes of 3 rows.

    Args:
        labelled: By the class of a row, z = 1 where it is wrong.
        predicted: By the class it was predicted as.
        present: (k,) the classes to average over.
        n: Their rows.
    """
    k = int(np.count_nonzero(present))
    if not k:
        return NOTHING
    labelled, predicted = labelled.only(present), predicted.only(present)
    size, hits = labelled.weight + predicted.weight, labelled.weight - labelled.total
    value = float((2 * hits / size).mean())

    row = labelled.squared_weight / labelled.weight  # the weight of one more row
    recall = float((hits / labelled.weight).mean())
    near = 2 * (hits + row * recall) / (size + 2 * row)
    more = row**2 * np.array([[recall], [1 - recall], [1 - recall]])
    squares = np.array([labelled.squared_weight - labelled.squared_total,
                        labelled.squared_total, predicted.squared_total])  # fmt: skip
    right, missed, taken = (squares + more) * labelled.effective / (labelled.effective + 1)
    own, other = ((near / size) ** 2 @ one for one in (missed, taken))
    variance = float(((2 - 2 * near) / size) ** 2 @ right + (np.sqrt(own) + np.sqrt(other)) ** 2)

    smooth = (hits + row * recall) / (labelled.weight + row)
    bias = (near - 2) * labelled.squared_weight * smooth * (1 - smooth) + near * squares[2]
    unbiased = float(np.clip(value - (bias / size**2).mean(), 0.0, 1.0))
    fewest = k**2 / float((1 / labelled.effective).sum())
    low, high = _interval(unbiased, variance / k**2, fewest)
    return Rate(value, float(np.sqrt(variance)) / k, n, k, min(low, value), max(high, value))


def _interval(mean: float, variance: float, fewest: float) -> Interval:
    """Wilson's, of as many rows as the variance stands for; of `fewest` where it stands for none."""
    return wilson(mean, mean * (1 - mean) / variance if variance > 0 and 0 < mean < 1 else fewest)
