"""Picking tau from a finite validation curve, whose raw minimum is noise.

The rules read the curve on a lattice of taus, a tenth of the smoothing bandwidth apart, that always
holds 0 and 1:

- "min": the middle of the exact curve's lowest plateau.
- "smoothed": the minimum after Gaussian smoothing.
- "shrunk" (the default): of all taus whose smoothed excess over that minimum is within half a standard
  error of the PAIRED difference between the two, the one nearest the method's reference tau.

Everything here works on curves (r, t), one row a replicate, so the bootstrap re-picks tau a thousand
times with the same code that picks it once.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lacal.methods import Method
from lacal.tau_path import TauPath

Rule = Literal["shrunk", "smoothed", "min"]
RULES: tuple[Rule, ...] = get_args(Rule)

NODES_PER_BANDWIDTH = 10
MARGIN = 4.0  # bandwidths of curve on either side of the range, so that smoothing sees no edge
STANDARD_ERRORS = 0.5
MAX_NODES = 3000


@dataclass(frozen=True, slots=True)
class Spans:
    """Each row's interval on the lattice: right at nodes first..stop-1.

    Attributes:
        owner: (m,) row number of each span.
        first: (m,) first node inside.
        stop: (m,) first node beyond.
        nodes: t.
    """

    owner: NDArray[np.int64]
    first: NDArray[np.int64]
    stop: NDArray[np.int64]
    nodes: int

    def right(self, rows: int) -> NDArray[np.int8]:
        """(rows, t) 1 where a row is right at a node."""
        steps = np.zeros((rows, self.nodes + 1), np.int8)
        np.add.at(steps, (self.owner, self.first), 1)
        np.subtract.at(steps, (self.owner, self.stop), 1)
        return np.cumsum(steps[:, :-1], axis=1, dtype=np.int8)


@dataclass(frozen=True, slots=True)
class Lattice:
    """The taus at which curves are read, and the smoothing over them.

    Attributes:
        taus: (t,) ascending, evenly spaced, 0 and 1 among them where the step allows.
        inside: (t,) those that may be picked.
        kernel: (t, t) smoothing weights, rows sum to 1.
        reference: The tau that shrinkage draws towards.
    """

    taus: NDArray[np.float64]
    inside: NDArray[np.bool_]
    kernel: NDArray[np.float64]
    reference: float

    @classmethod
    def over(cls, low: float, high: float, method: Method) -> "Lattice":
        """The lattice for picking in low..high."""
        width = high - low + 2 * MARGIN * method.bandwidth
        step = max(method.bandwidth / NODES_PER_BANDWIDTH, width / MAX_NODES)
        first = np.floor((low - MARGIN * method.bandwidth) / step)
        last = np.ceil((high + MARGIN * method.bandwidth) / step)
        taus = np.arange(first, last + 1) * step
        # A step of 0.02 is no binary fraction: snap, so that 1 is 1 and a grid's end is inside.
        taus = np.round(taus, 12)
        distance = (taus[:, None] - taus) / method.bandwidth
        kernel = np.where(np.abs(distance) <= MARGIN, np.exp(-0.5 * distance**2), 0.0)
        kernel /= kernel.sum(axis=1, keepdims=True)
        return cls(taus, (taus >= low) & (taus <= high), kernel, method.reference)

    def spans(self, path: TauPath) -> Spans:
        """The path's intervals on this lattice; those that hold no node are left out."""
        first = np.searchsorted(self.taus, path.low, side="left")
        stop = np.searchsorted(self.taus, path.high, side="right")
        kept = first < stop
        return Spans(path.owner[kept], first[kept], stop[kept], self.taus.size)

    def smoothed(self, errors: NDArray[np.float64]) -> NDArray[np.float64]:
        """(r, t) curves after Gaussian smoothing."""
        return errors @ self.kernel.T


