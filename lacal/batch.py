"""`Batch`, what flows through lacal, and the array types every other file speaks.

Letters in shapes, everywhere: n examples, k classes, t values of tau, d features.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.floating[Any]]  # (n, k)
Labels = NDArray[np.int64]  # (n,), NO_LABEL where a row has none
PerClass = NDArray[np.float64]  # (k,)
PerRow = NDArray[np.float64]  # (n,)
Ids = NDArray[np.str_] | NDArray[np.int64]  # (n,)

NO_LABEL = -1

# Elements of one batch: 16 MB of float32, small beside the cache's wishes and memory's bound.
BATCH_ELEMENTS = 1 << 22


@dataclass(frozen=True, slots=True)
class DeviceBatch:
    """Consecutive rows of a source whose logits stay where a model made them; not checked yet.

    Attributes:
        logits: (n, k) torch.Tensor of floats, on its device; work on it may still be under way.
        labels: (n,) in 0..k-1, `NO_LABEL` where the row has none; None where the source has none.
        start: Number of the first row in the whole source, from 0.
    """

    logits: Any
    labels: Labels | None
    start: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive rows of a source, already checked: native byte order, C order, finite.

    The arrays may live in a buffer that the source reuses: copy what must outlive the next batch.

    Attributes:
        logits: (n, k) float32 or float64.
        labels: (n,) in 0..k-1, `NO_LABEL` where the row has none; None where the source has none.
        ids: (n,) as the source spells them, or None.
        start: Number of the first row in the whole source, from 0.
        weights: (n,) >= 0, how much each row counts; None where every row counts 1.
    """

    logits: Logits
    labels: Labels | None
    ids: Ids | None
    start: int
    weights: PerRow | None = None

    def labelled(self) -> "tuple[Logits, Labels]":
        """The rows that carry a label, and the labels."""
        if self.labels is None:
            return self.logits[:0], np.empty(0, np.int64)
        known = self.labels != NO_LABEL
        if known.all():
            return self.logits, self.labels
        return self.logits[known], self.labels[known]
