"""What looks as if rows, labels and counts were not in one order: a sentence each, from what a pass has counted."""

import math
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from lacal.classes.names import some_classes
from lacal.metrics import ClassTally, Rate
from lacal.ranks import rank_correlation

ROWS_A_CLASS = 10  # fewer say little of chance
SKILL = 0.6  # of the error of guesses: where so low an error is within the interval, rows are too few to judge
NEARLY_ALL = 0.95  # of the rows that are predicted as one class
CONTRARY = -0.5  # of recalls and training counts: a long-tailed model's rise together
UNRELATED = 0.2  # of them: shuffled counts give about 0
ENOUGH_CLASSES, FAR_APART = 10, 10  # below, 0.2 may be chance, or the model fair as it is
UNLIKELY = -1.96  # in units of 1 / sqrt(k - 1), the spread of what is unrelated


def at_chance(tally: ClassTally, names: Sequence[str] | None = None) -> list[str]:
    """About errors no better than those of guesses: labels that belong to other rows look like this.

    The recalls of guesses sum to 1 at most, whatever they prefer, so their balanced error is 1 - 1 / k or more.
    Silent where the rows are too few to tell guesses from skill.

    Args:
        tally: Of predictions, or of whether they were right.
        names: (k,) of the classes.
    """
    error, present = tally.balanced(), tally.support.size - tally.absent.size
    if present < 2 or error.n < ROWS_A_CLASS * present or not _guessed(error, 1 - 1 / present):
        return []
    said = f"the balanced error, {error.value:.1%}, is that of guesses"
    favourite = int(tally.predicted.argmax())
    # Wrong predictions of a path are not known and not counted
    most = int(tally.predicted[favourite])
    if most >= NEARLY_ALL * error.n:
        return [
            f"{said}: {most:,} of {error.n:,} rows are predicted as class {some_classes([favourite], names)}; search "
            "tau with `lacal tune-tau`, or look at the training"
        ]
    return [
        f"{said}; are the labels in the order of the rows, and the classes in that of the logits?"
    ]


def _guessed(error: Rate, chance: float) -> bool:
    """Whether the interval holds the error of guesses, and none that only skill has."""
    return error.high is not None and error.high >= chance and (error.low or 0.0) > SKILL * chance


def far_apart(class_counts: NDArray[Any]) -> bool:
    """Whether these are enough classes, and unequal enough, for a model to take after their counts."""
    if class_counts.size < ENOUGH_CLASSES:
        return False
    return bool(class_counts.max() >= FAR_APART * max(class_counts.min(), 1))


def unrelated(tally: ClassTally, class_counts: NDArray[Any]) -> str:
    """What an unsure gain may come from besides chance: recalls that have nothing to do with counts far apart; or ''.

    Args:
        tally: Of the plain argmax.
        class_counts: (k,) training counts, in the order of the tally's classes.
    """
    present = tally.support > 0
    counts = class_counts[present]
    follow = rank_correlation(tally.recalls()[present], counts)
    if not far_apart(counts) or follow > UNRELATED:
        return ""
    return f"; recalls do not rise with the counts (rank correlation {follow:.2f}): are both in one class order?"


def against_counts(tally: ClassTally, class_counts: NDArray[Any]) -> list[str]:
    """About plain predictions that are right more often where training examples are fewer.

    Args:
        tally: Of the plain argmax.
        class_counts: (k,) training counts, in the order of the tally's classes.
    """
    present = tally.support > 0
    follow = rank_correlation(tally.recalls()[present], class_counts[present])
    if follow > CONTRARY or follow * math.sqrt(max(int(present.sum()) - 1, 1)) > UNLIKELY:
        return []
    return [
        "classes with more training examples are recognised less often (rank correlation "
        f"{follow:.2f}); are counts and logits in one class order, or is the model corrected already (balanced loss or "
        "sampler)?"
    ]
