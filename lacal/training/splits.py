"""Cutting a validation split off the training data: stratified, by the seed alone."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Labels
from lacal.errors import UsageError

Rows = NDArray[np.int64]


def shuffled_by_class(labels: Labels, generator: np.random.Generator) -> tuple[Rows, Rows]:
    """All row numbers, class after class and at random within each, and the rank of each within its class."""
    shuffled = generator.permutation(labels.size)
    # Stable: within a class the rows keep the order of the shuffle.
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    counts = np.bincount(labels)
    rank = np.arange(labels.size) - np.repeat(np.cumsum(counts) - counts, counts)
    return by_class, rank


def stratified(labels: Labels, fraction: float, seed: Any) -> tuple[Rows, Rows]:
    """Row numbers of the training and of the validation split, each ascending.

    Of a class of n examples `fraction * n`, rounded, go to validation: at least one where there are two, and
    never all. A class of a single example stays in training.

    Args:
        labels: (n,) in 0..k-1.
        fraction: Above 0 and below 1.
        seed: Of the draws, as NumPy takes it.

    Raises:
        UsageError: The fraction is out of its range.
    """
    if not 0 < fraction < 1:
        raise UsageError(
            f"--val-fraction: got {fraction:g}, expected a number above 0 and below 1, such as 0.1"
        )
    counts = np.bincount(labels)
    wanted = np.floor(fraction * counts + 0.5).astype(np.int64)
    wanted = np.minimum(np.maximum(wanted, 1), np.maximum(counts - 1, 0))
    rows, rank = shuffled_by_class(labels, np.random.default_rng(seed))
    chosen = rank < np.repeat(wanted, counts)
    return np.sort(rows[~chosen]), np.sort(rows[chosen])
