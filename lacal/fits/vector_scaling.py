"""Vector scaling: a scale and an offset a class (Guo et al., 2017), around an adjustment to shrink towards."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacal.adjustment import Adjustment
from lacal.batch import PerClass
from lacal.fits.log_loss import HeldRows, slope

# A scale is held as if it moved scores by this many times what it does: offsets are what a long tail gets
# wrong, and scales pay for themselves more rarely.
STIFFNESS = 2.0
NARROWEST = 0.1  # nats; scores that hardly differ say nothing about their scale


@dataclass(frozen=True, slots=True)
class VectorScaling:
    """`exp(a) * (g - m) + m + d`, with g the anchor's scores and m their mean, class by class.

    The scale turns a class's scores about their mean, so that a and d do different things. The parameters are d
    and u = `STIFFNESS` * (standard deviation of g) * a, in nats both: u / `STIFFNESS` is what the scale moves a
    typical score by.

    Attributes:
        anchor: The adjustment at d = u = 0, which shrinkage draws towards.
        middle: (k,) class-balanced mean of the anchor's scores.
        stretch: (k,) u of a = 1.
    """

    anchor: Adjustment
    middle: PerClass
    stretch: PerClass

    @classmethod
    def around(cls, anchor: Adjustment, rows: HeldRows) -> "VectorScaling":
        """The family around an anchor, with the mean and spread of the scores of these rows."""
        k = anchor.classes
        mean, squares = np.zeros(k), np.zeros(k)
        for part in rows.blocks():
            mean += rows.weights[part] @ anchor.apply(rows.logits[part])
        for part in rows.blocks():
            squares += rows.weights[part] @ (anchor.apply(rows.logits[part]) - mean) ** 2
        return cls(anchor, mean, STIFFNESS * np.maximum(np.sqrt(squares), NARROWEST))

    @property
    def per_class(self) -> int:
        """Parameters a class: d and u."""
        return 2

    def adjustment(self, parameters: NDArray[np.float64]) -> Adjustment:
        """The adjustment at parameters (2, k)."""
        turn = np.exp(parameters[1] / self.stretch)
        offset = (self.anchor.offset - self.middle) * turn + self.middle + parameters[0]
        return Adjustment(self.anchor.scale * turn, offset)

    def slope(
        self, rows: HeldRows, parameters: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64]]:
        """The balanced log loss, and its gradient (2, k)."""
        at = self.adjustment(parameters)
        found = slope(rows, at)
        turn = np.exp(parameters[1] / self.stretch)
        turned = at.scale * found.scale + (self.anchor.offset - self.middle) * turn * found.offset
        return found.loss, np.stack([found.offset, turned / self.stretch])
