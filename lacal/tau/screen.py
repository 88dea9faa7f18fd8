"""The intervals of `lacal.tau.intervals`, faster: find the nearest rival in float32, place it in float64.

Which rival bounds an example is decided in single precision, where the arrays are half as long; where it
bounds it is then computed in double precision from the logits themselves. The choice can only be wrong
if the runner-up is within rounding of the nearest: those rows, and rows with ties, are reported as
unsure and computed again by the plain double-precision code. So the result is the same to the last bit.

Rounding. The leads of float32 logits are exact to 2^-24, relative. The slopes are centred and rounded to
float32, so a gap between two of them is off by at most 2^-23 times the largest |slope|; relative to the
smallest gap between different slopes that is the tolerance. Below `SMALLEST_GAP` it would be too coarse.
"""

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Labels, Logits, PerClass, PerRow

SMALLEST_GAP = 1e-5

Single = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Screen:
    """Slopes prepared for screening.

    Attributes:
        slopes: (k,) float64.
        single: (k,) centred, float32.
        tolerance: Relative distance of a runner-up below which single precision cannot tell.
    """

    slopes: PerClass
    single: Single
    tolerance: float

    @classmethod
    def of(cls, slopes: PerClass) -> "Screen | None":
        """The prepared slopes, or None where two of them are too close to tell apart."""
        distinct = np.unique(slopes)
        gap = float(np.diff(distinct).min(initial=np.inf))
        centred = slopes - (distinct[0] + distinct[-1]) / 2
        if not gap >= SMALLEST_GAP * max(1.0, float(np.abs(centred).max())):
            return None
        rounding = 2.0**-23 * float(np.abs(centred).max())
        # Twice what the analysis asks for; single rounding steps of lead, gap and ratio on top.
        return cls(slopes, centred.astype(np.float32), 2 * (rounding / gap + 3 * 2.0**-24))

    def intervals(self, logits: Logits, labels: Labels) -> tuple[PerRow, PerRow, NDArray[np.bool_]]:
        """Low (n,), high (n,), and which rows (n,) must be computed again in full precision."""
        rows = np.arange(labels.size)
        lead, gap, turn, flags = _scratch.arrays(*logits.shape)
        own = logits[rows, labels]
        try:
            with np.errstate(over="raise"):
                np.subtract(own[:, None], logits, out=lead)
        except FloatingPointError:  # leads beyond float32, which are numbers of float64
            return np.empty(rows.size), np.empty(rows.size), np.ones(rows.size, np.bool_)
        np.subtract(self.single[labels][:, None], self.single, out=gap)
        lead[rows, labels] = np.inf  # nobody is one's own rival
        behind = np.flatnonzero(np.less(lead, 0, out=flags))
        low, high = np.full(rows.size, -np.inf), np.full(rows.size, np.inf)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            np.divide(gap, lead, out=turn)
            turn.ravel()[behind] = 0.0
            unsure = self._bound(high, logits, labels, turn, np.inf)
            np.negative(turn, out=turn)
            unsure |= self._bound(low, logits, labels, turn, -np.inf)
        if behind.size:
            where = np.divmod(behind, logits.shape[1])
            self._cut(low, high, logits, labels, where, gap.ravel()[behind])
        return low, high, unsure

    def _bound(
        self, ends: PerRow, logits: Logits, labels: Labels, turn: Single, inside: float
    ) -> NDArray[np.bool_]:
        """Set the nearest crossing on the side where `turn` is positive; which rows have a close second."""
        rows = np.arange(labels.size)
        rival = turn.argmax(axis=1)
        nearest = turn[rows, rival]
        turn[rows, rival] = 0.0
        second = turn.max(axis=1)
        turn[rows, rival] = nearest
        bounded = np.flatnonzero(nearest > 0)
        label, rival = labels[bounded], rival[bounded]
        lead = logits[bounded, label].astype(np.float64) - logits[bounded, rival]
        crossing = lead / (self.slopes[label] - self.slopes[rival])
        ends[bounded] = inwards(crossing, -inside, rival < label)
        # Infinite: a tie at tau = 0. NaN: a rival of equal prior and equal logit.
        sure = (second <= nearest * (1 - self.tolerance)) & (nearest < np.inf)
        unsure: NDArray[np.bool_] = ~sure & (nearest != 0)
        return unsure

    def _cut(
        self,
        low: PerRow,
        high: PerRow,
        logits: Logits,
        labels: Labels,
        behind: tuple[NDArray[np.intp], NDArray[np.intp]],
        gap: Single,
    ) -> None:
        """Cut in the half-lines of the rivals (row, rival) that are ahead of the label at tau = 0."""
        row, rival = behind
        side = np.sign(gap).astype(np.int8)  # rounding keeps the sign, and 0
        ends = np.searchsorted(row, np.arange(labels.size + 1))  # row ascends: a run for each
        length = ends[1:] - ends[:-1]
        beaten = np.flatnonzero(length)
        # A rarer rival ahead asks for tau < 0, a commoner one for tau > 0, an equal one for a miracle.
        least = np.minimum.reduceat(side, ends[beaten])
        most = np.maximum.reduceat(side, ends[beaten])
        possible = least * most > 0
        never, beaten, least = beaten[~possible], beaten[possible], least[possible]
        low[never], high[never] = np.inf, -np.inf
        if not beaten.size:
            return
        kept = np.zeros(labels.size, np.bool_)
        kept[beaten] = True
        chosen = np.repeat(kept, length)
        row, rival = row[chosen], rival[chosen]
        label = labels[row]
        lead = logits[row, label].astype(np.float64) - logits[row, rival]
        starts = np.concatenate([[0], np.cumsum(length[beaten])[:-1]])
        distance = np.abs(lead / (self.slopes[label] - self.slopes[rival]))
        distance = inwards(distance, np.inf, rival < label)
        farthest = np.maximum.reduceat(distance, starts)
        up, down = beaten[least < 0], beaten[least > 0]
        low[up] = np.maximum(low[up], farthest[least < 0])
        high[down] = np.minimum(high[down], -farthest[least > 0])


def inwards(ends: PerRow, inside: float, open_end: NDArray[np.bool_]) -> PerRow:
    """Ends, moved to the next float towards `inside` where the end itself does not belong."""
    if not open_end.any():
        return ends
    return np.where(open_end & np.isfinite(ends), np.nextafter(ends, inside), ends)


class _Scratch(threading.local):
    """Work arrays of a thread: fresh ones of this size would cost more than the arithmetic."""

    size = 0

    def arrays(self, n: int, k: int) -> tuple[Single, Single, Single, NDArray[np.bool_]]:
        """Three float32 arrays and one of bool, (n, k)."""
        if self.size < n * k:
            self.size = n * k
            self.floats = np.empty((3, self.size), np.float32)
            self.flags = np.empty(self.size, np.bool_)
        lead, gap, turn = (one[: n * k].reshape(n, k) for one in self.floats)
        return lead, gap, turn, self.flags[: n * k].reshape(n, k)


_scratch = _Scratch()
