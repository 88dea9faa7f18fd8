"""`Adjustment`: the one idea lacal turns on, a per-class affine map of the logits.

Every method returns one, the search varies one, the calibration file stores one, prediction
applies one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Logits, PerClass
from lacal.errors import DataError


@dataclass(frozen=True, slots=True)
class Adjustment:
    """`adjusted = scale * logits + offset`, class by class.

    Attributes:
        scale: (k,) finite, > 0.
        offset: (k,) finite, or -inf for a class that must never be predicted.

    Example:
        >>> halve_the_head = Adjustment(np.ones(2), np.array([-0.7, 0.0]))
        >>> halve_the_head.predict(np.array([[1.0, 0.5], [2.0, 0.5]]))
        array([1, 0])
    """

    scale: PerClass
    offset: PerClass

    def __post_init__(self) -> None:
        if self.scale.ndim != 1 or self.scale.shape != self.offset.shape:
            raise DataError(
                f"adjustment: scale and offset must be vectors of one length; "
                f"got shapes {self.scale.shape} and {self.offset.shape}"
            )
        if not (np.isfinite(self.scale).all() and (self.scale > 0).all()):
            raise DataError(
                "adjustment: every scale must be finite and above 0; a tau this large overflows, "
                "choose one nearer 0"
            )
        if not (self.offset < np.inf).all():
            raise DataError("adjustment: every offset must be a number below infinity")

    @classmethod
    def identity(cls, classes: int) -> "Adjustment":
        """The adjustment that changes nothing."""
        return cls(np.ones(classes), np.zeros(classes))

    @property
    def classes(self) -> int:
        """Number of classes, k."""
        return self.scale.size

    @property
    def changes_nothing(self) -> bool:
        """Whether every prediction stays as it is, whatever the logits: tau = 0, for most methods."""
        return bool((self.scale == 1).all() and (self.offset == self.offset[0]).all())

    def apply(self, logits: Logits) -> NDArray[np.float64]:
        """(n, k) float64 adjusted logits; float64 so that no format or batch changes an argmax."""
        self.check_width(logits)
        adjusted = np.multiply(logits, self.scale, dtype=np.float64)
        adjusted += self.offset
        return adjusted

    def predict(self, logits: Logits) -> NDArray[np.int64]:
        """(n,) class of the largest adjusted logit; ties go to the lowest index."""
        predictions: NDArray[np.int64] = self.apply(logits).argmax(axis=1)
        return predictions

    def then(self, later: "Adjustment") -> "Adjustment":
        """The single adjustment equal to this one followed by `later`."""
        return Adjustment(self.scale * later.scale, self.offset * later.scale + later.offset)

    def check_width(self, logits: Logits) -> None:
        """Refuse logits of another number of classes."""
        if logits.shape[1] != self.classes:
            raise DataError(
                f"logits have {logits.shape[1]} classes, the adjustment has {self.classes}; "
                "they must come from the same model"
            )
