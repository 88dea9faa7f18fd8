"""Which of several models are right on the same rows: every paired difference between two of them, from one table."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Labels
from lacal.metrics import PairedTally


@dataclass(slots=True)
class Agreement:
    """Rows by class and by the set of models that are right on them; bounded by the classes, not the rows.

    Attributes:
        rows: (k, 2^m) rows of each class on which exactly the models of a bit pattern are right.
        models: m.
    """

    rows: NDArray[np.int64]
    models: int

    @classmethod
    def empty(cls, classes: int, models: int) -> "Agreement":
        """No rows yet."""
        return cls(np.zeros((classes, 1 << models), np.int64), models)

    def update(self, labels: Labels, predictions: list[Labels]) -> None:
        """Add labelled rows (n,) with every model's predictions (n,)."""
        pattern = np.zeros(labels.size, np.int64)
        for model, predicted in enumerate(predictions):
            pattern |= (predicted == labels).astype(np.int64) << model
        np.add.at(self.rows, (labels, pattern), 1)

    def paired(self, before: int, after: int) -> PairedTally:
        """What going from one model to another mends and breaks."""
        patterns = np.arange(1 << self.models)
        was, now = patterns >> before & 1 == 1, patterns >> after & 1 == 1
        return PairedTally(
            self.rows.sum(axis=1),
            self.rows[:, now & ~was].sum(axis=1),
            self.rows[:, was & ~now].sum(axis=1),
        )
