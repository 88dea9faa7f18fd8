"""Picking tau from a finite validation curve, whose raw minimum is noise.

The rules read the curve on a lattice of taus, a tenth of the smoothing bandwidth apart, that always
holds 0 and 1:

- "min": the lowest point of the curve as it is.
- "smoothed": the minimum after Gaussian smoothing.
- "shrunk" (the default): of all taus whose smoothed excess over that minimum is within half a standard
  error of the PAIRED difference between the two, the one nearest the reference tau: the method's own, or 0
  for logits that training has corrected already. The error
  is that of the smoothed difference: smoothing takes out noise, and to count what it took out as doubt
  would hold tau at its reference against the evidence.

Smoothing bends a steep curve, and with many rows that bias would outweigh the noise. So both smoothing
rules choose among the plausible taus alone: those whose unsmoothed excess over the unsmoothed minimum is
within two standard errors of the paired difference.

Equal taus: the one nearest the reference. `benchmarks/tau_selection.py` measures the rules against grid
search and fixed taus. Everything here works on curves (r, t), one row a replicate, so the bootstrap
re-picks tau a thousand times with the same code that picks it once.
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lacal.methods import Method
from lacal.tau.path import TauPath
from lacal.tau.strata import Strata

Rule = Literal["shrunk", "smoothed", "min"]
RULES: tuple[Rule, ...] = get_args(Rule)

NODES_PER_BANDWIDTH = 10
MARGIN = 4.0  # bandwidths of curve on either side of the range, so that smoothing sees no edge
STANDARD_ERRORS = 0.5
PLAUSIBLE = 2.0
MAX_NODES = 1500  # the work grows with their cube
TIE = 1e-9  # far below one row's weight, far above the rounding of a bootstrap replicate
_CHUNK = 1024  # strata whose curves are held at once
_SMALL = 8  # rows; up to here counting pairs of rows beats a product of curves


@dataclass(frozen=True, slots=True)
class Spans:
    """Each row's interval on the lattice: right at nodes first..stop-1.

    Attributes:
        owner: (m,) row number of each span, ascending.
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

    def total(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(t,) sum over the spans that hold a node of `values` (m,)."""
        steps = np.bincount(self.first, values, minlength=self.nodes + 1)
        steps -= np.bincount(self.stop, values, minlength=self.nodes + 1)
        return np.asarray(np.cumsum(steps[:-1]), np.float64)

    def of_rows(self, chosen: NDArray[np.bool_]) -> "Spans":
        """The spans of some of the rows, renumbered."""
        kept = self.take(np.flatnonzero(chosen[self.owner]))
        return replace(kept, owner=(np.cumsum(chosen) - 1)[kept.owner])

    def take(self, which: NDArray[np.int64]) -> "Spans":
        """Some of the spans, in this order."""
        return Spans(self.owner[which], self.first[which], self.stop[which], self.nodes)


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
    def over(
        cls, low: float, high: float, method: Method, reference: float | None = None
    ) -> "Lattice":
        """The lattice for picking in low..high; the method's own reference where none is given."""
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
        inside = (taus >= low) & (taus <= high)
        return cls(taus, inside, kernel, method.reference if reference is None else reference)

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
        paired_error: (t, t) standard error of the difference between two taus, of the curve as the
            rule reads it; only "shrunk" looks at it.
        raw_error: (t, t) the same of the curve as it is.
    """

    lattice: Lattice
    rule: Rule
    paired_error: NDArray[np.float64]
    raw_error: NDArray[np.float64]

    @classmethod
    def of(cls, lattice: Lattice, rule: Rule, covariance: NDArray[np.float64]) -> "Picker":
        """The rule, for curves whose points have this covariance (t, t)."""
        raw_error = standard_error_of_differences(covariance)
        if rule == "shrunk":
            covariance = lattice.kernel @ covariance @ lattice.kernel.T
        return cls(lattice, rule, standard_error_of_differences(covariance), raw_error)

    def pick(self, errors: NDArray[np.float64]) -> NDArray[np.int64]:
        """(r,) node picked for each of the curves (r, t); ties go to the tau nearest the reference."""
        excess = _excess(np.where(self.lattice.inside, errors, np.inf))
        lowest = self._nearest(excess <= TIE)
        if self.rule == "min":
            return lowest
        plausible = excess <= PLAUSIBLE * self.raw_error[lowest] + TIE
        excess = _excess(np.where(plausible, self.lattice.smoothed(errors), np.inf))
        lowest = self._nearest(excess <= TIE)
        if self.rule == "smoothed":
            return lowest
        return self._nearest(excess <= STANDARD_ERRORS * self.paired_error[lowest] + TIE)

    def _nearest(self, good: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(r,) the good node (r, t) that is nearest to the reference, the first of equals."""
        distance = np.abs(self.lattice.taus - self.lattice.reference)
        return np.asarray(np.where(good, distance, np.inf).argmin(axis=1), np.int64)


def _excess(curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """(r, t) over the lowest point of each curve."""
    return np.asarray(curves - curves.min(axis=1, keepdims=True), np.float64)


def paired_standard_error(path: TauPath, spans: Spans) -> NDArray[np.float64]:
    """(t, t) standard error of balanced_error(tau) - balanced_error(tau') on the same rows.

    Per class the variance over its rows of right(tau) - right(tau'), over (n_y - 1), summed over
    classes, rooted, divided by the number of classes present; `lacal.tau.strata` says what is done with
    classes of one row.
    """
    return standard_error_of_differences(covariance(spans, Strata.of(path)))


def standard_error_of_differences(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """(t, t) standard errors of all differences, from the covariance (t, t)."""
    own = covariance.diagonal()
    return np.asarray(np.sqrt(np.maximum(own[:, None] + own - 2 * covariance, 0.0)), np.float64)


def covariance(spans: Spans, strata: Strata) -> NDArray[np.float64]:
    """(t, t) sampling covariance of the balanced errors at the nodes.

    With R_i(tau) = 1 where row i is right, and S_h the sum of R_i over stratum h, it is
    sum_i spread R_i(tau) R_i(tau') - sum_h centre S_h(tau) S_h(tau').
    """
    stratum = strata.of_row[spans.owner]
    result = _pairs(spans, spans.owner, strata.spread[stratum])
    small = strata.size[stratum] <= _SMALL
    order = np.flatnonzero(small)[np.argsort(stratum[small], kind="stable")]
    result -= _pairs(spans.take(order), stratum[order], strata.centre[stratum[order]])
    for start in range(0, strata.size.size, _CHUNK):
        mine = np.flatnonzero(~small & (stratum >= start) & (stratum < start + _CHUNK))
        if mine.size:
            right = _right_rows(spans.take(mine), stratum[mine], strata)
            result -= right.T @ right
    return result


def _pairs(
    spans: Spans, group: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(t, t) weighted number of pairs of spans of one group that hold node a and node b.

    Each pair is a rectangle of nodes, which four corners of a table of differences describe. `group`
    (m,) ascends; `weights` (m,) are equal within a group.
    """
    width, apart = spans.nodes + 1, 0
    corners = np.zeros(width**2)
    while (pairs := np.flatnonzero(group[apart:] == group[: group.size - apart])).size:
        for start in range(0, pairs.size, _CHUNK * _CHUNK):
            pair = pairs[start : start + _CHUNK * _CHUNK]
            for one, two in ((pair, pair + apart), (pair + apart, pair))[: 2 if apart else 1]:
                for a, sign_a in ((spans.first, 1.0), (spans.stop, -1.0)):
                    for b, sign_b in ((spans.first, 1.0), (spans.stop, -1.0)):
                        cell = a[one] * width + b[two]
                        corners += np.bincount(
                            cell, sign_a * sign_b * weights[pair], minlength=width**2
                        )
        apart += 1
    table = corners.reshape(width, width)[:-1, :-1]
    return np.asarray(table.cumsum(axis=0).cumsum(axis=1), np.float64)


def _right_rows(spans: Spans, stratum: NDArray[np.int64], strata: Strata) -> NDArray[np.float64]:
    """(s, t) right rows of each stratum that owns one of the spans, times the root of its centre."""
    present, row = np.unique(stratum, return_inverse=True)
    cell, size = row * (spans.nodes + 1), present.size * (spans.nodes + 1)
    steps = np.bincount(cell + spans.first, minlength=size)
    steps -= np.bincount(cell + spans.stop, minlength=size)
    right = np.cumsum(steps.reshape(present.size, -1)[:, :-1], axis=1)
    return np.asarray(right * np.sqrt(strata.centre[present])[:, None], np.float64)
