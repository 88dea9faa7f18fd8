"""Where predictions moved: from which group of classes to which."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacal.batch import NO_LABEL, Labels

Flows = NDArray[np.int64]  # (g, g), from the row's group to the column's


@dataclass(slots=True)
class FlowTally:
    """Changed predictions by the groups they left and went to; merges by addition.

    Attributes:
        group_of_class: (k,) group of each class.
        groups: (g,) their names.
        moved: (g, g) rows whose prediction changed, labelled or not; on the diagonal to another class of
            the same group.
        mended: (g, g) labelled ones that were wrong and are right.
        broken: (g, g) labelled ones that were right and are wrong.
        rows: Rows seen, changed or not.
    """

    group_of_class: NDArray[np.int64]
    groups: tuple[str, ...]
    moved: Flows
    mended: Flows
    broken: Flows
    rows: int = 0

    @classmethod
    def of(cls, masks: Mapping[str, NDArray[np.bool_]]) -> "FlowTally":
        """No rows yet, between the groups of these masks (k,); a class of none is of "other"."""
        names = list(masks)
        inside = np.array([masks[name] for name in names])
        group = np.where(inside.any(axis=0), inside.argmax(axis=0), len(names)).astype(np.int64)
        if (group == len(names)).any():
            names.append("other")
        moved, mended, broken = np.zeros((3, len(names), len(names)), np.int64)
        return cls(group, tuple(names), moved, mended, broken)

    def update(self, before: Labels, after: Labels, labels: Labels | None) -> None:
        """Add rows: predictions before and after, and their labels where there are any."""
        self.rows += before.size
        changed = before != after
        before, after = before[changed], after[changed]
        size = len(self.groups)
        cell = self.group_of_class[before] * size + self.group_of_class[after]
        self.moved += _counts(cell, size)
        if labels is not None:
            labels = labels[changed]
            known = labels != NO_LABEL
            self.mended += _counts(cell[known & (after == labels)], size)
            self.broken += _counts(cell[known & (before == labels)], size)

    def merge(self, other: "FlowTally") -> None:
        """Add another part's rows."""
        self.moved += other.moved
        self.mended += other.mended
        self.broken += other.broken
        self.rows += other.rows


def _counts(cell: NDArray[np.int64], size: int) -> Flows:
    return np.bincount(cell, minlength=size**2).reshape(size, size)
