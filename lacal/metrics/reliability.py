"""Calibration of the confidence in the predicted class: reliability diagrams and calibration errors.

Bins are of equal width, closed above: confidence 0.2 of 5 bins falls into the first (Guo et al. 2017).
Sums are kept per class of the label, so that any class weights and any group are applied at the end; the
bins of a group hold the rows whose label is of the group.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Labels, PerClass, PerRow
from lacal.metrics.calibration_error import CalibrationError, calibration_error
from lacal.metrics.cells import CellSums
from lacal.metrics.intervals import effective_rows, wilson
from lacal.metrics.moments import Moments, counted

BINS = 15
PerBin = NDArray[np.float64]
Mask = NDArray[np.bool_]


def bin_edges(bins: int) -> PerBin:
    """(bins + 1,) from 0 to 1."""
    return np.linspace(0.0, 1.0, bins + 1)


def bin_of(values: NDArray[np.floating], bins: int) -> NDArray[np.int64]:
    """Bin of each probability, 0..bins-1; an inner edge belongs to the bin below it."""
    return np.searchsorted(bin_edges(bins)[1:-1], values, side="left").astype(np.int64)


@dataclass(frozen=True, slots=True)
class Diagram:
    """A reliability diagram.

    Attributes:
        edges: (bins + 1,) of the confidence.
        confidence: (bins,) mean confidence, NaN where empty.
        accuracy: (bins,) share that is right, NaN where empty.
        low: (bins,) lower end of its 95 % interval (Wilson), NaN where empty.
        high: (bins,) upper end.
        n: (bins,) rows.
    """

    edges: PerBin
    confidence: PerBin
    accuracy: PerBin
    low: PerBin
    high: PerBin
    n: NDArray[np.int64]


@dataclass(slots=True)
class TopLabelBins:
    """Rows by class of the label and bin of the confidence; merges by addition.

    Attributes:
        classes: k.
        bins: Number of bins.
    """

    classes: int
    bins: int
    # Of each cell: rows, and with w the weight, z 1 where a row is right and g = z - confidence, the sums of
    # w, w^2, w z, w^2 z, w confidence, w g, w^2 g, w^2 g^2.
    _cells: CellSums

    @classmethod
    def empty(cls, classes: int, bins: int = BINS) -> "TopLabelBins":
        """No rows yet."""
        return cls(classes, bins, CellSums(classes * bins, 9))

    def update(
        self, confidence: PerRow, correct: Mask, labels: Labels, weights: PerRow | None = None
    ) -> None:
        """Add rows; those without a label or of weight 0 do not count.

        Args:
            confidence: (n,) probability of the predicted class.
            correct: (n,) whether it is the label.
            labels: (n,).
            weights: (n,) >= 0.
        """
        rows = counted(labels, weights)
        if rows is not None:
            confidence, correct, labels = confidence[rows], correct[rows], labels[rows]
            weights = None if weights is None else weights[rows]
        confidence = confidence.astype(np.float64, copy=False)
        cell = labels * self.bins + bin_of(confidence, self.bins)
        right = correct.astype(np.float64)
        gap = right - confidence
        if weights is None:
            self._cells.add(cell, 1.0, 1.0, 1.0, right, right, confidence, gap, gap, gap**2)
            return
        two = weights**2
        sums = (weights * right, two * right, weights * confidence)
        gaps = (weights * gap, two * gap, (weights * gap) ** 2)
        self._cells.add(cell, 1.0, weights, two, *sums, *gaps)

    def merge(self, other: "TopLabelBins") -> None:
        """Add another part's rows."""
        self._cells.merge(other._cells)

    @property
    def rows(self) -> NDArray[np.int64]:
        """(k, bins) labelled rows."""
        rows = self._cells.dense()[0].reshape(self.classes, self.bins)
        return np.asarray(rows, np.int64)

    def _pooled(self, mask: Mask | None, class_weights: PerClass | None) -> "_Pooled":
        """The sums of every bin over the classes, whose rows count what the arguments of `error` say."""
        cells, sums = self._cells.result()
        of_class, of_bin = np.divmod(cells, self.bins)
        factor = np.ones(self.classes) if mask is None else mask.astype(np.float64)
        if class_weights is not None:
            total = np.bincount(of_class, sums[1], self.classes)
            with np.errstate(divide="ignore", invalid="ignore"):
                factor = np.where(total > 0, factor * class_weights / total, 0.0)
        one = factor[of_class]
        powers = (one > 0, one, one**2, one, one**2, one, one, one**2, one**2)
        n, w, ww, wz, wwz, wc, wg, wwg, wwgg = (
            np.asarray(np.bincount(of_bin, power * summed, self.bins), np.float64)
            for power, summed in zip(powers, sums, strict=True)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            confidence = wc / w
        right, gaps = Moments(w, ww, wz, wwz, wwz), Moments(w, ww, wg, wwg, wwgg)
        return _Pooled(n.astype(np.int64), confidence, right, gaps)

    def error(
        self, mask: Mask | None = None, class_weights: PerClass | None = None
    ) -> CalibrationError:
        """Calibration error of the top label.

        Args:
            mask: (k,) classes of the labels to look at; None for all.
            class_weights: (k,) share of each class in the whole, whatever its number of rows; None takes the
                rows as they come.
        """
        found = self._pooled(mask, class_weights)
        return calibration_error(found.gaps, found.rows, found.confidence, self.bins)

    def diagram(self, mask: Mask | None = None, class_weights: PerClass | None = None) -> Diagram:
        """Confidence against accuracy, of the same rows as `error`."""
        found = self._pooled(mask, class_weights)
        right = found.right
        accuracy, rows, ones = right.means, right.effective, right.effective_ones
        ends = np.full((2, self.bins), np.nan)
        for at in np.flatnonzero(rows > 0):
            share = float(np.clip(accuracy[at], 0.0, 1.0))
            same = effective_rows(share, float(rows[at]), float(ones[at]))
            ends[:, at] = wilson(share, same)
        edges = bin_edges(self.bins)
        return Diagram(edges, found.confidence, accuracy, ends[0], ends[1], found.rows)


@dataclass(frozen=True, slots=True)
class _Pooled:
    """Sums of every bin: rows (bins,), mean confidence (bins,), moments of right and of right - confidence."""

    rows: NDArray[np.int64]
    confidence: PerBin
    right: Moments
    gaps: Moments
