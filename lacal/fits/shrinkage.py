"""Fits of many parameters to few rows: a ridge towards an adjustment that is known to be good.

The ridge is the inverse variance of a normal prior on the parameters, so with n rows the fit minimises
`n * balanced log loss + ridge / 2 * sum(parameters^2)`. It is chosen by cross-validation: rows of
each class are dealt into folds, each fold's rows are scored by a fit to the others, and of all ridges whose
balanced log loss is within one standard error of the lowest, in pairs of rows, the strongest is taken
(one-standard-error rule: Breiman et al., 1984, Classification and Regression Trees, 3.4.3). An infinite ridge,
which is the anchor itself, is among them: where the rows do not show that the parameters help, nothing moves.

A class without rows keeps the anchor's parameters: log loss would push it away for want of anybody to speak for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lacal.adjustment import Adjustment
from lacal.batch import Labels, PerRow
from lacal.fits.log_loss import HeldRows, row_losses

RIDGES = tuple(4.0**power for power in range(5, -3, -1))  # strongest first
FOLDS = 5
# Scores that cross-validation looks at. The ridge belongs to the problem, not to the number of rows, so
# some of the rows will tell it; the fit at that ridge sees them all.
ENOUGH = 1 << 22
FARTHEST = 10.0  # of a parameter from the anchor's
ROUGH, CLOSE = 1e-7, 1e-11  # relative falls of the loss that end a search: of a fold, of all rows
RISES = 2  # in a row: weaker ridges would only follow the noise further

Parameters = NDArray[np.float64]  # (m, k): m parameters a class


class Deviation(Protocol):
    """A family of adjustments around an anchor, which stands at parameters 0.

    A parameter is in nats: about as much as it moves a class's score, so that one ridge can hold them all.
    """

    @property
    def anchor(self) -> Adjustment:
        """What the ridge draws towards."""

    @property
    def per_class(self) -> int:
        """Parameters a class, m."""

    def adjustment(self, parameters: Parameters) -> Adjustment:
        """The adjustment at some parameters."""

    def slope(self, rows: HeldRows, parameters: Parameters) -> tuple[float, Parameters]:
        """The balanced log loss, and its gradient (m, k)."""


@dataclass(frozen=True, slots=True)
class Shrunk:
    """What a fit chose.

    Attributes:
        adjustment: The fitted one; the anchor itself where no ridge was surely better.
        ridge: The ridge it was fitted with; None for the anchor, whose ridge is infinite.
        loss: Balanced log loss of the rows, in nats.
        anchor_loss: The same of the anchor.
        held_out: (ridge, balanced log loss of rows that were not fitted), from the anchor (None) to weaker ridges.
    """

    adjustment: Adjustment
    ridge: float | None
    loss: float
    anchor_loss: float
    held_out: tuple[tuple[float | None, float], ...]


def shrunk(
    family: Callable[[HeldRows], Deviation], rows: HeldRows, *, seed: int, folds: int = FOLDS
) -> Shrunk:
    """Fit a family to the rows, with the ridge that cross-validation chooses.

    Args:
        family: Makes the family from the rows that it is fitted to.
        rows: At least one; the same adjustment for the same rows and seed.
        seed: Deals the rows into folds.
        folds: Number of folds.
    """
    whole = family(rows)
    ridge, held_out = _cross_validated(family, rows, np.random.default_rng(seed), folds)
    anchor_loss = float(rows.weights @ row_losses(rows, whole.anchor))
    if ridge is None:
        return Shrunk(whole.anchor, None, anchor_loss, anchor_loss, held_out)
    parameters = _none_moved(whole)
    for tried in RIDGES[: RIDGES.index(ridge) + 1]:  # each starts where a stronger one ended
        parameters = _minimum(whole, rows, tried, parameters, CLOSE)
    fitted = whole.adjustment(parameters)
    loss = float(rows.weights @ row_losses(rows, fitted))
    return Shrunk(fitted, ridge, loss, anchor_loss, held_out)


def _cross_validated(
    family: Callable[[HeldRows], Deviation],
    rows: HeldRows,
    generator: np.random.Generator,
    folds: int,
) -> tuple[float | None, tuple[tuple[float | None, float], ...]]:
    """The ridge, and the losses of the held-out rows at each that was tried."""
    rows = rows.take(_thinned(rows.labels, ENOUGH // rows.logits.shape[1], generator))
    fold = _dealt(rows.labels, folds, generator)
    parts = [(np.flatnonzero(fold != one), np.flatnonzero(fold == one)) for one in range(folds)]
    parts = [(fitted, held) for fitted, held in parts if fitted.size and held.size]
    if not parts:  # a single row
        return None, ((None, float(rows.weights @ row_losses(rows, family(rows).anchor))),)
    losses = [row_losses(rows, family(rows).anchor)]
    trains = [rows.take(fitted) for fitted, _ in parts]
    deviations = [family(train) for train in trains]
    parameters = [_none_moved(one) for one in deviations]
    rising = 0
    for ridge in RIDGES:
        losses.append(np.empty(rows.labels.size))
        for at, (_, held) in enumerate(parts):
            parameters[at] = _minimum(deviations[at], trains[at], ridge, parameters[at], ROUGH)
            scored = deviations[at].adjustment(parameters[at])
            losses[-1][held] = row_losses(rows.take(held), scored)
        rising = rising + 1 if rows.weights @ losses[-1] > rows.weights @ losses[-2] else 0
        if rising == RISES:
            break
    tried: tuple[float | None, ...] = (None, *RIDGES[: len(losses) - 1])
    means = [float(rows.weights @ one) for one in losses]
    return tried[_strongest(rows, losses, means)], tuple(zip(tried, means, strict=True))


def _strongest(rows: HeldRows, losses: list[PerRow], means: list[float]) -> int:
    """Number of the first whose mean is within one standard error of the lowest."""
    lowest = int(np.argmin(means))
    for number in range(lowest):
        excess = losses[number] - losses[lowest]
        if means[number] - means[lowest] <= _standard_error(rows, excess):
            return number
    return lowest


def _standard_error(rows: HeldRows, values: PerRow) -> float:
    """Of the class-balanced mean of values (n,): per class its rows' variance over n_y - 1, as everywhere in lacal.

    A class of one row, which shows no spread, enters with its square.
    """
    support = rows.support
    n = np.maximum(support, 1).astype(np.float64)
    total = np.bincount(rows.labels, values, support.size)
    squares = np.bincount(rows.labels, values**2, support.size)
    spread = np.where(support > 1, np.maximum(squares - total**2 / n, 0.0), squares)
    return float(np.sqrt((spread / (n * np.maximum(n - 1, 1))).sum()) / np.count_nonzero(support))


def _none_moved(deviation: Deviation) -> Parameters:
    return np.zeros((deviation.per_class, deviation.anchor.classes))


def _minimum(
    deviation: Deviation, rows: HeldRows, ridge: float, start: Parameters, tolerance: float
) -> Parameters:
    """The parameters of lowest penalised loss, by L-BFGS from a start; those of absent classes stay 0."""
    from scipy.optimize import minimize

    shape = start.shape
    penalty = ridge / rows.labels.size
    moves = rows.support > 0

    def penalised(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        parameters = flat.reshape(shape)
        loss, gradient = deviation.slope(rows, parameters)
        gradient = np.where(moves, gradient + penalty * parameters, 0.0)
        return loss + 0.5 * penalty * float((parameters**2).sum()), gradient.ravel()

    found: Any = minimize(
        penalised,
        start.ravel(),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-FARTHEST, FARTHEST)] * start.size,
        options={"maxiter": 200, "ftol": tolerance, "gtol": 1e-8},
    )
    return np.asarray(found.x, np.float64).reshape(shape)


def _dealt(labels: Labels, folds: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """(n,) fold of each row: the rows of a class in turn, one class after the other, so that folds come out even."""
    order = np.lexsort((generator.random(labels.size), labels))
    fold = np.empty(labels.size, np.int64)
    fold[order] = np.arange(labels.size) % folds
    return fold


def _thinned(labels: Labels, most: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """At most about `most` rows, ascending: all of small classes, some of large ones, at least one of each."""
    if labels.size <= most:
        return np.arange(labels.size)
    support = np.bincount(labels)
    shares = np.sort(support[support > 0])
    # The largest number of rows a class with sum(min(support, number)) <= most.
    numbers = np.arange(1, shares[-1] + 1)
    below = np.searchsorted(shares, numbers, side="right")
    totals = np.concatenate([[0], np.cumsum(shares)])[below] + (shares.size - below) * numbers
    each = max(1, int(np.searchsorted(totals, most, side="right")))
    order = np.lexsort((generator.random(labels.size), labels))
    rank = np.arange(labels.size) - np.concatenate([[0], np.cumsum(support)])[labels[order]]
    return np.sort(order[rank < each])
