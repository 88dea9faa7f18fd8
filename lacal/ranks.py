"""Rank correlation: whether two numbers per class rise together."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def rank_correlation(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Spearman's, with average ranks for ties; 0 where one side is constant."""
    ranks = [_ranks(one) for one in (first, second)]
    spread = [float(one.std()) for one in ranks]
    if not all(spread):
        return 0.0
    centred = [one - one.mean() for one in ranks]
    return float((centred[0] * centred[1]).mean() / (spread[0] * spread[1]))


def _ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(sizes) - (sizes - 1) / 2)[group], np.float64)
