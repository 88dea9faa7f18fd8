"""Balanced log loss of adjusted logits over rows held in memory, and its gradient.

Every row weighs 1 / (present classes * rows of its class), so that rows of any class mix fit the adjustment
for data in which classes are equally frequent: log loss under these weights is consistent for balanced error
(Menon et al., 2021, section 3).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacal.adjustment import Adjustment
from lacal.batch import Labels, Logits, PerClass, PerRow

BLOCK = 1 << 16  # scores worked on at once: small enough for the work arrays to stay in cache


@dataclass(frozen=True, slots=True)
class HeldRows:
    """Labelled rows that a fit looks at again and again.

    Attributes:
        logits: (n, k) float32 or float64, finite.
        labels: (n,) in 0..k-1.
        weights: (n,) of each row in the balanced log loss; they sum to 1.
    """

    logits: Logits
    labels: Labels
    weights: PerRow

    @classmethod
    def of(cls, logits: Logits, labels: Labels) -> "HeldRows":
        """Rows with their weights; at least one."""
        support = np.bincount(labels, minlength=logits.shape[1])
        weights = 1.0 / (np.count_nonzero(support) * support[labels].astype(np.float64))
        return cls(logits, labels, weights)

    def take(self, rows: NDArray[np.int64]) -> "HeldRows":
        """Some of the rows, weighted anew."""
        return HeldRows.of(self.logits[rows], self.labels[rows])

    @property
    def support(self) -> NDArray[np.int64]:
        """(k,) rows of each class."""
        return np.bincount(self.labels, minlength=self.logits.shape[1])

    def blocks(self) -> Iterator[slice]:
        """The rows, a few at a time."""
        rows = max(1, BLOCK // self.logits.shape[1])
        for start in range(0, self.labels.size, rows):
            yield slice(start, start + rows)


@dataclass(frozen=True, slots=True)
class Slope:
    """Balanced log loss at one adjustment, in nats, with its derivatives.

    Attributes:
        loss: The loss.
        scale: (k,) derivative by each class's scale; zeros where it was not asked for.
        offset: (k,) derivative by each class's offset.
    """

    loss: float
    scale: PerClass
    offset: PerClass


def slope(rows: HeldRows, adjustment: Adjustment, *, scales: bool = True) -> Slope:
    """The balanced log loss and its gradient: sum_i w_i (p_ij - [j = y_i]), times the logit for a scale.

    Args:
        rows: Where it is measured.
        adjustment: Finite throughout.
        scales: Whether the derivatives by the scales are wanted; they are half of the work.
    """
    k = rows.logits.shape[1]
    loss, by_scale, by_offset = 0.0, np.zeros(k), np.zeros(k)
    for part in rows.blocks():
        logits, labels, weights = rows.logits[part], rows.labels[part], rows.weights[part]
        own_losses, exponentials, total = _softmax(adjustment.apply(logits), labels)
        loss += float(weights @ own_losses)
        share = weights / total
        by_offset += share @ exponentials - np.bincount(labels, weights, k)
        if scales:
            exponentials *= logits
            by_scale += share @ exponentials
            by_scale -= np.bincount(labels, weights * logits[np.arange(labels.size), labels], k)
    return Slope(loss, by_scale, by_offset)


def row_losses(rows: HeldRows, adjustment: Adjustment) -> PerRow:
    """(n,) log loss of each row, in nats."""
    losses = np.empty(rows.labels.size)
    for part in rows.blocks():
        losses[part], _, _ = _softmax(adjustment.apply(rows.logits[part]), rows.labels[part])
    return losses


def balanced_log_loss(rows: HeldRows, adjustment: Adjustment) -> float:
    """Mean over present classes of the class's mean log loss, in nats."""
    return float(rows.weights @ row_losses(rows, adjustment))


def _softmax(
    scores: NDArray[np.float64], labels: Labels
) -> tuple[PerRow, NDArray[np.float64], PerRow]:
    """Log loss (n,), exp(scores - their row's largest) (n, k) in place of the scores, and its row sums (n,)."""
    scores -= scores.max(axis=1, keepdims=True)
    own = scores[np.arange(labels.size), labels]
    exponentials = np.exp(scores, out=scores)
    total = exponentials.sum(axis=1)
    return np.log(total) - own, exponentials, total