@dataclass(frozen=True, slots=True)
class Picker:
    """Applies one rule to balanced-error curves on a lattice.

    Attributes:
        lattice: Where the curves are read.
        rule: "min", "smoothed" or "shrunk".
        paired_error: (t, t) standard error of the difference of balanced error between two taus.
    """

    lattice: Lattice
    rule: Rule
    paired_error: NDArray[np.float64]

    def pick(self, errors: NDArray[np.float64]) -> NDArray[np.int64]:
        """(r,) node picked for each of the curves (r, t); ties go to the tau nearest the reference."""
        allowed = np.broadcast_to(self.lattice.inside, errors.shape)
        curve = errors if self.rule == "min" else self.lattice.smoothed(errors)
        curve = np.where(allowed, curve, np.inf)
        lowest = curve.min(axis=1, keepdims=True)
        slack = np.full_like(lowest, 1e-12)
        if self.rule == "shrunk":
            slack = slack + STANDARD_ERRORS * self.paired_error[curve.argmin(axis=1)]
        distance = np.abs(self.lattice.taus - self.lattice.reference)
        return np.where(curve - lowest <= slack, distance, np.inf).argmin(axis=1)


def paired_standard_error(path: TauPath, spans: Spans, chunk: int = 1024) -> NDArray[np.float64]:
    """(t, t) standard error of balanced_error(tau) - balanced_error(tau') on the same rows.

    Per class the variance over its rows of right(tau) - right(tau'), over (n_y - 1), summed over
    classes, rooted, divided by the number of classes present. A class of one row says nothing of its
    spread; it enters with the square of its difference, as if its mean were known to be 0.
    """
    support = path.support
    present = np.flatnonzero(support)
    rows_of = support[present].astype(np.float64)
    spread = 1.0 / (rows_of * np.maximum(rows_of - 1, 1))
    centred = np.where(rows_of > 1, spread / rows_of, 0.0)
    rank = np.searchsorted(present, path.labels)
    both = _joint_right(spans, spread[rank[spans.owner]])
    t = spans.nodes
    for start in range(0, present.size, chunk):
        mine = (rank[spans.owner] >= start) & (rank[spans.owner] < start + chunk)
        count = min(chunk, present.size - start)
        cell = (rank[spans.owner[mine]] - start) * (t + 1)
        steps = np.bincount(cell + spans.first[mine], minlength=count * (t + 1)).astype(np.float64)
        steps -= np.bincount(cell + spans.stop[mine], minlength=count * (t + 1))
        right = np.cumsum(steps.reshape(count, t + 1)[:, :t], axis=1)
        right *= np.sqrt(centred[start : start + count])[:, None]
        both -= right.T @ right
    own = both.diagonal()
    variance = np.maximum(own[:, None] + own - 2 * both, 0.0)
    return np.asarray(np.sqrt(variance) / present.size, np.float64)


def _joint_right(spans: Spans, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(t, t) weighted number of rows that are right at both of two nodes."""
    t = spans.nodes
    several = np.bincount(spans.owner)[spans.owner] > 1
    alone = ~several
    corner = np.bincount(
        spans.first[alone] * (t + 1) + spans.stop[alone], weights[alone], minlength=(t + 1) ** 2
    )
    # Right at nodes a <= b iff first <= a and stop > b.
    begun = np.cumsum(corner.reshape(t + 1, t + 1), axis=0)
    lasting = np.cumsum(begun[:, ::-1], axis=1)[:, ::-1]
    upper = np.triu(lasting[:t, 1:])
    joint = np.asarray(upper + np.triu(upper, 1).T, np.float64)
    owners, row = np.unique(spans.owner[several], return_inverse=True)
    if owners.size:  # grid-scored rows may be right in several places
        broken = Spans(row, spans.first[several], spans.stop[several], t).right(owners.size)
        weight = np.zeros(owners.size)
        weight[row] = weights[several]
        joint += (broken * weight[:, None]).T @ broken
    return joint
