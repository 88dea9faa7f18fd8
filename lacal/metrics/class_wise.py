"""Calibration of every class's probability, in memory of classes x bins.

In a row at most `bins` probabilities exceed 1 / bins, so only those are binned one by one; the first bin is
what they leave of the column sums.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Labels, PerRow
from lacal.metrics.calibration_error import CalibrationError, calibration_error
from lacal.metrics.moments import Moments, counted, tiles
from lacal.metrics.reliability import BINS, bin_edges, bin_of

Mask = NDArray[np.bool_]


@dataclass(slots=True)
class ClassWiseBins:
    """Every row in one bin of every class, by its probability; merges by addition.

    Attributes:
        bins: Number of bins.
        rows: (k, bins) rows.
        labelled: (k,) rows of the class.
        right: (k, bins) weight of the rows of the class.
        gaps: (k, bins) sums of the weights, z being (label is the class) - probability.
    """

    bins: int
    rows: NDArray[np.int64]
    labelled: NDArray[np.int64]
    right: NDArray[np.float64]
    gaps: Moments

    @classmethod
    def empty(cls, classes: int, bins: int = BINS) -> "ClassWiseBins":
        """No rows yet."""
        gaps = Moments.empty(classes * bins).shaped(classes, bins)
        rows, right = np.zeros((classes, bins), np.int64), np.zeros((classes, bins))
        return cls(bins, rows, np.zeros(classes, np.int64), right, gaps)

    def update(
        self, probabilities: NDArray[np.floating], labels: Labels, weights: PerRow | None = None
    ) -> None:
        """Add rows (n, k); those without a label or of weight 0 do not count."""
        rows = counted(labels, weights)
        if rows is not None:
            probabilities, labels = probabilities[rows], labels[rows]
            weights = None if weights is None else weights[rows]
        one = np.ones(labels.size) if weights is None else weights
        two = one if weights is None else one**2
        # First as if every row lay in the first bin of every class; then those that do not are moved. What is
        # left of weights of very unequal size would be rounding alone: those are summed where they lie.
        rows_, columns, values, edge = [], [], [], bin_edges(self.bins)[1]
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
            row = np.concatenate(rows_)
            column, value = np.concatenate(columns), -np.concatenate(values)
            self._move(column, value, one[row], two[row], out_of_first=weights is None)
        self.rows[:, 0] += labels.size
        self.labelled += np.bincount(labels, minlength=self.labelled.size)
        own = probabilities[np.arange(labels.size), labels].astype(np.float64)
        self._label(labels * self.bins + bin_of(own, self.bins), own, one, two)

    def _sum_columns(self, tile: NDArray[np.float64]) -> None:
        """Count every row into the first bins, as if no row had a label."""
        gaps, total = self.gaps, np.einsum("ij->j", tile)
        gaps.weight[:, 0] += tile.shape[0]
        gaps.squared_weight[:, 0] += tile.shape[0]
        gaps.total[:, 0] -= total
        gaps.squared_total[:, 0] -= total
        gaps.squared_square[:, 0] += np.einsum("ij,ij->j", tile, tile)

    def _sum_low(self, tile: NDArray[np.float64], weights: PerRow, edge: float) -> None:
        """Count the weighted rows that lie in the first bins, as if no row had a label."""
        # Not `weights @ tile`: BLAS wakes its threads for every tile, and they spin for longer than it takes.
        gaps, two, low = self.gaps, weights**2, tile <= edge
        kept = tile * low
        gaps.weight[:, 0] += np.einsum("i,ij->j", weights, low)
        gaps.squared_weight[:, 0] += np.einsum("i,ij->j", two, low)
        gaps.total[:, 0] -= np.einsum("i,ij->j", weights, kept)
        gaps.squared_total[:, 0] -= np.einsum("i,ij->j", two, kept)
        gaps.squared_square[:, 0] += np.einsum("i,ij->j", two, kept * kept)

    def _move(
        self,
        column: NDArray[np.int64],
        value: PerRow,
        one: PerRow,
        two: PerRow,
        *,
        out_of_first: bool,
    ) -> None:
        """Values -p of rows where they belong, out of the first bins if they were counted there."""
        k, gaps = self.labelled.size, self.gaps
        cell = column * self.bins + bin_of(-value, self.bins)
        self.rows += self._counts(cell)
        self.rows[:, 0] -= np.bincount(column, minlength=k)
        for sums, what in (
            (gaps.weight, one),
            (gaps.squared_weight, two),
            (gaps.total, one * value),
            (gaps.squared_total, two * value),
            (gaps.squared_square, two * value**2),
        ):
            sums += self._counts(cell, what)
            if out_of_first:
                sums[:, 0] -= np.bincount(column, what, k)

    def _label(self, cell: NDArray[np.int64], own: PerRow, one: PerRow, two: PerRow) -> None:
        """The rows' own classes: z = 1 - p and not -p."""
        self.right += self._counts(cell, one)
        self.gaps.total += self._counts(cell, one)
        self.gaps.squared_total += self._counts(cell, two)
        self.gaps.squared_square += self._counts(cell, two * (1 - 2 * own))

    def _counts(self, cell: NDArray[np.int64], weights: PerRow | None = None) -> NDArray[np.int64]:
        """(k, bins) rows, or their weights, in each cell."""
        return np.bincount(cell, weights, self.rows.size).reshape(self.rows.shape)

    def merge(self, other: "ClassWiseBins") -> None:
        """Add another part's rows."""
        self.rows += other.rows
        self.labelled += other.labelled
        self.right += other.right
        self.gaps.merge(other.gaps)

    def error(self, classes: Mask | None = None) -> CalibrationError:
        """Mean over the classes with rows, of all or of the masked ones, of each one's calibration error.

        Source: Kull et al. 2019 (NeurIPS, class-wise ECE), who average over all classes; a class without
        rows would come out as well calibrated because it is never seen.
        """
        present = self.labelled > 0 if classes is None else (self.labelled > 0) & classes
        gaps, n = self.gaps.only(present), int(self.rows[0].sum())
        with np.errstate(divide="ignore", invalid="ignore"):
            probability = (self.right[present] - gaps.total) / gaps.weight
        return calibration_error(gaps, self.rows[present], probability, self.bins, n)
