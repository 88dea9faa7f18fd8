"""What a pass keeps of its rows beside sums: intervals of tau, and decisions to be compared with another run's."""

from dataclasses import dataclass

import numpy as np

from lacal.batch import Batch, Labels
from lacal.calibration import Calibration
from lacal.classes.groups import Groups
from lacal.methods import METHODS
from lacal.metrics import BINS
from lacal.rows.decisions import Decided, Decisions
from lacal.rows.fingerprint import RowSketch
from lacal.rows.source import Source
from lacal.tau.path import TauPath, TauPathAccumulator


@dataclass(frozen=True, slots=True)
class Keep:
    """What a pass gathers beside the errors.

    Attributes:
        path: The intervals of tau at which each row is right, 32 bytes a row, and the rows' fingerprint.
        decisions: Ids, labels and predictions.
        measures: Log loss, Brier score and calibration, which look at every probability.
        groups: Groups whose moves are counted; None for none.
        bins: Of the calibration errors.
    """

    path: bool = False
    decisions: bool = False
    measures: bool = True
    groups: Groups | None = None
    bins: int = BINS


@dataclass(slots=True)
class KeptRows:
    """Rows of a pass, as far as they were asked for.

    Attributes:
        path: None where it was not asked for, or the method has no exact path.
        sketch: The rows' fingerprint, for a report that says what it is of; None where no path was asked for.
        decided: None where decisions were not asked for.
    """

    path: TauPathAccumulator | None = None
    sketch: RowSketch | None = None
    decided: Decided | None = None

    @classmethod
    def of(cls, keep: Keep, calibration: Calibration | None) -> "KeptRows":
        """Nothing kept yet."""
        path = exact_path(calibration) if keep.path and calibration is not None else None
        sketch = RowSketch() if keep.path else None
        return cls(path, sketch, Decided() if keep.decisions else None)

    def update(self, batch: Batch, predictions: Labels) -> None:
        """Add the rows of a batch."""
        if self.path is not None:
            self.path.update(batch)
        if self.sketch is not None:
            self.sketch.update(batch)
        if self.decided is not None:
            self.decided.update(batch.ids, batch.labels, predictions)

    @property
    def digest(self) -> str | None:
        """Of the rows, in 16 hexadecimal digits."""
        return None if self.sketch is None else f"{self.sketch.digest:016x}"

    def tau_path(self) -> TauPath | None:
        """The path of all rows; a pass that asks for one has a labelled row."""
        return None if self.path is None else self.path.result()

    def decisions(self, source: Source) -> Decisions | None:
        """The decisions on all rows of the source that has passed."""
        return None if self.decided is None else self.decided.result(source)


def exact_path(calibration: Calibration) -> TauPathAccumulator | None:
    """An accumulator of the path of a calibration's method; None where it is known on a grid alone, or has no tau."""
    method = METHODS.get(calibration.method)
    if method is None or method.family(calibration.statistics) is None:
        return None
    return TauPathAccumulator(method, calibration.statistics, np.array([0.0, 1.0]))
