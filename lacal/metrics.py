"""Errors and their uncertainty, as accumulators of counts and pure functions of them.

A class without rows has no error: it is counted and left out of every mean, never 0. A group without
rows is None. Balanced error is the mean over present classes of the per-class error, as scikit-learn's
`1 - balanced_accuracy_score`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacal.batch import NO_LABEL, Labels, PerClass
from lacal.prior import Groups

NORMAL_95 = 1.959963984540054  # two-sided 95 % of the normal distribution


@dataclass(frozen=True, slots=True)
class Rate:
    """An error in [0, 1] with its standard error and the number of rows behind it.

    Attributes:
        value: None where there are no rows.
        standard_error: None where there are no rows to tell.
        n: Labelled rows.
        classes: Classes with rows.
    """

    value: float | None
    standard_error: float | None
    n: int
    classes: int


@dataclass(slots=True)
class ClassTally:
    """Rows and errors per class; merges by addition.

    Attributes:
        support: (k,) labelled rows of each class.
        errors: (k,) those of them that were predicted as another class.
    """

    support: NDArray[np.int64]
    errors: NDArray[np.int64]

    @classmethod
    def empty(cls, classes: int) -> "ClassTally":
        """No rows yet."""
        return cls(np.zeros(classes, np.int64), np.zeros(classes, np.int64))

    def update(self, labels: Labels | None, predictions: Labels) -> None:
        """Add rows; those without a label do not count."""
        if labels is None:
            return
        known = labels != NO_LABEL
        labels, wrong = labels[known], (labels != predictions)[known]
        self.support += np.bincount(labels, minlength=self.support.size)
        self.errors += np.bincount(labels[wrong], minlength=self.support.size)

    def merge(self, other: "ClassTally") -> None:
        """Add another part's rows."""
        self.support += other.support
        self.errors += other.errors

    @property
    def absent(self) -> NDArray[np.int64]:
        """Classes without a labelled row."""
        return np.flatnonzero(self.support == 0)

    def class_errors(self) -> PerClass:
        """(k,) error of each class, NaN where absent."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.errors / self.support, np.float64)

    def balanced(self, mask: NDArray[np.bool_] | None = None) -> Rate:
        """Mean over present classes of the class errors, in all classes or the masked group.

        Standard error: sqrt(sum_y p_y (1 - p_y) / (n_y - 1)) / classes; a class of one row, which
        shows no spread of its own, borrows p (1 - p) of the mean error.
        """
        present = self.support > 0 if mask is None else (self.support > 0) & mask
        n, k = int(self.support[present].sum()), int(np.count_nonzero(present))
        if not k:
            return Rate(None, None, 0, 0)
        rows = self.support[present].astype(np.float64)
        p = self.errors[present] / rows
        mean = float(p.mean())
        variance = np.where(rows > 1, p * (1 - p) / np.maximum(rows - 1, 1), mean * (1 - mean))
        return Rate(mean, float(np.sqrt(variance.sum()) / k), n, k)

    def micro(self) -> Rate:
        """Share of rows that are wrong, whatever their class."""
        n, k = int(self.support.sum()), int(np.count_nonzero(self.support))
        if not n:
            return Rate(None, None, 0, 0)
        p = float(self.errors.sum() / n)
        spread = float(np.sqrt(p * (1 - p) / (n - 1))) if n > 1 else None
        return Rate(p, spread, n, k)

    def of_class(self, index: int) -> Rate:
        """Error of one class."""
        n = int(self.support[index])
        if not n:
            return Rate(None, None, 0, 0)
        p = float(self.errors[index] / n)
        return Rate(p, float(np.sqrt(p * (1 - p) / (n - 1))) if n > 1 else None, n, 1)

    def by_group(self, groups: Groups) -> dict[str, Rate]:
        """Balanced error within each group."""
        return {name: self.balanced(mask) for name, mask in groups.masks.items()}


@dataclass(frozen=True, slots=True)
class Gain:
    """Fall of the balanced error on the same rows, with its standard error and 95 % interval."""

    value: float
    standard_error: float
    low: float
    high: float


@dataclass(slots=True)
class PairedTally:
    """What an adjustment mended and what it broke, per class; merges by addition.

    Attributes:
        support: (k,) labelled rows of each class.
        mended: (k,) rows wrong before and right after.
        broken: (k,) rows right before and wrong after.
    """

    support: NDArray[np.int64]
    mended: NDArray[np.int64]
    broken: NDArray[np.int64]

    @classmethod
    def empty(cls, classes: int) -> "PairedTally":
        """No rows yet."""
        return cls(*(np.zeros(classes, np.int64) for _ in range(3)))

    def update(self, labels: Labels | None, before: Labels, after: Labels) -> None:
        """Add rows; those without a label do not count."""
        if labels is None:
            return
        known = labels != NO_LABEL
        labels, was, now = labels[known], (before == labels)[known], (after == labels)[known]
        k = self.support.size
        self.support += np.bincount(labels, minlength=k)
        self.mended += np.bincount(labels[now & ~was], minlength=k)
        self.broken += np.bincount(labels[was & ~now], minlength=k)

    def merge(self, other: "PairedTally") -> None:
        """Add another part's rows."""
        self.support += other.support
        self.mended += other.mended
        self.broken += other.broken

    def gain(self) -> Gain | None:
        """Fall of the balanced error, paired and stratified by class; None without labelled rows.

        Per class the variance over its rows of (right after - right before), over (n_y - 1), summed,
        rooted, divided by the number of classes; a class of one row enters with its square.
        """
        present = self.support > 0
        if not present.any():
            return None
        rows = self.support[present].astype(np.float64)
        net = (self.mended - self.broken)[present]
        squares = (self.mended + self.broken)[present]
        spread = np.where(rows > 1, squares - net**2 / rows, squares)
        variance = spread / (rows * np.maximum(rows - 1, 1))
        value = float((net / rows).mean())
        error = float(np.sqrt(variance.sum()) / rows.size)
        return Gain(value, error, value - NORMAL_95 * error, value + NORMAL_95 * error)
