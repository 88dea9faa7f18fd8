"""`compare_runs`: two models' decisions on the same rows, held against each other row by row."""

from dataclasses import dataclass

import numpy as np

from lacal.batch import NO_LABEL
from lacal.classes.groups import Groups
from lacal.metrics import ClassTally, Gain, PairedTally
from lacal.metrics.paired import mcnemar
from lacal.rows.joining import Joined


@dataclass(frozen=True, slots=True)
class ClassChange:
    """What the second source does otherwise in one class.

    Attributes:
        index: The class.
        support: Labelled rows of it.
        mended: Rows that only the second source has right.
        broken: Rows that only the first has right.
        before: Error of the first source, in [0, 1].
        after: Error of the second.
    """

    index: int
    support: int
    mended: int
    broken: int
    before: float
    after: float

    @property
    def gain(self) -> float:
        """Fall of the class's error."""
        return (self.mended - self.broken) / self.support

    @property
    def standing(self) -> float:
        """The fall drawn towards 0, by which classes are ordered: one changed row of one says little.

        (mended - broken) / (n + 2): half a row is added to each cell of the paired table, as Agresti & Min 2005
        (Statistics in Medicine 24, 729) do for the interval of this difference.
        """
        return (self.mended - self.broken) / (self.support + 2)


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Two sources on the rows that they share. A gain is a fall of the error from the first to the second.

    Attributes:
        joined: The rows.
        groups: Of the classes, where known.
        before: Errors per class of the first source.
        after: Errors per class of the second.
        paired: Rows that only one of them has right, per class.
        gains: Fall of the balanced error: "all", and each group that has rows.
        micro_gain: Fall of the micro error.
        mcnemar: Two-sided mid-p value of McNemar's test: would rows be mended and broken so unevenly, were it a
            toss-up?
        changed: Rows that are predicted otherwise, labelled or not.
        changes: Classes with a row that is mended or broken, from the most gained to the most lost.
    """

    joined: Joined
    groups: Groups | None
    before: ClassTally
    after: ClassTally
    paired: PairedTally
    gains: dict[str, Gain]
    micro_gain: Gain
    mcnemar: float
    changed: int
    changes: tuple[ClassChange, ...]

    @property
    def gain(self) -> Gain:
        """Fall of the balanced error over all classes."""
        return self.gains["all"]

    @property
    def mended(self) -> int:
        """Rows that only the second source has right."""
        return int(self.paired.mended.sum())

    @property
    def broken(self) -> int:
        """Rows that only the first source has right."""
        return int(self.paired.broken.sum())

    @property
    def unlabelled(self) -> int:
        """Shared rows without a label, which count for nothing."""
        return int(np.count_nonzero(self.joined.labels == NO_LABEL))

    def gained(self, most: int) -> tuple[ClassChange, ...]:
        """The classes that gained most, the most first."""
        return tuple(one for one in self.changes if one.mended > one.broken)[:most]

    def lost(self, most: int) -> tuple[ClassChange, ...]:
        """The classes that lost most, the most first."""
        return tuple(one for one in reversed(self.changes) if one.mended < one.broken)[:most]


def compare_runs(joined: Joined, groups: Groups | None = None) -> RunComparison:
    """Hold the second source's decisions against the first's.

    Args:
        joined: Their rows; at least one carries a label.
        groups: Of the classes, where known.
    """
    before, after = ClassTally.empty(joined.classes), ClassTally.empty(joined.classes)
    paired = PairedTally.empty(joined.classes)
    before.update(joined.labels, joined.first)
    after.update(joined.labels, joined.second)
    paired.update(joined.labels, joined.first, joined.second)
    masks = {"all": None, **({} if groups is None else groups.masks)}
    gains = {name: paired.gain(mask) for name, mask in masks.items()}
    micro = paired.micro_gain()
    assert micro is not None  # `join` refuses rows of which none is labelled
    return RunComparison(
        joined=joined,
        groups=groups,
        before=before,
        after=after,
        paired=paired,
        gains={name: gain for name, gain in gains.items() if gain is not None},
        micro_gain=micro,
        mcnemar=mcnemar(int(paired.mended.sum()), int(paired.broken.sum())),
        changed=int(np.count_nonzero(joined.first != joined.second)),
        changes=_changes(before, after, paired),
    )


def _changes(before: ClassTally, after: ClassTally, paired: PairedTally) -> tuple[ClassChange, ...]:
    """Every class with a changed row, by falling `ClassChange.standing`; equal ones by rising number."""
    moved = np.flatnonzero(paired.mended + paired.broken)
    errors = before.class_errors(), after.class_errors()
    every = [
        ClassChange(
            int(j),
            int(paired.support[j]),
            int(paired.mended[j]),
            int(paired.broken[j]),
            float(errors[0][j]),
            float(errors[1][j]),
        )
        for j in moved
    ]
    return tuple(sorted(every, key=lambda one: -one.standing))
