"""Weighted sums per cell, from which means and their standard errors are taken at the end.

A cell is a class, or a bin of a class. Rows carry a weight w, 1 where none is given, and a value z. The
mean is the ratio sum(w z) / sum(w); its variance is linearised (Cochran 1977, Sampling Techniques, 6.4):
sum(w^2 (z - mean)^2) / sum(w)^2, over 1 - sum(w^2) / sum(w)^2, which for equal weights is the sample
variance over n. Nothing changes when all weights are multiplied by one number.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.batch import NO_LABEL, Labels, PerRow

Cells = NDArray[np.float64]

# Probabilities at once: half a MiB of float64, so that the work arrays stay in cache
TILE = 1 << 16
_SQUARED = ("squared_weight", "squared_total", "squared_square")


@dataclass(slots=True)
class Moments:
    """Sums over the rows of each cell; merges by addition.

    Attributes:
        weight: Sum of w.
        squared_weight: Sum of w^2.
        total: Sum of w z.
        squared_total: Sum of w^2 z.
        squared_square: Sum of w^2 z^2.
    """

    weight: Cells
    squared_weight: Cells
    total: Cells
    squared_total: Cells
    squared_square: Cells

    @classmethod
    def empty(cls, cells: int) -> "Moments":
        """No rows yet."""
        return cls(*(np.zeros(cells) for _ in fields(cls)))

    @classmethod
    def of_counts(cls, rows: NDArray[np.int64], ones: NDArray[np.int64]) -> "Moments":
        """Cells of `rows` unweighted rows, of which `ones` have the value 1 and the others 0."""
        weight, total = rows.astype(np.float64), ones.astype(np.float64)
        return cls(weight, weight.copy(), total, total.copy(), total.copy())

    def add(self, cell: NDArray[np.int64], values: PerRow, weights: PerRow | None) -> None:
        """Add rows: the cell of each, its value, its weight."""
        cells = self.weight.size
        if weights is None:
            rows = np.bincount(cell, minlength=cells)
            self.weight += rows
            self.squared_weight += rows
            total = np.bincount(cell, values, cells)
            self.total += total
            self.squared_total += total
            self.squared_square += np.bincount(cell, values**2, cells)
            return
        self.weight += np.bincount(cell, weights, cells)
        self.squared_weight += np.bincount(cell, weights**2, cells)
        self.total += np.bincount(cell, weights * values, cells)
        self.squared_total += np.bincount(cell, weights**2 * values, cells)
        self.squared_square += np.bincount(cell, (weights * values) ** 2, cells)

    def merge(self, other: "Moments") -> None:
        """Add another part's rows."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    def pooled(self, factor: Cells | None = None) -> "Moments":
        """Cells (g, ...) summed over the first axis, every weight of cell g times `factor` (g,).

        Cells (g,) come out as one cell.
        """
        factor = np.ones(self.weight.shape[0]) if factor is None else factor
        pooled = {
            one.name: np.atleast_1d(
                np.tensordot(
                    factor ** (2 if one.name in _SQUARED else 1), getattr(self, one.name), 1
                )
            )
            for one in fields(self)
        }
        return Moments(**pooled)

    def only(self, cells: NDArray[Any]) -> "Moments":
        """The sums of some cells: a mask or numbers."""
        return Moments(*(getattr(self, one.name)[cells] for one in fields(self)))

    @property
    def means(self) -> Cells:
        """Weighted mean of each cell, NaN where it has no rows."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.total / self.weight, np.float64)

    @property
    def effective(self) -> Cells:
        """Kish's effective number of rows, sum(w)^2 / sum(w^2): n for equal weights, 0 for no rows."""
        with np.errstate(invalid="ignore", divide="ignore"):
            rows = self.weight**2 / self.squared_weight
        return np.where(self.squared_weight > 0, rows, 0.0)

    @property
    def effective_ones(self) -> Cells:
        """For values of 0 and 1: how many of the effective rows are 1 by squared weight."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.squared_total / self.squared_weight * self.effective, np.float64)

    @property
    def variances(self) -> Cells:
        """Variance of each cell's mean, NaN where fewer than two rows tell of it."""
        means, rows = self.means, self.effective
        with np.errstate(invalid="ignore", divide="ignore"):
            around = self.squared_square - 2 * means * self.squared_total
            around = np.maximum(around + means**2 * self.squared_weight, 0.0) / self.weight**2
            return np.where(rows > 1 + 1e-9, around / (1 - 1 / rows), np.nan)


def counted(labels: Labels, weights: PerRow | None) -> NDArray[np.bool_] | None:
    """Which rows count, those with a label and a weight above 0; None where all do."""
    rows = labels != NO_LABEL
    if weights is not None:
        rows &= weights > 0
    return None if rows.all() else rows


def tiles(rows: int, classes: int) -> Iterator[slice]:
    """The rows in pieces that stay in cache."""
    step = max(1, TILE // classes)
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))
