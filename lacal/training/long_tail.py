"""Cutting a balanced training set long-tailed, by the protocol of the CIFAR-LT sets.

Cui et al. 2019, Cao et al. 2019 and Zhou et al. 2020 cut in the order of the labels, and by truncation, not rounding.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Labels
from lacal.classes.names import shown, some_classes
from lacal.errors import UsageError
from lacal.training.splits import Rows, shuffled_by_class

Profile = Literal["exp", "step"]


@dataclass(frozen=True, slots=True)
class LongTail:
    """What is asked for.

    Attributes:
        profile: "exp": counts fall geometrically from class to class; "step": the first half of the classes
            keeps all, the second half the smallest count.
        ratio: Largest count to smallest, rho.
    """

    profile: Profile
    ratio: float

    @classmethod
    def parse(cls, text: str) -> "LongTail":
        """Read "exp:100" or "step:10".

        Raises:
            UsageError: It is neither.
        """
        name, _, number = text.partition(":")
        try:
            ratio = float(number)
        except ValueError:
            ratio = math.nan
        for profile in get_args(Profile):
            if name == profile and math.isfinite(ratio) and ratio >= 1:
                return cls(profile, ratio)
        raise UsageError(
            f"--long-tail: got {shown(text)}, expected exp:RATIO or step:RATIO with a ratio of largest to smallest "
            f"class from 1 on, such as exp:100"
        )

    def __str__(self) -> str:
        return f"{self.profile}:{self.ratio:g}"

    def class_counts(self, largest: int, classes: int) -> NDArray[np.int64]:
        """(k,) examples to keep of each class.

        `int(largest * ratio^(-j / (k - 1)))`, or for "step" `largest` of the first k // 2 classes and
        `int(largest / ratio)` of the rest.

        Args:
            largest: Of the first class.
            classes: k, at least 2.

        Example:
            >>> LongTail("exp", 100).class_counts(5000, 10).tolist()
            [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
        """
        j = np.arange(classes)
        depth = j / (classes - 1) if self.profile == "exp" else (j >= classes // 2).astype(float)
        # A count that is whole by the formula must not fall by one because its power is rounded.
        counts = np.floor(largest * self.ratio**-depth * (1 + 1e-12))
        return counts.astype(np.int64)


def cut_rows(
    labels: Labels, classes: int, how: LongTail, seed: Any, names: Sequence[str] | None = None
) -> Rows:
    """Which rows stay, ascending; of each class they are drawn at random.

    The largest count is that of the smallest class, so that a set that is not quite balanced can be cut too.

    Args:
        labels: (n,) in 0..k-1.
        classes: k, at least 2.
        how: Profile and ratio.
        seed: Of the draws, as NumPy takes it.
        names: Of the classes, for messages.

    Raises:
        UsageError: A class would keep nothing.
    """
    present = np.bincount(labels, minlength=classes)
    largest = int(present.min())
    counts = how.class_counts(largest, classes)
    if counts.min() < 1:
        empty = np.flatnonzero(counts < 1).tolist()
        raise UsageError(
            f"--long-tail: got {how}, which leaves no example of {len(empty):,} of {classes:,} classes "
            f"({some_classes(empty, names)}), as the smallest class has {largest:,}; expected a ratio of at most "
            f"{largest:,}"
        )
    rows, rank = shuffled_by_class(labels, np.random.default_rng(seed))
    return np.sort(rows[rank < np.repeat(counts, present)])
