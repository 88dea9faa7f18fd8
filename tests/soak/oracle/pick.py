"""The selection rules, written down once more from their definitions: node after node, class after class.

The curve and the rows are exact (`tests.soak.oracle.exact`). Smoothing and standard errors need exponentials and roots, so
they are float64; a choice that hangs on less than `MARGIN` is undecided.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tests.soak.oracle.exact import Rows

MARGIN = 1e-11
TIE = 1e-9
Numbers = Sequence[float]


@dataclass(slots=True)
class Choice:
    """A choice among nodes, node after node.

    Attributes:
        nodes: (t,) taus.
        reference: Where shrinkage draws towards, and what settles ties.
        unsure: Whether anything hung on less than `MARGIN`.
    """

    nodes: Numbers
    reference: float
    unsure: bool = False

    def lowest(self, values: Numbers, among: Sequence[int]) -> int:
        """The node of the lowest value; of equals the nearest to the reference."""
        return self.nearest(self.within(values, among, lambda _: 0.0))

    def within(
        self, values: Numbers, among: Sequence[int], doubt: Callable[[int], float]
    ) -> list[int]:
        """The nodes whose excess over the lowest value is no more than their doubt."""
        least = min(values[at] for at in among)
        excess = {at: values[at] - least - TIE - doubt(at) for at in among}
        self.unsure |= any(abs(one) < MARGIN for one in excess.values())
        return [at for at in among if excess[at] <= 0]

    def nearest(self, among: Sequence[int]) -> int:
        """The one nearest to the reference, the first of equals."""
        return min(among, key=lambda at: abs(self.nodes[at] - self.reference))


def picked(
    rows: Rows,
    nodes: Sequence[float],
    inside: Sequence[bool],
    *,
    bandwidth: float,
    reference: float,
) -> dict[str, float | None]:
    """The taus of "smoothed" and "shrunk"; None where rounding may decide.

    Args:
        rows: Labelled rows.
        nodes: (t,) taus to choose from, and those beyond the range.
        inside: (t,) which may be chosen.
        bandwidth: Standard deviation of the Gaussian.
        reference: Where shrinkage draws towards, and what settles ties.
    """
    answers = [[row.at(tau) for tau in nodes] for row in rows.right]
    if any(None in row for row in answers):
        return {"smoothed": None, "shrunk": None}
    raw = np.array(answers, np.float64)
    smooth = raw @ np.array(_kernel(tuple(nodes), bandwidth)).T
    curve, smoothed = _errors(rows, raw.T.tolist()), _errors(rows, smooth.T.tolist())
    choice = Choice(nodes, reference)
    allowed = [at for at, one in enumerate(inside) if one]
    best = choice.lowest(curve, allowed)
    plausible = choice.within(
        curve, allowed, lambda at: 2 * _paired_error(rows, raw.T[at] - raw.T[best])
    )
    best = choice.lowest(smoothed, plausible)
    equal = choice.nearest(choice.within(smoothed, plausible, lambda _: 0.0))
    good = choice.within(
        smoothed, plausible, lambda at: 0.5 * _paired_error(rows, smooth.T[at] - smooth.T[best])
    )
    taus = {"smoothed": nodes[equal], "shrunk": nodes[choice.nearest(good)]}
    return {rule: None if choice.unsure else tau for rule, tau in taus.items()}


@lru_cache
def _kernel(nodes: tuple[float, ...], bandwidth: float) -> list[list[float]]:
    """Weights of all nodes for each, 0 beyond four bandwidths; they sum to 1."""
    kernel = []
    for middle in nodes:
        distances = [abs(middle - tau) / bandwidth for tau in nodes]
        weights = [math.exp(-far * far / 2) if far <= 4 else 0.0 for far in distances]
        total = math.fsum(weights)
        kernel.append([weight / total for weight in weights])
    return kernel


def _errors(rows: Rows, right: Sequence[Numbers]) -> list[float]:
    """Balanced error at every node, whose rows stand in `right`."""
    weights = [float(one) for one in rows.weights]
    return [1 - math.fsum(w * one for w, one in zip(weights, node, strict=True)) for node in right]


def _paired_error(rows: Rows, change: NDArray[np.float64]) -> float:
    """Of the difference of the balanced error that the rows' changes make: class by class, over n - 1.

    Classes of one row are put together as if they were one class; a lone one enters with its square.
    """
    of_class: dict[int, list[float]] = {}
    for label, value in zip(rows.labels, change.tolist(), strict=True):
        of_class.setdefault(label, []).append(value)
    single = [values[0] for values in of_class.values() if len(values) == 1]
    variance = sum(_spread(values) / len(values) for values in of_class.values() if len(values) > 1)
    if len(single) > 1:
        variance += _spread(single) * len(single)
    elif single:
        variance += single[0] ** 2
    return math.sqrt(variance) / len(of_class)


def _spread(values: Numbers) -> float:
    """Sample variance, over n - 1."""
    mean = math.fsum(values) / len(values)
    return math.fsum((one - mean) ** 2 for one in values) / (len(values) - 1)
