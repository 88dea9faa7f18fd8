"""The grid of taus that is printed, `FIRST:LAST:STEP`, with 0 and 1 always on it when in range."""

import math

import numpy as np
from numpy.typing import NDArray

from lacal.errors import UsageError
from lacal.methods import Method
from lacal.tau.path import EQUAL

MOST_POINTS = 10_000
WIDEST = 40.0  # beyond, weight norms and priors overflow and the lattice grows coarse


def parse_grid(text: str | None, method: Method) -> NDArray[np.float64]:
    """(t,) ascending taus; the method's own grid where none is given.

    Example:
        >>> from lacal.methods import METHODS
        >>> parse_grid("0.5:1.5:0.4", METHODS["logit-adjustment"]).tolist()
        [0.5, 0.9, 1.0, 1.3, 1.5]
    """
    if text is None:
        return _grid(*method.grid)
    parts = text.split(":")
    try:
        first, last, step = (float(part) for part in parts)
    except ValueError:
        raise UsageError(
            f"--grid: got {text[:60]!r}, expected FIRST:LAST:STEP such as 0:4:0.05"
        ) from None
    if not all(math.isfinite(value) for value in (first, last, step)):
        raise UsageError(f"--grid: got {text[:60]!r}, expected finite numbers")
    if step <= 0 or last <= first:
        raise UsageError(f"--grid: got {text[:60]!r}, expected FIRST < LAST and STEP > 0")
    if max(abs(first), abs(last)) > WIDEST:
        raise UsageError(
            f"--grid: got {text[:60]!r}, expected taus between -{WIDEST:g} and {WIDEST:g}"
        )
    if last - first < method.bandwidth / 2:
        raise UsageError(
            f"--grid: spans {last - first:g}, expected at least {method.bandwidth / 2:g} to pick from; "
            "lacal adjust --tau T applies a tau of your own"
        )
    if last - first > WIDEST:
        raise UsageError(f"--grid: spans {last - first:g}, expected at most {WIDEST:g}")
    points = (last - first) / step
    if points > MOST_POINTS:
        many = f"{points:,.0f}" if points < 1e15 else f"{points:.3g}"
        raise UsageError(f"--grid: has {many} points, expected at most {MOST_POINTS:,}")
    return _grid(first, last, step)


def lowest_on(grid: NDArray[np.float64], errors: NDArray[np.float64]) -> float:
    """The tau of the lowest error, the first of equals."""
    return float(grid[(errors <= errors.min() + EQUAL).argmax()])


def _grid(first: float, last: float, step: float) -> NDArray[np.float64]:
    steps = round((last - first) / step, 9)
    taus = [round(first + step * i, 12) for i in range(math.floor(steps) + 1)]
    taus += [tau for tau in (0.0, 1.0, last) if first <= tau <= last]
    return np.array(sorted(set(taus)))
