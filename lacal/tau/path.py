"""`TauPath`: balanced error as a function of tau, exactly, over all of the real line.

Each labelled row contributes the interval of taus at which it is right (`lacal.tau.intervals`), so
balanced accuracy is a weighted count of intervals that cover tau. Sort their ends once, and the curve,
its optimum with the whole optimal plateau, any grid, any group's curve and every bootstrap replicate
come from 2n numbers without touching the logits again. Paths of parts merge by concatenation.

Where the method has no single interval per row (weight normalisation with the bias kept), the rows are
scored on a grid; each grid point then stands for the cell around it, and the same code serves.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lacal.adjustment import Adjustment
from lacal.batch import Batch, Labels, PerRow
from lacal.errors import DataError
from lacal.methods import ClassStatistics, Method
from lacal.tau.intervals import intervals

# A plateau narrower than this holds no float that is safely inside it.
MIN_PLATEAU = 1e-9
# Errors this near are equal: one row's weight is far larger, the rounding of weights far smaller.
EQUAL = 1e-12
# Weights are summed as whole multiples of this: such sums do not round, whatever the order of the rows.
_UNIT = 2.0**-62


@dataclass(frozen=True, slots=True)
class Plateau:
    """An interval of taus of constant balanced error; its ends may be infinite."""

    low: float
    high: float
    balanced_error: float


@dataclass(frozen=True, slots=True)
class TauPath:
    """Intervals on which rows are right; a row may own several (grid-scored) or none.

    Attributes:
        labels: (n,) label of each row.
        owner: (m,) row number of each interval, ascending.
        low: (m,) closed lower ends.
        high: (m,) closed upper ends.
        classes: k.
    """

    labels: Labels
    owner: NDArray[np.int64]
    low: PerRow
    high: PerRow
    classes: int

    @property
    def support(self) -> NDArray[np.int64]:
        """(k,) labelled rows of each class."""
        return np.bincount(self.labels, minlength=self.classes)

    def row_weights(self) -> PerRow:
        """(n,) weight of each row in the balanced error: 1 / (present classes * rows of its class)."""
        support = self.support
        return 1.0 / (np.count_nonzero(support) * support[self.labels].astype(np.float64))

    def balanced_error(self, taus: NDArray[np.float64]) -> NDArray[np.float64]:
        """(t,) balanced error at each tau, over the classes that have rows."""
        weights = np.rint(self.row_weights() / _UNIT).astype(np.int64)
        started = _sorted_sum(self.low, weights[self.owner])
        ended = _sorted_sum(self.high, weights[self.owner])
        right = started.upto(taus, inclusive=True) - ended.upto(taus, inclusive=False)
        whole = weights.sum()
        return np.asarray((whole - right) / whole, np.float64)

    def right_at(self, tau: float) -> NDArray[np.bool_]:
        """(n,) whether each row is right at tau."""
        right = np.zeros(self.labels.size, np.bool_)
        right[self.owner[(self.low <= tau) & (tau <= self.high)]] = True
        return right

    def optimum(self, low: float, high: float, near: float) -> Plateau:
        """The lowest balanced error for low <= tau <= high, with its plateau.

        Among several equally good plateaus, the one nearest to `near`. Plateaus narrower than
        `MIN_PLATEAU`, or that reach into the range by less, are passed over: ties at tau = 0 end there. The
        plateau's ends are not cut at the range.
        """
        ends = np.unique(np.concatenate([self.low, self.high]))
        ends = ends[np.isfinite(ends)]
        edges = np.concatenate([[-np.inf], ends, [np.inf]])
        left, right = edges[:-1], edges[1:]
        inside = np.minimum(right, high) - np.maximum(left, low) > MIN_PLATEAU
        if not inside.any():  # the range itself is narrower than any plateau
            middle = (low + high) / 2
            return Plateau(middle, middle, float(self.balanced_error(np.array([middle]))[0]))
        left, right = left[inside], right[inside]
        errors = self.balanced_error(_between(left, right))
        best = errors.min()
        good = errors <= best + EQUAL
        # Neighbouring good cells belong to one plateau: number the runs.
        run = np.cumsum(
            np.concatenate([[True], ~(good[1:] & good[:-1] & (left[1:] == right[:-1]))])
        )
        distance = np.maximum(np.maximum(left - near, near - right), 0.0)
        chosen = run == run[np.where(good, distance, np.inf).argmin()]
        return Plateau(float(left[chosen][0]), float(right[chosen][-1]), float(best))


@dataclass(slots=True)
class TauPathAccumulator:
    """Builds a `TauPath` in one pass; parts merge by concatenation, in the order of the rows.

    Attributes:
        method: The row of the method table.
        statistics: What the method knows about the classes.
        grid: (t,) taus to score for a method that has no exact path.
        place: The source, for messages.
    """

    method: Method
    statistics: ClassStatistics
    grid: NDArray[np.float64]
    place: str = "the logits"
    _labels: list[Labels] = field(default_factory=list)
    _low: list[PerRow] = field(default_factory=list)
    _high: list[PerRow] = field(default_factory=list)
    _owner: list[NDArray[np.int64]] = field(default_factory=list)
    _rows: int = 0

    @property
    def classes(self) -> int:
        """Number of classes, k."""
        return self.statistics.log_prior.size

    def update(self, batch: Batch) -> None:
        """Add the labelled rows of a batch."""
        logits, labels = batch.labelled()
        family = self.method.family(self.statistics)
        if family is None:
            owner, low, high = _grid_cells(self._right_on_grid(batch), self.grid)
            self._append(labels.copy(), owner, low, high)
        else:
            self.add(labels, *intervals(logits, labels, family))

    def add(self, labels: Labels, low: PerRow, high: PerRow) -> None:
        """Add labelled rows (n,) by their intervals; low > high where no tau is right."""
        owner = np.flatnonzero(low <= high)
        self._append(labels.copy(), owner, low[owner], high[owner])

    def merge(self, later: "TauPathAccumulator") -> None:
        """Add the rows of a part that follows this one."""
        path = later.result()
        self._append(path.labels, path.owner, path.low, path.high)

    def result(self) -> TauPath:
        """The path of all rows so far."""
        if not self._rows:
            raise DataError("no row carries a label; tau can only be tuned on labelled rows")
        return TauPath(
            np.concatenate(self._labels),
            np.concatenate(self._owner),
            np.concatenate(self._low),
            np.concatenate(self._high),
            self.classes,
        )

    def _append(self, labels: Labels, owner: NDArray[np.int64], low: PerRow, high: PerRow) -> None:
        self._labels.append(labels)
        self._owner.append(owner + self._rows)
        self._low.append(low)
        self._high.append(high)
        self._rows += labels.size

    def _right_on_grid(self, batch: Batch) -> NDArray[np.bool_]:
        """(t, n) whether each row is right at each grid tau, by plain argmax."""
        logits, labels = batch.labelled()
        adjustments: list[Adjustment] = [
            self.method.adjustment(self.statistics, float(tau)) for tau in self.grid
        ]
        scored = (one.apply_to(logits, batch, self.place) for one in adjustments)
        return np.stack([adjusted.argmax(axis=1) == labels for adjusted in scored])


def _grid_cells(
    right: NDArray[np.bool_], grid: NDArray[np.float64]
) -> tuple[NDArray[np.int64], PerRow, PerRow]:
    """Runs of right grid points as intervals (owner, low, high) that end between grid points."""
    middles = (grid[1:] + grid[:-1]) / 2
    below = np.concatenate([[-np.inf], np.nextafter(middles, np.inf)])
    above = np.concatenate([middles, [np.inf]])
    padded = np.pad(right.T, ((0, 0), (1, 1)))
    change = padded[:, 1:].astype(np.int8) - padded[:, :-1].astype(np.int8)
    owner, first = np.nonzero(change == 1)
    _, after_last = np.nonzero(change == -1)
    return owner, below[first], above[after_last - 1]


def _between(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """A tau inside each open cell, also where an end is infinite."""
    with np.errstate(invalid="ignore"):
        middle = left + (right - left) / 2
    middle = np.where(np.isneginf(left), right - 1.0, middle)
    middle = np.where(np.isposinf(right), left + 1.0, middle)
    return np.where(np.isneginf(left) & np.isposinf(right), 0.0, middle)


@dataclass(frozen=True, slots=True)
class _SortedSum:
    """Running sum of weights over sorted positions."""

    positions: NDArray[np.float64]
    sums: NDArray[np.int64]

    def upto(self, taus: NDArray[np.float64], *, inclusive: bool) -> NDArray[np.int64]:
        place = np.searchsorted(self.positions, taus, side="right" if inclusive else "left")
        return self.sums[place]


def _sorted_sum(positions: NDArray[np.float64], weights: NDArray[np.int64]) -> _SortedSum:
    order = np.argsort(positions)
    return _SortedSum(positions[order], np.concatenate([[0], np.cumsum(weights[order])]))
