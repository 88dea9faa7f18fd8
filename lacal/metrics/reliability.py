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
        bins: Number of bins.
        rows: (k, bins) labelled rows.
        confidence: (k, bins) sum of weight * confidence.
        right: (k * bins) sums of the weights, z being 1 where the row is right.
        gaps: (k * bins) sums of the weights, z being right - confidence.
    """

    bins: int
    rows: NDArray[np.int64]
    confidence: NDArray[np.float64]
    right: Moments
    gaps: Moments

    @classmethod
    def empty(cls, classes: int, bins: int = BINS) -> "TopLabelBins":
        """No rows yet."""
        shape, cells = (classes, bins), classes * bins
        return cls(bins, np.zeros(shape, np.int64), np.zeros(shape),
                   Moments.empty(cells), Moments.empty(cells))  # fmt: skip

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
        self.rows += np.bincount(cell, minlength=self.rows.size).reshape(self.rows.shape)
        weighty = confidence if weights is None else weights * confidence
        self.confidence += np.bincount(cell, weighty, self.rows.size).reshape(self.rows.shape)
        self.right.add(cell, right, weights)
        self.gaps.add(cell, right - confidence, weights)

    def merge(self, other: "TopLabelBins") -> None:
        """Add another part's rows."""
        self.rows += other.rows
        self.confidence += other.confidence
        self.right.merge(other.right)
        self.gaps.merge(other.gaps)

    def _factor(self, mask: Mask | None, class_weights: PerClass | None) -> PerClass:
        """(k,) what the rows of each class count."""
        factor = np.ones(self.rows.shape[0]) if mask is None else mask.astype(np.float64)
        if class_weights is None:
            return factor
        total = self.right.shaped(*self.rows.shape).weight.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(total > 0, factor * class_weights / total, 0.0)

    def error(
        self, mask: Mask | None = None, class_weights: PerClass | None = None
    ) -> CalibrationError:
        """Calibration error of the top label.

        Args:
            mask: (k,) classes of the labels to look at; None for all.
            class_weights: (k,) share of each class in the whole, whatever its number of rows; None takes the
                rows as they come.
        """
        factor = self._factor(mask, class_weights)
        gaps = self.gaps.shaped(*self.rows.shape).pooled(factor)
        with np.errstate(divide="ignore", invalid="ignore"):
            confidence = factor @ self.confidence / gaps.weight
        return calibration_error(gaps, self.rows[factor > 0].sum(axis=0), confidence, self.bins)

    def diagram(self, mask: Mask | None = None, class_weights: PerClass | None = None) -> Diagram:
        """Confidence against accuracy, of the same rows as `error`."""
        factor = self._factor(mask, class_weights)
        right = self.right.shaped(*self.rows.shape).pooled(factor)
        accuracy, rows, ones = right.means, right.effective, right.effective_ones
        with np.errstate(divide="ignore", invalid="ignore"):
            confidence = factor @ self.confidence / right.weight
        ends = np.full((2, self.bins), np.nan)
        for at in np.flatnonzero(rows > 0):
            share = float(np.clip(accuracy[at], 0.0, 1.0))
            same = effective_rows(share, float(rows[at]), float(ones[at]))
            ends[:, at] = wilson(share, same)
        n = self.rows[factor > 0].sum(axis=0)
        return Diagram(bin_edges(self.bins), confidence, accuracy, ends[0], ends[1], n)
