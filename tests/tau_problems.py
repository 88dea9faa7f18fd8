"""Random problems for the exact path, and brute force to hold it against."""

from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import numpy as np
from numpy.typing import NDArray

from lacal.classes.prior import LabelPrior, ZeroCount
from lacal.methods import METHODS, ClassStatistics, Method

# A tau this near a breakpoint may fall on either side of it by rounding.
NEAR = 1e-9
TAUS = np.unique(np.concatenate([np.linspace(-3, 5, 33), [0.123, 0.1, 1e-7, -1e-7, 1.7182]]))
KINDS = [
    ("logit-adjustment", "drop"),
    ("prior-division", "drop"),
    ("weight-norm", "drop"),
    ("weight-norm", "scale"),
]
SHAPES = (
    "any",
    "all negative",
    "few positive",
    "coarse",
    "coarse negative",
    "zeros",
    "far",
    "close",
)


@dataclass(frozen=True)
class Problem:
    """Logits with labels, and a method that knows its classes."""

    logits: NDArray[Any]
    labels: NDArray[np.int64]
    method: Method
    statistics: ClassStatistics
    name: str

    def right_at(self, tau: float) -> NDArray[np.bool_]:
        """(n,) by plain argmax."""
        predictions = self.method.adjustment(self.statistics, tau).predict(self.logits)
        return np.asarray(predictions == self.labels)

    def balanced_error(self, tau: float) -> float:
        """By plain argmax, class after class."""
        right = self.right_at(tau)
        return 1 - float(np.mean([right[self.labels == y].mean() for y in np.unique(self.labels)]))


def problem_of(
    seed: int,
    n: int,
    k: int,
    *,
    dtype: str = "f4",
    shape: str = "any",
    kind: tuple[str, str] = KINDS[0],
    equal: bool = False,
    masked: int = 0,
) -> Problem:
    """A problem from a seed and what is odd about it."""
    generator = np.random.default_rng(seed)
    logits = logits_of(generator, n, k, shape).astype(dtype)
    logits = logits.astype("f4") if dtype == "f2" else logits  # as the door does
    counts = np.full(k, 7) if equal else generator.choice([1, 2, 2, 5, 30, 1000, 1000], k)
    counts[generator.permutation(k)[: min(masked, k - 2)]] = 0
    name, bias_rule = kind
    prior = LabelPrior(counts.astype(np.int64), zero_count=ZeroCount("mask"))
    norms = generator.choice([0.5, 1.0, 1.0, 1.3, 4.0], k)
    bias = generator.normal(size=k)  # continuous: `logit - bias` never ties
    statistics = ClassStatistics(prior.log_prior, norms, bias, bias_rule)
    return Problem(logits, generator.integers(0, k, n), METHODS[name], statistics, name)


def logits_of(generator: np.random.Generator, n: int, k: int, shape: str) -> NDArray[np.float64]:
    """(n, k) of one of `SHAPES`."""
    values: NDArray[np.float64] = 2 * generator.normal(size=(n, k))
    match shape:
        case "all negative":
            return -np.abs(values) - 0.01
        case "few positive":
            return values - 3
        case "coarse":
            return values.round()
        case "coarse negative":
            return -np.abs(values).round() - 1
        case "zeros":
            signs = generator.choice([1.0, 0.0, -0.0], (n, 1))
            return np.asarray(np.maximum(values.round(), 0) * signs)
        case "far":  # differences are small beside the values
            return values + 1000
        case "close":
            return 1 + values * 2.0**-20
        case _:
            return values


@st.composite
def problems(draw: st.DrawFn, kinds: Any = KINDS) -> Problem:
    """Any problem: ties, equal priors, negative logits, every precision, two classes, one row."""
    return problem_of(
        draw(st.integers(0, 2**32)),
        draw(st.sampled_from([1, 2, 9, 40])),
        draw(st.sampled_from([2, 3, 5, 17])),
        dtype=draw(st.sampled_from(["f2", "f4", "f8"])),
        shape=draw(st.sampled_from(SHAPES)),
        kind=draw(st.sampled_from(kinds)),
        equal=draw(st.booleans()),
        masked=draw(st.sampled_from([0, 0, 1, 3])),
    )


def apart_from(taus: NDArray[np.float64], ends: NDArray[np.float64]) -> NDArray[np.float64]:
    """The taus that are near no breakpoint."""
    finite = ends[np.isfinite(ends)]
    if not finite.size:
        return taus
    return np.asarray(taus[np.abs(taus[:, None] - finite).min(axis=1) > NEAR])
