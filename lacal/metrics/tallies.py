"""Errors per class and their means, as an accumulator of counts.

A class without rows has no error: it is counted and left out of every mean, never 0. A group without
rows is None. Balanced error is the mean over present classes of the per-class error, as scikit-learn's
`1 - balanced_accuracy_score`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Labels, PerClass, PerRow
from lacal.metrics.f1 import macro_f1
from lacal.metrics.intervals import NOTHING, Interval, Rate, effective_rows, of_mean, wilson
from lacal.metrics.moments import Moments, counted
from lacal.metrics.worst import worst_recall

if TYPE_CHECKING:
    from lacal.classes.groups import Groups

Mask = NDArray[np.bool_]


@dataclass(slots=True)
class Weighted:
    """What weights add to the counts of a tally, z being 1 where a row is wrong.

    Attributes:
        labelled: By the class a row is of.
        predicted: By the class it was predicted as.
    """

    labelled: Moments
    predicted: Moments


@dataclass(slots=True)
class ClassTally:
    """Rows and errors per class; merges by addition.

    Attributes:
        support: (k,) labelled rows of each class.
        errors: (k,) those of them that were predicted as another class.
        predicted: (k,) labelled rows predicted as the class.
        weighted: Sums of the weights; None while no row had one.
    """

    support: NDArray[np.int64]
    errors: NDArray[np.int64]
    predicted: NDArray[np.int64]
    weighted: Weighted | None = None

    @classmethod
    def empty(cls, classes: int) -> "ClassTally":
        """No rows yet."""
        support, errors, predicted = np.zeros((3, classes), np.int64)
        return cls(support, errors, predicted)

    def update(
        self, labels: Labels | None, predictions: Labels, weights: PerRow | None = None
    ) -> None:
        """Add rows; those without a label or of weight 0 do not count."""
        if labels is None:
            return
        rows = counted(labels, weights)
        if rows is not None:
            labels, predictions = labels[rows], predictions[rows]
            weights = None if weights is None else weights[rows]
        k = self.support.size
        wrong = labels != predictions
        told = (predictions >= 0) & (predictions < k)  # a path knows that a row is wrong, not how
        if weights is not None or self.weighted is not None:
            sums, value = self.sums(), wrong.astype(np.float64)
            weights = np.ones(labels.size) if weights is None else weights
            sums.labelled.add(labels, value, weights)
            sums.predicted.add(predictions[told], value[told], weights[told])
            self.weighted = sums
        self.support += np.bincount(labels, minlength=k)
        self.errors += np.bincount(labels[wrong], minlength=k)
        self.predicted += np.bincount(predictions[told], minlength=k)

    def merge(self, other: "ClassTally") -> None:
        """Add another part's rows."""
        if self.weighted is not None or other.weighted is not None:
            sums, more = self.sums(), other.sums()
            sums.labelled.merge(more.labelled)
            sums.predicted.merge(more.predicted)
            self.weighted = sums
        self.support += other.support
        self.errors += other.errors
        self.predicted += other.predicted

    def sums(self) -> Weighted:
        """The sums of the weights; without weights, of as many ones as there are rows."""
        if self.weighted is not None:
            return self.weighted
        right = self.support - self.errors
        return Weighted(
            Moments.of_counts(self.support, self.errors),
            Moments.of_counts(self.predicted, self.predicted - right),
        )

    @property
    def absent(self) -> NDArray[np.int64]:
        """Classes without a labelled row."""
        return np.flatnonzero(self.support == 0)

    def class_errors(self) -> PerClass:
        """(k,) error of each class, NaN where absent."""
        if self.weighted is not None:
            return self.weighted.labelled.means
        with np.errstate(invalid="ignore"):
            return np.asarray(self.errors / self.support, np.float64)

    def recalls(self) -> PerClass:
        """(k,) recall of each class, 1 - its error, NaN where absent."""
        return 1.0 - self.class_errors()

    def balanced(self, mask: Mask | None = None) -> Rate:
        """Mean over present classes of the class errors, in all classes or the masked group.

        Standard error: sqrt(sum_y p_y (1 - p_y) / (n_y - 1)) / classes; a class of one row, which
        shows no spread of its own, borrows p (1 - p) of the mean error. The interval is `of_mean`'s.
        """
        present = self._present(mask)
        k = int(np.count_nonzero(present))
        return self._mean(present, np.full(k, 1.0 / k)) if k else NOTHING

    def under(self, prior: PerClass) -> Rate:
        """Error under a class prior (k,): sum_y q_y e_y over present classes, q renormalised over them."""
        present = self._present(prior > 0)
        shares = prior[present]
        return self._mean(present, shares / shares.sum()) if shares.size else NOTHING

    def _present(self, mask: Mask | None) -> Mask:
        return self.support > 0 if mask is None else (self.support > 0) & mask

    def _mean(self, present: Mask, shares: PerClass) -> Rate:
        """The error of the present classes, each with its share (classes,) of the whole."""
        sums, p = self.sums().labelled.only(present), self.class_errors()[present]
        n, k = int(self.support[present].sum()), p.size
        even = bool((shares == shares[0]).all())
        mean = float(p.mean()) if even else float(shares @ p)
        if self.weighted is None:
            rows = self.support[present].astype(np.float64)
            variance = np.where(rows > 1, p * (1 - p) / np.maximum(rows - 1, 1), mean * (1 - mean))
        else:
            own = sums.variances
            variance = np.where(np.isnan(own), mean * (1 - mean), own)
        error = np.sqrt(variance.sum()) / k if even else np.sqrt(shares**2 @ variance)
        low, high = of_mean(p, sums.effective, sums.effective_ones, shares)
        return Rate(mean, float(error), n, k, low, high)

    def micro(self) -> Rate:
        """Share of rows that are wrong, whatever their class; Wilson's interval."""
        k = int(np.count_nonzero(self.support))
        if self.weighted is not None:
            return _share(self.weighted.labelled.pooled(), int(self.support.sum()), k)
        return _share_of_counts(int(self.errors.sum()), int(self.support.sum()), k)

    def of_class(self, index: int) -> Rate:
        """Error of one class; Wilson's interval."""
        if self.weighted is not None:
            only = np.arange(self.support.size) == index
            return _share(self.weighted.labelled.only(only), int(self.support[index]), 1)
        return _share_of_counts(int(self.errors[index]), int(self.support[index]), 1)

    def by_group(self, groups: "Groups") -> dict[str, Rate]:
        """Balanced error within each group."""
        return {name: self.balanced(mask) for name, mask in groups.masks.items()}

    def macro_f1(self, mask: Mask | None = None) -> Rate:
        """Mean over classes with rows of F1 = 2 tp / (rows + predictions); see `f1.macro_f1`."""
        if self.predicted.sum() != self.support.sum():  # made without predictions
            return NOTHING
        sums = self.sums()
        present = self._present(mask)
        n = int(self.support[present].sum())
        return macro_f1(sums.labelled, sums.predicted, present, n)

    def worst_class(self) -> tuple[int, Rate] | None:
        """The class of lowest recall, the first of equals, and its recall; None without labelled rows.

        The interval is `worst.worst_recall`'s: of the lowest true recall, whichever class that is.
        """
        present = np.flatnonzero(self.support > 0)
        if not present.size:
            return None
        index = int(present[self.recalls()[present].argmin()])
        value, (low, high) = self._worst(present, 1)
        error = self.of_class(index).standard_error
        return index, Rate(value, error, int(self.support[index]), 1, low, high)

    def worst_recall(self, share: float = 0.1) -> Rate:
        """Mean recall of the worst ceil(share * present) classes, the share in 0..1.

        Choosing the classes by their recall makes it too low; the interval, `worst.worst_recall`'s, allows
        for that. There is no standard error: it would be that of classes chosen beforehand.
        """
        present = np.flatnonzero(self.support > 0)
        if not present.size:
            return NOTHING
        count = max(1, int(np.ceil(share * present.size)))
        value, (low, high) = self._worst(present, count)
        worst = present[np.argsort(self.recalls()[present], kind="stable")[:count]]
        return Rate(value, None, int(self.support[worst].sum()), count, low, high)

    def _worst(self, present: NDArray[np.int64], count: int) -> tuple[float, Interval]:
        rows = self.sums().labelled.only(present).effective
        return worst_recall(self.recalls()[present], rows, count)


def _share_of_counts(ones: int, n: int, classes: int) -> Rate:
    if not n:
        return NOTHING
    p = float(ones / n)
    error = float(np.sqrt(p * (1 - p) / (n - 1))) if n > 1 else None
    return Rate(p, error, n, classes, *wilson(p, n))


def _share(sums: Moments, n: int, classes: int) -> Rate:
    """Weighted share of one cell."""
    if not n:
        return NOTHING
    p, variance = float(sums.means[0]), float(sums.variances[0])
    rows = effective_rows(p, float(sums.effective[0]), float(sums.effective_ones[0]))
    error = None if np.isnan(variance) else float(np.sqrt(variance))
    return Rate(p, error, n, classes, *wilson(p, rows))
