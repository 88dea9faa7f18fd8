"""Paired changes: how surely a measure moved, from two runs' decisions on the same rows.

Rows that both runs get right or wrong say nothing of a change; pairing leaves them out of its variance, which two
intervals side by side do not.
"""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacal.errors import DataError, UsageError
from lacal.gates.baseline import Baseline
from lacal.gates.candidate import Candidate
from lacal.gates.limits import Change, Limit
from lacal.gates.quoting import quoted
from lacal.metrics import ClassTally, Gain, PairedTally
from lacal.rows.decisions import Decisions
from lacal.rows.joining import Joined, join

PAIRED = "balanced_error, micro_error, GROUP.error and class.NAME.error"


def check_can_pair(limits: tuple[Limit, ...]) -> None:
    """Refuse limits on measures that are no mean of right and wrong rows."""
    for one in limits:
        if one.name == "target_error" or not (
            one.name.endswith(".error") or one.name in ("balanced_error", "micro_error")
        ):
            raise UsageError(
                f"--significant: {quoted(one.name)} has no paired interval; it is there for {PAIRED}; leave "
                "--significant out"
            )


@dataclass(frozen=True)
class Pairs:
    """Both runs' decisions on the rows they share.

    Attributes:
        joined: Baseline first.
        candidate: The run that is judged.
    """

    joined: Joined
    candidate: Candidate

    @classmethod
    def of(cls, earlier: Decisions, baseline: Baseline, candidate: Candidate) -> "Pairs":
        """The decisions joined by id.

        Raises:
            UsageError: The run has weighted rows.
            DataError: The earlier decisions are not those that the baseline measured, or cannot be joined.
        """
        if candidate.weighted or baseline.weighted:
            raise UsageError(
                "--significant: pairs rows without weights; leave it or --weight-key out"
            )
        if candidate.decisions is None:
            raise UsageError("--significant: this run's rows were not kept; leave it out")
        _check_same_run(earlier, baseline)
        return cls(join(earlier, candidate.decisions), candidate)

    def change(self, name: str) -> Change:
        """The paired change of one of the `PAIRED` measures.

        Raises:
            DataError: No row of it is shared.
        """
        gain = self._gain(name)
        if gain is None:
            raise DataError(
                f"{self.joined.places[0]}: shares no row of {quoted(name)} with this run"
            )
        mask = self._mask(name)
        support = self._tally.support
        n = int(support.sum() if mask is None else support[mask].sum())
        return Change(0.0 - gain.value, -gain.high, -gain.low, n)  # not -0.0

    def warnings(self) -> list[str]:
        """About rows that only one side has."""
        lost, new = self.joined.only_first.size, self.joined.only_second.size
        if not lost and not new:
            return []
        return [
            f"{lost:,} rows of the baseline's predictions are not in this run and {new:,} of this run not in them; "
            f"the paired intervals rest on the {self.joined.labels.size:,} of both"
        ]

    @functools.cached_property
    def _tally(self) -> PairedTally:
        tally = PairedTally.empty(self.joined.classes)
        tally.update(self.joined.labels, self.joined.first, self.joined.second)
        return tally

    def _gain(self, name: str) -> Gain | None:
        if name == "micro_error":
            return self._tally.micro_gain()
        return self._tally.gain(self._mask(name))

    def _mask(self, name: str) -> NDArray[np.bool_] | None:
        """The classes (k,) that a measure is about; None for all."""
        groups, names = self.candidate.groups, self.candidate.class_names
        whose = name.removesuffix(".error")
        if name in ("balanced_error", "micro_error"):
            return None
        if groups is not None and whose in groups.masks:
            return groups.masks[whose]
        mask = np.zeros(self.joined.classes, np.bool_)
        one = whose.removeprefix("class.")
        mask[int(one) if names is None else names.index(one)] = True
        return mask


def _check_same_run(earlier: Decisions, baseline: Baseline) -> None:
    """Refuse predictions whose errors are not the baseline's: they would pair with another model."""
    tally = ClassTally.empty(earlier.classes)
    tally.update(earlier.labels, earlier.predictions)
    found, told = tally.balanced().value, baseline.measures["balanced_error"].value
    if found is None or told is None or not np.isclose(found, told, rtol=0, atol=1e-9):
        raise DataError(
            f"{earlier.place}: has balanced error {_percent(found)}, but {baseline.place} says {_percent(told)}; give the "
            "predictions that the baseline was measured on"
        )


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{100 * value:.4f} %"
