"""The metrics of an earlier run, and whether a run's numbers can be held against them: whether they are the same measures."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lacal.batch import PerClass
from lacal.classes.names import agree, shown
from lacal.errors import DataError
from lacal.gates.candidate import Candidate
from lacal.gates.quoting import quoted
from lacal.measure import GROUP_METRICS, Measure
from lacal.probabilities import Probabilities

SAME_SHARE = 1e-6


@dataclass(frozen=True, slots=True)
class Baseline:
    """An earlier run's measures.

    Attributes:
        place: The file.
        measures: By name, those of single classes among them.
        support: (k,) labelled rows per class.
        class_names: Where known.
        weighted: Whether its rows were weighted.
        rules: Group -> what it is, in words.
        group_of: (k,) group of each class; None where the file does not say.
        target: (k,) class shares that `target_` measures are under.
        scheme: Bins of the calibration errors, in words.
        probabilities: What its probabilities were of the adjusted logits; None where there were none.
    """

    place: str
    measures: Mapping[str, Measure]
    support: NDArray[np.int64]
    class_names: tuple[str, ...] | None
    weighted: bool = False
    rules: Mapping[str, str] = field(default_factory=dict)
    group_of: tuple[str | None, ...] | None = None
    target: tuple[float, ...] | None = None
    scheme: str | None = None
    probabilities: Probabilities | None = None

    def check_fits(self, run: Candidate, names: Iterable[str]) -> None:
        """Refuse a run whose numbers of these names are not the same measures.

        Raises:
            DataError: Its classes, weights, groups, target prior, temperature or calibration bins are others.
        """
        agree(self.class_names, self.place, run.class_names, "the run that is judged")
        classes = run.support.size
        if self.support.size != classes:
            raise DataError(
                f"{self.place}: is of {self.support.size} classes, this run has {classes}; a baseline must be of "
                "the same classes"
            )
        if self.weighted != run.weighted:
            here, there = ("", "not ") if run.weighted else ("not ", "")
            raise self._unlike("rows", f"{there}weighted", f"{here}weighted")
        for name in names:
            self._check_measure(name, run)

    def _check_measure(self, name: str, run: Candidate) -> None:
        before, after = self.measures.get(name), run.measures.get(name)
        if before is None or after is None:
            return
        if (before.unit, before.better) != (after.unit, after.better):
            raise self._unlike(
                quoted(name),
                shown(f"{before.better} is better, unit {before.unit}"),
                shown(f"{after.better} is better, unit {after.unit}"),
            )
        group, _, metric = name.rpartition(".")
        if metric in GROUP_METRICS and run.groups is not None and group in run.groups.masks:
            self._check_group(group, run)
        if _is_calibration(name) and self.scheme != run.scheme:
            raise self._unlike("calibration", f"in {self.scheme}", f"in {run.scheme}")
        if not group and name.startswith("target_") and not self._same_target(run):
            there = "none" if self.target is None else "another"
            raise self._unlike(
                "the target prior", there, "none" if run.target is None else "this one"
            )
        if _is_calibration(name) or name.endswith(("log_loss", "brier")):
            self._check_probabilities(run)

    def _check_group(self, group: str, run: Candidate) -> None:
        """Refuse a group that holds other classes, whatever its rule says."""
        assert run.groups is not None
        if self.group_of is None:
            raise DataError(
                f"{self.place}: does not say which classes are in {shown(group)}, as an older lacal wrote it; write "
                "it anew with the options of this run"
            )
        there = np.array([one == group for one in self.group_of])
        here = run.groups.masks[group]
        if (there == here).all():
            return
        one = int((there != here).argmax())
        name = str(one) if run.class_names is None else run.class_names[one]
        raise DataError(
            f"{self.place}: {shown(group)} was {shown(self.rules.get(group, 'unknown'))} there and is "
            f"{shown(run.groups.rule[group])} here, which are other classes (class {shown(name)} is in it "
            f"{'here' if here[one] else 'there'} alone), so the numbers are not of the same kind; write the baseline "
            "anew with the options of this run"
        )

    def _check_probabilities(self, run: Candidate) -> None:
        """Refuse probabilities in other class shares, or at a temperature where the others are at none."""
        before, after = self.probabilities, run.probabilities
        if before is None or after is None:
            return
        there, here = (_shares(one, self.support.size) for one in (before, after))
        if not np.allclose(there, here, rtol=0, atol=SAME_SHARE):
            told = [
                "equal class shares" if one.log_target is None else "a target prior"
                for one in (before, after)
            ]
            if told[0] == told[1]:
                told = ["another target prior", "this one"]
            raise self._unlike("what the probabilities are for", *told)
        # Each model has a temperature of its own; whether one was fitted is what the numbers are about.
        if (before.temperature == 1) != (after.temperature == 1):
            told = ["1" if one.temperature == 1 else "fitted" for one in (before, after)]
            raise self._unlike("the temperature of the probabilities", *told)

    def _same_target(self, run: Candidate) -> bool:
        if self.target is None or run.target is None:
            return self.target is None and run.target is None
        return np.allclose(self.target, run.target.prior, rtol=0, atol=1e-9)

    def _unlike(self, what: str, there: str, here: str) -> DataError:
        return DataError(
            f"{self.place}: {what} was {there} there and is {here} here, so the numbers are not of the same kind; "
            "write the baseline anew with the options of this run"
        )

    def differences(self, support: NDArray[np.int64]) -> list[str]:
        """A warning where the baseline was measured on other rows, as far as their numbers per class show."""
        differ = int(np.count_nonzero(support != self.support))
        if not differ:
            return []
        return [
            f"the baseline {self.place} was measured on other rows ({int(self.support.sum()):,} there, "
            f"{int(support.sum()):,} here; {differ:,} of {support.size:,} classes differ), so a change may be the data's"
        ]


def _is_calibration(name: str) -> bool:
    return "calibration" in name and not name.endswith(".error")  # a class or group of that name


def _shares(of: Probabilities, classes: int) -> PerClass:
    """(k,) the class shares they are for."""
    if of.log_target is None:
        return np.full(classes, 1 / classes)
    return np.asarray(np.exp(of.log_target), np.float64)
