"""What one pass over validation rows leaves for tuning many methods, and what tuning makes of it."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lacal.adjustment import Adjustment
from lacal.batch import Labels, Logits
from lacal.calibration import Calibration
from lacal.errors import DataError
from lacal.fits.log_loss import HeldRows
from lacal.rows.fingerprint import RowSketch
from lacal.rows.same_rows import RowMarks
from lacal.rows.source import Source
from lacal.tau.path import TauPath, TauPathAccumulator

MOST_HELD = 1 << 26  # scores that the fits hold in memory: 256 MB of float32


@dataclass(frozen=True, slots=True)
class Settings:
    """How everything is tuned.

    Attributes:
        draws: Of the bootstraps behind intervals.
        seed: Of the draws and of the folds.
        scores: What the numbers were said to be; None where nothing was said.
        reference: The tau that searches are drawn towards; None for each method's own.
    """

    draws: int = 1000
    seed: int = 0
    scores: str | None = None
    reference: float | None = None


@dataclass(frozen=True, slots=True)
class TunedMethod:
    """One method, tuned and ready to be scored.

    Attributes:
        name: What `--keep` calls it.
        detail: What was chosen, in words; empty where nothing was.
        adjustment: What it does.
        calibration: Its file; None for the model as it is.
        note: What to know about it; None for nothing.
    """

    name: str
    detail: str
    adjustment: Adjustment
    calibration: Calibration | None
    note: str | None = None


@dataclass(slots=True)
class ValidationRows:
    """The labelled rows, as far as tuning looks at them again.

    Attributes:
        paths: Taus at which each row is right, under each method that searches tau.
        sketch: Fingerprint of all rows.
        marks: What they say of themselves, by ids and labels.
        scores: Scores so far, of labelled rows.
    """

    paths: dict[str, TauPathAccumulator]
    sketch: RowSketch = field(default_factory=RowSketch)
    marks: RowMarks = field(default_factory=RowMarks)
    scores: int = 0
    _labels: list[Labels] = field(default_factory=list)
    _right: list[NDArray[np.bool_]] = field(default_factory=list)
    _logits: list[Logits] = field(default_factory=list)

    def read(self, source: Source) -> None:
        """Take in every row."""
        for batch in source.batches():
            self.sketch.update(batch)
            self.marks.update(batch)
            logits, labels = batch.labelled()
            for path in self.paths.values():
                path.update(batch)
            self._labels.append(labels.copy())
            self._right.append(logits.argmax(axis=1) == labels)
            self.scores += logits.size
            if self.scores <= MOST_HELD:
                self._logits.append(logits.copy())
            else:
                self._logits.clear()

    def path(self, name: str, place: str) -> TauPath:
        """The path of a method; `place` stands in the message where no row is labelled."""
        try:
            return self.paths[name].result()
        except DataError as error:
            raise DataError(f"{place}: {error}") from error

    def unadjusted_right(self) -> NDArray[np.bool_]:
        """(n,) whether the plain argmax is right on each labelled row."""
        return np.concatenate(self._right)

    def labels(self) -> Labels:
        """(n,) of the labelled rows, in order."""
        return np.concatenate(self._labels)

    def held(self) -> HeldRows | None:
        """The labelled rows themselves; None where they are too many to hold."""
        if self.scores > MOST_HELD:
            return None
        self._logits = [np.concatenate(self._logits)]  # the parts would be as much memory again
        return HeldRows.of(self._logits[0], np.concatenate(self._labels))
