"""`LabelPrior`: the class counts of the training set, and what follows from them.

The log prior, the rule for a class that was never trained on, and the groups of classes by count.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacal.batch import PerClass
from lacal.classes.groups import GroupRule, Groups
from lacal.classes.names import some_classes
from lacal.errors import DataError, UsageError

# More would drown any count, and from 1e305 on overflow the sum of a thousand.
MOST_ADDED = 1e12


@dataclass(frozen=True, slots=True)
class ZeroCount:
    """What to do with a class of zero training count: there is no log of 0.

    Attributes:
        rule: "error" stops; "mask" never predicts the class; "smooth" adds `amount` to every count.
        amount: What "smooth" adds, in (0, MOST_ADDED].
    """

    rule: str = "error"
    amount: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "ZeroCount":
        """Read `error`, `mask` or `smooth:K`."""
        if text in ("error", "mask"):
            return cls(text)
        rule, _, amount = text.partition(":")
        try:
            added = float(amount)
        except ValueError:
            added = 0.0
        if rule != "smooth" or not 0 < added <= MOST_ADDED:
            raise UsageError(
                f"--zero-count: got {text!r}, expected error, mask or smooth:K with 0 < K <= {MOST_ADDED:g} "
                "(such as smooth:1)"
            )
        return cls("smooth", added)

    def __str__(self) -> str:
        # Every digit: the calibration file is read back through `parse`.
        return f"smooth:{self.amount!r}".removesuffix(".0") if self.rule == "smooth" else self.rule


@dataclass(frozen=True, slots=True)
class LabelPrior:
    """Training class counts (k,), checked, with the rule for zeros already decided.

    Attributes:
        class_counts: (k,) non-negative whole numbers.
        class_names: Names in the same order, where known.
        zero_count: The rule that was applied to zero counts.
    """

    class_counts: NDArray[np.int64]
    class_names: tuple[str, ...] | None = None
    zero_count: ZeroCount = ZeroCount()

    def __post_init__(self) -> None:
        if self.class_counts.size < 2:
            raise DataError(
                f"counts of {self.class_counts.size} class; expected at least 2 classes"
            )
        zeros = np.flatnonzero(self.class_counts == 0)
        if zeros.size and self.zero_count.rule == "error":
            some = some_classes(zeros.tolist(), self.class_names)
            raise DataError(
                f"{zeros.size} of {self.class_counts.size} classes have no training "
                f"example ({some}) and log 0 is undefined; choose --zero-count mask (never predict "
                "them) or --zero-count smooth:1 (add 1 to every count)"
            )
        if self.trained.sum() < 2:
            raise DataError("fewer than 2 classes have a training example; expected at least 2")

    @property
    def trained(self) -> NDArray[np.bool_]:
        """(k,) classes that may be predicted: all but the masked ones."""
        if self.zero_count.rule == "mask":
            return self.class_counts > 0
        return np.ones(self.class_counts.size, np.bool_)

    @property
    def log_prior(self) -> PerClass:
        """(k,) log of the training frequency; -inf for masked classes."""
        counts = self.class_counts + self.zero_count.amount
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(counts) - np.log(counts.sum()), np.float64)

    @property
    def imbalance_ratio(self) -> float:
        """Largest over smallest non-zero training count."""
        seen = self.class_counts[self.class_counts > 0]
        return float(seen.max() / seen.min())

    def groups(self, rule: GroupRule = GroupRule()) -> Groups:  # noqa: B008 - frozen
        """The groups of a rule; many, medium and few shot by default (> 100, 20..100, < 20)."""
        if rule.listed is None:
            return rule.by_counts(self.class_counts)
        return rule.by_name(self.class_counts.size, self.class_names)
