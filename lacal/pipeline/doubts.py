"""What looks as if rows, labels and counts were not in one order: a sentence each, from what a pass has counted."""

import math
from typing import Any

from numpy.typing import NDArray

from lacal.metrics import ClassTally
from lacal.ranks import rank_correlation

ROWS_A_CLASS = 10  # fewer say little of chance
CONTRARY = -0.5  # of recalls and training counts: a long-tailed model's rise together
UNLIKELY = -1.96  # in units of 1 / sqrt(k - 1), the spread of what is unrelated


def at_chance(tally: ClassTally) -> list[str]:
    """About errors no better than those of guesses: labels that belong to other rows look like this.

    The recalls of guesses sum to 1 at most, whatever they prefer, so their balanced error is 1 - 1 / k or more.
    """
    error, present = tally.balanced(), tally.support.size - tally.absent.size
    if present < 2 or error.value is None or error.high is None or error.n < ROWS_A_CLASS * present:
        return []
    if error.high < 1 - 1 / present:
        return []
    return [
        f"the balanced error, {error.value:.1%}, is that of guesses; are the labels in the order of the rows, and the "
        "classes in that of the logits?"
    ]


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
        f"{follow:.2f}); are counts and logits in one class order?"
    ]
