"""The intervals of `lacal.tau_intervals` at twice the speed: find the nearest rival in float32, place it in float64.

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
SLOTS = 512  # columns of a fold: long enough for one vector loop, short beside the number of classes

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

    def intervals(
        self, logits: Logits, labels: Labels
    ) -> tuple[PerRow, PerRow, NDArray[np.bool_]]:
        """Low (n,), high (n,), and which rows (n,) must be computed again in full precision."""
        rows, k = np.arange(labels.size), logits.shape[1]
        work = _scratch.arrays(*logits.shape)
        lead, gap, turn = work.lead[:, :k], work.gap[:, :k], work.turn[:, :k]
        np.subtract(logits[rows, labels][:, None], logits, out=lead)
        np.subtract(self.single[labels][:, None], self.single, out=gap)
        lead[rows, labels] = np.inf  # nobody is one's own rival
        np.less(lead, 0, out=work.flags[:, :k])
        behind = np.flatnonzero(work.flags)
        low, high = np.full(rows.size, -np.inf), np.full(rows.size, np.inf)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            np.divide(gap, lead, out=turn)
            work.turn.ravel()[behind] = 0.0
            unsure = self._bound(high, logits, labels, work.folded, 1)
            unsure |= self._bound(low, logits, labels, work.folded, -1)
        if behind.size:
            row, rival = np.divmod(behind, work.turn.shape[1])
            self._cut(low, high, logits, labels, (row, rival), work.gap.ravel()[behind])
        unsure |= (low == 0) | (high == 0)
        return low, high, unsure

    def _bound(
        self, ends: PerRow, logits: Logits, labels: Labels, folded: Single, sign: int
    ) -> NDArray[np.bool_]:
        """Set the nearest crossing on one side of 0; which rows have a runner-up as near.

        `folded` (n, folds, slots) holds gap / lead of every rival: the largest is nearest above 0, the
        smallest below. One pass finds the extreme of each slot; what is left is short.
        """
        rows = np.arange(labels.size)
        slots = folded.max(axis=1) if sign > 0 else -folded.min(axis=1)
        slot = slots.argmax(axis=1)
        nearest = slots[rows, slot]
        slots[rows, slot] = 0.0
        fold_mates = sign * folded[rows, :, slot]
        fold = fold_mates.argmax(axis=1)
        fold_mates[rows, fold] = 0.0
        second = np.maximum(slots.max(axis=1), fold_mates.max(axis=1))
        bounded = np.flatnonzero(nearest > 0)
        label, rival = labels[bounded], (fold * folded.shape[2] + slot)[bounded]
        lead = logits[bounded, label].astype(np.float64) - logits[bounded, rival]
        ends[bounded] = lead / (self.slopes[label] - self.slopes[rival])
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
        farthest = np.maximum.reduceat(distance, starts)
        up, down = beaten[least < 0], beaten[least > 0]
        low[up] = np.maximum(low[up], farthest[least < 0])
        high[down] = np.minimum(high[down], -farthest[least > 0])


@dataclass(frozen=True, slots=True)
class _Work:
    """Work arrays (n, width), width at least k; columns beyond k hold 0 and False."""

    lead: Single
    gap: Single
    turn: Single
    flags: NDArray[np.bool_]
    folded: Single


class _Scratch(threading.local):
    """Work arrays of a thread: fresh ones of this size would cost more than the arithmetic."""

    shape = (0, 0)

    def arrays(self, n: int, k: int) -> _Work:
        """Arrays for n rows of k classes."""
        folds = max(1, k // SLOTS)
        slots = -(-k // folds)
        if self.shape[0] < n or self.shape[1] != k:
            self.shape = (n, k)
            self.floats = np.zeros((3, n, folds * slots), np.float32)
            self.flags = np.zeros((n, folds * slots), np.bool_)
        lead, gap, turn = self.floats[:, :n]
        return _Work(lead, gap, turn, self.flags[:n], turn.reshape(n, folds, slots))


_scratch = _Scratch()
