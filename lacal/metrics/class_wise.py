"""Calibration of every class's probability, in memory of the classes and of the bins that have rows.

In a row at most `bins` probabilities exceed 1 / bins, so only those are binned one by one; the first bin is
what they leave of the column sums.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Labels, PerRow
from lacal.metrics.calibration_error import CalibrationError, calibration_error
from lacal.metrics.cells import CellSums
from lacal.metrics.moments import Moments, counted, tiles
from lacal.metrics.reliability import BINS, bin_edges, bin_of

Mask = NDArray[np.bool_]


@dataclass(slots=True)
class ClassWiseBins:
    """Every row in one bin of every class, by its probability; merges by addition.

    Attributes:
        bins: Number of bins.
        n: Rows.
        labelled: (k,) rows of the class.
        moved: (k,) rows that do not lie in the first bin.
        low: (k,) sums of the weights in the first bins, z being -probability, as if no row had a label.
    """

    bins: int
    n: int
    labelled: NDArray[np.int64]
    moved: NDArray[np.int64]
    low: Moments
    # What comes to that. Of each cell: rows but for those of the first bin, and the sums of w (label is the
    # class), w, w^2, w z, w^2 z, w^2 z^2.
    _cells: CellSums

    @classmethod
    def empty(cls, classes: int, bins: int = BINS) -> "ClassWiseBins":
        """No rows yet."""
        labelled, moved = np.zeros((2, classes), np.int64)
        return cls(bins, 0, labelled, moved, Moments.empty(classes), CellSums(classes * bins, 7))

    def update(
        self, probabilities: NDArray[np.floating], labels: Labels, weights: PerRow | None = None
    ) -> None:
        """Add rows (n, k); those without a label or of weight 0 do not count."""
        rows = counted(labels, weights)
        if rows is not None:
            probabilities, labels = probabilities[rows], labels[rows]
            weights = None if weights is None else weights[rows]
        # First as if every row lay in the first bin of every class; then those that do not are moved. What is
        # left of weights of very unequal size would be rounding alone: those are summed where they lie.
        edge, rows_, columns, values = bin_edges(self.bins)[1], [], [], []
        for part in tiles(*probabilities.shape):
            tile = probabilities[part].astype(np.float64, copy=False)
            if weights is None:
                self._sum_columns(tile)
            else:
                self._sum_low(tile, weights[part], edge)
            flat = tile.reshape(-1)
            high = np.flatnonzero(flat > edge)
            row, column = np.divmod(high, tile.shape[1])
            rows_.append(row + part.start)
            columns.append(column)
            values.append(flat[high])
        if rows_:
            row, column = np.concatenate(rows_), np.concatenate(columns)
            self._move(column, np.concatenate(values), None if weights is None else weights[row])
        self.n += labels.size
        self.labelled += np.bincount(labels, minlength=self.labelled.size)
        own = probabilities[np.arange(labels.size), labels].astype(np.float64)
        self._label(labels, own, weights)

    def _sum_columns(self, tile: NDArray[np.float64]) -> None:
        """Count every row into the first bins, as if no row had a label."""
        low, total = self.low, np.einsum("ij->j", tile)
        low.weight += tile.shape[0]
        low.squared_weight += tile.shape[0]
        low.total -= total
        low.squared_total -= total
        low.squared_square += np.einsum("ij,ij->j", tile, tile)

    def _sum_low(self, tile: NDArray[np.float64], weights: PerRow, edge: float) -> None:
        """Count the weighted rows that lie in the first bins, as if no row had a label."""
        # Not `weights @ tile`: BLAS wakes its threads for every tile, and they spin for longer than it takes.
        low, two, inside = self.low, weights**2, tile <= edge
        kept = tile * inside
        low.weight += np.einsum("i,ij->j", weights, inside)
        low.squared_weight += np.einsum("i,ij->j", two, inside)
        low.total -= np.einsum("i,ij->j", weights, kept)
        low.squared_total -= np.einsum("i,ij->j", two, kept)
        low.squared_square += np.einsum("i,ij->j", two, kept * kept)

    def _move(self, column: NDArray[np.int64], probability: PerRow, weights: PerRow | None) -> None:
        """Count probabilities where they belong, and out of the first bins if they were counted there."""
        cell, k = column * self.bins + bin_of(probability, self.bins), self.labelled.size
        value, moved = -probability, np.bincount(column, minlength=k)
        self.moved += moved
        if weights is not None:
            one, two = weights, weights**2
            self._cells.add(cell, 1.0, 0.0, one, two, one * value, two * value, two * value**2)
            return
        squares = value**2
        self._cells.add(cell, 1.0, 0.0, 1.0, 1.0, value, value, squares)
        low, total = self.low, np.bincount(column, value, k)
        low.weight -= moved
        low.squared_weight -= moved
        low.total -= total
        low.squared_total -= total
        low.squared_square -= np.bincount(column, squares, k)

    def _label(self, labels: Labels, own: PerRow, weights: PerRow | None) -> None:
        """The rows' own classes: z = 1 - p and not -p."""
        cell = labels * self.bins + bin_of(own, self.bins)
        if weights is None:
            self._cells.add(cell, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1 - 2 * own)
        else:
            two = weights**2
            self._cells.add(cell, 0.0, weights, 0.0, 0.0, weights, two, two * (1 - 2 * own))

    def merge(self, other: "ClassWiseBins") -> None:
        """Add another part's rows."""
        self.n += other.n
        self.labelled += other.labelled
        self.moved += other.moved
        self.low.merge(other.low)
        self._cells.merge(other._cells)

    @property
    def rows(self) -> NDArray[np.int64]:
        """(k, bins) rows."""
        rows = self._cells.dense()[0].reshape(-1, self.bins)
        rows[:, 0] += self.n - self.moved
        return np.asarray(rows, np.int64)

    def error(self, classes: Mask | None = None) -> CalibrationError:
        """Mean over the classes with rows, of all or of the masked ones, of each one's calibration error.

        Source: Kull et al. 2019 (NeurIPS, class-wise ECE), who average over all classes; a class without
        rows would come out as well calibrated because it is never seen.
        """
        present = self.labelled > 0 if classes is None else (self.labelled > 0) & classes
        rows, right, *sums = self._cells.dense().reshape(-1, self.labelled.size, self.bins)[
            :, present
        ]
        rows[:, 0] += self.n - self.moved[present]
        gaps, low = Moments(*sums), self.low.only(present)
        for one in fields(gaps):
            getattr(gaps, one.name)[:, 0] += getattr(low, one.name)
        with np.errstate(divide="ignore", invalid="ignore"):
            probability = (right - gaps.total) / gaps.weight
        return calibration_error(gaps, rows.astype(np.int64), probability, self.bins, self.n)
