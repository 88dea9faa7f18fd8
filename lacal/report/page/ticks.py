"""Where the slider of tau can stand: even, round steps, and the taus worth a button."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

MOST_STEPS = 500
FINEST = 3  # decimal places
# 0.001, 0.002, 0.005, 0.01 ... 5000: the last takes `MOST_STEPS` from the lowest tau allowed to the highest, and more.
STEPS = tuple(digit * 10**place / 10**FINEST for place in range(7) for digit in (1, 2, 5))


def ticks(low: float, high: float, more: tuple[float, ...]) -> NDArray[np.float64]:
    """(t,) ascending taus in even, round steps from low to high, with 0, 1 and `more` wherever they lie.

    A tick is the float nearest to its decimal number, so that `--tau 1.25` means the same tau.

    Example:
        >>> ticks(0.0, 4.0, (0.725,))[70:75].tolist()
        [0.7, 0.71, 0.72, 0.725, 0.73]
    """
    step = next(one for one in STEPS if (high - low) / one <= MOST_STEPS)
    numbers = np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1)
    even = np.round(numbers * step, FINEST)
    return np.unique(np.concatenate([even + 0.0, [0.0, 1.0], np.array(more, np.float64)]))


def thinned(grid: NDArray[np.float64], kept: list[float]) -> NDArray[np.float64]:
    """(t,) points of a grid, no more than a slider needs, and those to be kept.

    Example:
        >>> thinned(np.arange(2000.0), [7.0])[:4].tolist()
        [0.0, 4.0, 7.0, 8.0]
    """
    return np.unique(np.append(grid[:: -(-grid.size // MOST_STEPS)], kept))


def tick_of(taus: NDArray[np.float64], tau: float) -> int:
    """The tick nearest to a tau."""
    return int(np.abs(taus - tau).argmin())


def marks_of(taus: NDArray[np.float64], marks: Mapping[str, float]) -> tuple[tuple[str, int], ...]:
    """Names and ticks, ascending; names at one tick together."""
    at: dict[int, list[str]] = {}
    for name, tau in marks.items():
        at.setdefault(tick_of(taus, tau), []).append(name)
    return tuple((", ".join(at[tick]), tick) for tick in sorted(at))
