"""The metrics of an earlier run, as `lacal evaluate --json` printed them, and whether they can be held against a run.

The file is read as the foreign file it is: every field that is used is checked first.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.classes.names import agree, shown
from lacal.errors import DataError
from lacal.formats.shown import place
from lacal.gates.candidate import Candidate
from lacal.measure import Measure

SCHEMA_VERSION = 1  # of the JSON that is understood
MOST_BYTES = 1 << 28  # JSON of 100,000 classes has some 20 MB


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
        target: (k,) class shares that `target_` measures are under.
        scheme: Bins of the calibration errors, in words.
    """

    place: str
    measures: Mapping[str, Measure]
    support: NDArray[np.int64]
    class_names: tuple[str, ...] | None
    weighted: bool = False
    rules: Mapping[str, str] = field(default_factory=dict)
    target: tuple[float, ...] | None = None
    scheme: str | None = None

    def check_fits(self, run: Candidate, names: Iterable[str]) -> None:
        """Refuse a run whose numbers of these names are not the same measures.

        Raises:
            DataError: Its classes, weights, groups, target prior or calibration bins are others.
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
        rules = {} if run.groups is None else run.groups.rule
        for name in names:
            group = name.partition(".")[0]
            if group in self.rules and group in rules and self.rules[group] != rules[group]:
                raise self._unlike(shown(group), shown(self.rules[group]), shown(rules[group]))
            if "calibration" in name and self.scheme != run.scheme:
                raise self._unlike("calibration", f"in {self.scheme}", f"in {run.scheme}")
            if name.startswith("target_") and not self._same_target(run):
                raise self._unlike("the target prior", "another", "this one")

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


def read_baseline(path: Path) -> Baseline:
    """The measures that the file holds.

    Raises:
        DataError: It is no JSON of `lacal evaluate`, of another version, or damaged.
    """
    content = _parsed(path)
    where = place(path)
    if content.get("command") != "evaluate":
        raise DataError(
            f"{where}: is no result of lacal evaluate; write one with lacal evaluate ... --report {where}"
        )
    version = content.get("schema_version")
    if version != SCHEMA_VERSION:
        raise DataError(
            f"{where}: has schema_version {shown(str(version))}, expected {SCHEMA_VERSION}; write it anew with this lacal"
        )
    if "measures" not in content:
        raise DataError(
            f"{where}: holds no measures, as an older lacal wrote it; write it anew with this lacal"
        )
    try:
        return _checked(content, where)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{where}: is damaged ({type(error).__name__} in what lacal evaluate --json prints); write it anew"
        ) from error


def _parsed(path: Path) -> dict[str, Any]:
    where = place(path)
    try:
        if path.exists() and not path.is_file():
            raise DataError(f"{where}: is no regular file; name the JSON of lacal evaluate")
        if path.exists() and path.stat().st_size > MOST_BYTES:
            raise DataError(f"{where}: is larger than any result of lacal evaluate; name its JSON")
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(f"{where}: there is no such file (--baseline)") from error
    except OSError as error:
        raise DataError(
            f"{where}: cannot be read ({error.strerror or error}) (--baseline)"
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{where}: is not JSON; expected what lacal evaluate --json prints"
        ) from error
    if not isinstance(content, dict):
        raise DataError(f"{where}: is not an object of lacal evaluate --json")
    return content


def _checked(content: dict[str, Any], where: str) -> Baseline:
    measures = {name: _measure(name, one) for name, one in content["measures"].items()}
    classes = content["classes"]
    names = [one["name"] for one in classes]
    named = bool(names) and all(isinstance(name, str) for name in names)
    for j, one in enumerate(classes):
        name = f"class.{names[j] if named else j}.error"
        # A class stands in a list of its own, with its error under that name.
        measures[name] = _measure(
            name,
            {"better": "lower", "unit": "share", "undefined": "no labelled row"}
            | one
            | {"value": one["error"]},
        )
    support = np.array([_whole(one["n"]) for one in classes], np.int64)
    target, calibration = content.get("target_prior"), content.get("calibration")
    return Baseline(
        where,
        measures,
        support,
        tuple(names) if named else None,
        bool(content.get("weighted", False)),
        {name: str(one["rule"]) for name, one in (content.get("groups") or {}).items()},
        None if target is None else tuple(_shares(target["shares"], len(classes))),
        None if calibration is None else str(calibration["scheme"]),
    )


def _shares(values: list[Any], classes: int) -> list[float]:
    shares = [number for number in map(_number, values) if number is not None]
    if len(shares) != classes:
        raise ValueError(values)
    return shares


def _measure(name: str, one: dict[str, Any]) -> Measure:
    low, high = one.get("interval") or (None, None)
    better, unit, undefined = one["better"], one["unit"], one.get("undefined")
    if better not in ("lower", "higher") or not isinstance(unit, str):
        raise ValueError(name)
    if undefined is not None and not isinstance(undefined, str):
        raise ValueError(name)
    return Measure(
        name, _number(one["value"]), _number(low), _number(high), _number(one.get("standard_error")),
        _whole(one["n"]), better, unit, undefined,
    )  # fmt: skip


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(value)
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(value)
    return value
