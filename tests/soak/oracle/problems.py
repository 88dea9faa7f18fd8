"""Random small problems for the oracle: ties, empty classes, zero counts, every precision, every exact method."""

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.batch import NO_LABEL
from lacal.classes.prior import LabelPrior, ZeroCount
from lacal.methods import METHODS, ClassStatistics, Method
from tests.tau_problems import KINDS, SHAPES, logits_of

COUNTS = (
    (1000, 300, 90, 30, 9, 3, 1),
    (7,),  # no class is rarer than another
    (1, 2, 2, 2, 1000),
    (999, 1000, 1001, 10**9),
    (0, 0, 5, 50, 500),
)
GRIDS = ("0:1:0.25", "0:2:0.1", "-1:1.5:0.5", "0.4:1.1:0.05", None)
# Rows x classes of one problem: logarithms to 40 digits take their time.
MOST = {False: 4000, True: 1200}


@dataclass(frozen=True, slots=True)
class Problem:
    """A validation split with everything that tuning is told.

    Attributes:
        logits: (n, k) in the file's own precision.
        labels: (n,), some of them `NO_LABEL`.
        prior: Training counts with the rule for zeros.
        method: Of the method table.
        statistics: What the method knows.
        grid: As on the command line; None for the method's own.
        rule: Selection rule.
        tau: To be applied where the rows can tune none.
    """

    logits: NDArray[Any]
    labels: NDArray[np.int64]
    prior: LabelPrior
    method: str
    statistics: ClassStatistics
    grid: str | None
    rule: Any
    tau: float

    @property
    def row(self) -> Method:
        """Of the method table."""
        return METHODS[self.method]


def problem_of(seed: int, number: int) -> Problem:
    """The problem of a round; the same for the same two numbers."""
    draw = random.Random(f"{seed} {number}")
    generator = np.random.default_rng([seed, number])
    method, bias_rule = draw.choice(KINDS)
    powers = method != "logit-adjustment"
    k = draw.choice([2, 2, 3, 4, 7, 12, 25, 50, draw.randint(2, 50)])
    n = draw.choice([1, 2, 5, 20, 60, 150, 300, draw.randint(1, 300)])
    n = max(1, min(n, MOST[powers] // k))
    logits = logits_of(generator, n, k, draw.choice(SHAPES)).astype(draw.choice(["f2", "f4", "f8"]))
    counts = np.array([draw.choice(draw.choice(COUNTS)) for _ in range(k)])
    counts[:2] = np.maximum(counts[:2], 1)  # a prior needs two trained classes
    zero_count = ZeroCount.parse(draw.choice(["mask", "smooth:1", "smooth:0.25"]))
    prior = LabelPrior(generator.permutation(counts), zero_count=zero_count)
    norms = generator.choice([0.5, 1.0, 1.0, 1.3, 4.0], k)
    bias = generator.normal(size=k).round(draw.choice([1, 9]))
    present = generator.permutation(k)[: draw.choice([1, 2, k, k, k])]  # other classes have no row
    labels = generator.choice(present, n)
    if draw.random() < 0.3:
        labels[generator.random(n) < 0.2] = NO_LABEL
    return Problem(
        logits,
        labels.astype(np.int64),
        prior,
        method,
        ClassStatistics(prior.log_prior, norms, bias, bias_rule),
        draw.choice(GRIDS),
        draw.choice(["shrunk", "smoothed", "min"]),
        draw.choice([0.0, 1.0, 0.5, -0.75, 2.3]),
    )
