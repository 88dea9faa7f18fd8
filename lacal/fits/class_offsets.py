"""One offset a class: what logit adjustment adds, free of the shape that the class counts give it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacal.adjustment import Adjustment
from lacal.fits.log_loss import HeldRows, Slope, slope


@dataclass(frozen=True, slots=True)
class ClassOffsets:
    """`anchor + d`, with one d a class, in nats.

    Attributes:
        anchor: The adjustment at d = 0, which shrinkage draws towards.
    """

    anchor: Adjustment

    @property
    def per_class(self) -> int:
        """Parameters a class: d."""
        return 1

    def adjustment(self, parameters: NDArray[np.float64]) -> Adjustment:
        """The adjustment at parameters (1, k)."""
        return Adjustment(self.anchor.scale, self.anchor.offset + parameters[0])

    def slope(
        self, rows: HeldRows, parameters: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64]]:
        """The balanced log loss, and its gradient (1, k)."""
        found: Slope = slope(rows, self.adjustment(parameters), scales=False)
        return found.loss, found.offset[None]
