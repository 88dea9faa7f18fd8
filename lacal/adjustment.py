"""`Adjustment`: the one idea lacal turns on, a per-class affine map of the logits.

Every method returns one, the search varies one, the calibration file stores one, prediction
applies one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacal.batch import NO_LABEL, Batch, Logits, PerClass
from lacal.errors import DataError


class AdjustmentOverflowError(DataError):
    """An adjusted logit is beyond float64: its infinity would tie with others, and give no probability.

    Attributes:
        row: Of the logits that were given, from 0.
        cell: Its class and numbers, in words.
    """

    def __init__(self, row: int, cell: str, place: str = "the logits") -> None:
        """Name the row and what overflows there."""
        super().__init__(
            f"{place}: the adjustment overflows on row {row}, {cell}, which is beyond float64; check the logits, the "
            "calibration and its tau"
        )
        self.row, self.cell = row, cell


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
            at = int((np.isfinite(self.scale) & (self.scale > 0)).argmin())
            raise DataError(
                f"adjustment: the scale of class {at} is {self.scale[at]:g}, expected finite and above 0"
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
        """(n, k) float64 adjusted logits; float64 so that no format or batch changes an argmax.

        Raises:
            AdjustmentOverflowError: One of them is beyond float64.
        """
        self.check_width(logits)
        try:
            # The processor notes an overflow by itself, so asking for it costs no pass over the scores.
            with np.errstate(over="raise"):
                adjusted = np.multiply(logits, self.scale, dtype=np.float64)
                adjusted += self.offset
        except FloatingPointError as error:
            raise self._overflow(logits) from error
        return adjusted

    def apply_to(self, logits: Logits, batch: Batch, place: str) -> NDArray[np.float64]:
        """`apply`, whose refusal says where the row stands in its source.

        Args:
            logits: Of all rows of the batch, or of its labelled ones.
            batch: Where they come from.
            place: The source, for messages.
        """
        try:
            return self.apply(logits)
        except AdjustmentOverflowError as error:
            row = error.row
            if batch.labels is not None and len(logits) < len(batch.logits):
                row = int(np.flatnonzero(batch.labels != NO_LABEL)[row])
            raise AdjustmentOverflowError(batch.start + row, error.cell, place) from error

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

    def _overflow(self, logits: Logits) -> AdjustmentOverflowError:
        """What to say of the first of these logits that overflows."""
        masked = np.isneginf(self.offset)
        with np.errstate(over="ignore"):
            scaled = np.multiply(logits, self.scale, dtype=np.float64)
            scaled += np.where(masked, 0.0, self.offset)
        row, one = map(int, np.argwhere(np.isinf(scaled))[0])
        cell = f"class {one}; got logit {logits[row, one]:g} times scale {self.scale[one]:g}"
        if not masked[one]:
            cell += f" plus offset {self.offset[one]:g}"
        return AdjustmentOverflowError(row, cell)
