"""What becomes of the numbers at the door: precision, finiteness, and what they mean.

Logits pass. Probabilities are logged, but only when the user says that they are probabilities. Numbers
that look like probabilities and were not called so stop the run: subtracting tau * log prior from
probabilities gives nearly every row to the rarest class.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Logits, PerRow
from lacal.errors import DataError, LacalError

SCORE_KINDS = ("logits", "log-probs", "probs")
SUM_TOLERANCE = 0.01  # bfloat16 probabilities of 1,000 classes sum to 1 within 0.0065
# Fewer rows than this may look like probabilities by accident, unless they are all there is.
TELLING_ROWS = 8


@dataclass(frozen=True, slots=True)
class ScoreDoor:
    """Checks and converts blocks of scores.

    Attributes:
        place: The source, for messages.
        scores: One of `SCORE_KINDS`, or None: logits, unless they look like something else.
        stored: The type in the file's own words.
        shift_blind: Whether a constant added to a row changes nothing in what follows.
        fault: What NaN and infinity are: the file's fault, or the run's where a model gave them.
    """

    place: str
    scores: str | None
    stored: str
    shift_blind: bool
    fault: type[LacalError] = DataError

    def check(self, block: NDArray[Any], start: int) -> Logits:
        """(n, k) float32 or float64, finite, as logits.

        Raises:
            DataError: NaN or infinity (or `fault`), probabilities not declared, log-probabilities for a
                method that is not blind to row shifts; the row is named.
        """
        logits = as_float(block)
        self._check_finite(logits, start)
        if not self.shift_blind and self.scores in ("probs", "log-probs"):
            raise DataError(f"{self.place}: {_NEEDS_LOGITS}")
        if self.scores == "probs":
            return self._log(logits, start)
        if self.scores is None and (start == 0 or logits.shape[0] >= TELLING_ROWS):
            self._refuse_look_alikes(logits)
        return logits

    def _check_finite(self, logits: Logits, start: int) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            if np.isfinite(logits.sum()):  # one pass; NaN and infinity survive every sum
                return
        bad = ~np.isfinite(logits)
        if not bad.any():  # large numbers whose sum overflows
            return
        row, column = np.argwhere(bad)[0]
        value = "NaN" if np.isnan(logits[row, column]) else f"{logits[row, column]}"
        more = int(bad.any(axis=1).sum()) - 1
        others = f" (and at least {more:,} more such)" if more else ""
        hint = "mend the model or drop the row"
        if np.isneginf(logits[row]).any():
            hint += "; where -inf means 'never this class', write a low number such as -1e4"
        if np.isinf(logits[row, column]) and ("16" in self.stored or "half" in self.stored):
            hint = f"the file stores {self.stored}, which overflows above 65504; save float32"
        raise self.fault(
            f"{self.place}: row {start + row}, class {column} is {value}{others}; expected finite "
            f"logits; {hint}"
        )

    def _log(self, probabilities: Logits, start: int) -> Logits:
        sums = _row_sums(probabilities)
        off = np.abs(sums - 1) > SUM_TOLERANCE
        off |= (probabilities < 0).any(axis=1)
        if off.any():
            row = int(off.argmax())
            raise DataError(
                f"{self.place}: row {start + row} is no probability vector (sum {sums[row]:.6g}, "
                f"smallest {probabilities[row].min():.6g}); expected values in 0..1 that sum to 1; "
                "drop --scores probs if these are logits"
            )
        if not probabilities.all():
            row, column = np.argwhere(probabilities == 0)[0]
            raise DataError(
                f"{self.place}: row {start + row}, class {column} has probability exactly 0, whose log "
                "is undefined; save logits or log-probabilities instead, or more digits"
            )
        return np.log(probabilities, dtype=np.float64)

    def _refuse_look_alikes(self, logits: Logits) -> None:
        if _in_unit_range(logits[:1]) and _in_unit_range(logits):
            sums = logits.sum(axis=1, dtype=np.float64)
            if (np.abs(sums - 1) <= SUM_TOLERANCE).all():
                raise DataError(
                    f"{self.place}: rows look like probabilities (all in 0..1, sums 1), expected logits; "
                    "say --scores probs, or --scores logits if they really are logits"
                )
            if logits.shape[0] >= TELLING_ROWS:
                raise DataError(
                    f"{self.place}: all values lie in 0..1 but rows do not sum to 1, as sigmoid outputs "
                    "do; expected softmax logits; say --scores logits if they really are"
                )
        elif are_percentages(logits[:1]) and are_percentages(logits):
            raise DataError(
                f"{self.place}: rows look like percentages (all from 0, sums 100), expected logits; divide them by 100 "
                "and say --scores probs, or say --scores logits if they really are logits"
            )
        elif not self.shift_blind and are_log_probs(logits[:1]) and are_log_probs(logits):
            raise DataError(f"{self.place}: rows look like log-probabilities; {_NEEDS_LOGITS}")


_NEEDS_LOGITS = (
    "this method divides logits and a constant per row changes its answer, so probabilities and "
    "log-probabilities will not do; give the raw logits, or use --method logit-adjustment"
)


def as_float(block: NDArray[Any]) -> Logits:
    """float32 and float64 as they are; float16 and small integers to float32, large ones to float64."""
    if block.dtype in (np.float32, np.float64):
        return np.ascontiguousarray(block)
    narrow = block.dtype == np.float16 or (block.dtype.kind in "iu" and block.dtype.itemsize <= 2)
    return np.ascontiguousarray(block, np.float32 if narrow else np.float64)


def _row_sums(logits: Logits) -> PerRow:
    """(n,) in float64, where the sum of large logits may be infinite: no sum of probabilities either."""
    with np.errstate(over="ignore", invalid="ignore"):
        sums: PerRow = logits.sum(axis=1, dtype=np.float64)
        return sums


def _in_unit_range(logits: Logits) -> bool:
    return bool(logits.min() >= 0 and logits.max() <= 1)


def are_percentages(logits: Logits) -> bool:
    """Whether every row is of numbers from 0 that sum to 100."""
    if logits.min() < 0:
        return False
    sums = _row_sums(logits)
    return bool((np.abs(sums - 100) <= 100 * SUM_TOLERANCE).all())


def are_log_probs(logits: Logits) -> bool:
    """Whether every row sums to 1 as exponentials: a model's logits hardly ever do."""
    if logits.max() > 0:
        return False
    total = np.exp(logits, dtype=np.float64).sum(axis=1)
    return bool((np.abs(np.log(np.maximum(total, 1e-300))) <= SUM_TOLERANCE).all())
