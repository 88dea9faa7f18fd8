"""The file of a baseline: `lacal evaluate`'s JSON, read as the foreign file it is, every field that is used checked."""

import math
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from lacal.classes.names import shown
from lacal.errors import DataError
from lacal.formats.shown import place, reason
from lacal.formats.text import read_text, strict_json
from lacal.gates.baseline import Baseline
from lacal.gates.words import is_gain
from lacal.measure import Measure
from lacal.probabilities import Probabilities

SCHEMA_VERSION = 1  # of the JSON that is understood
HOW = "a baseline is the JSON of an earlier run: lacal evaluate ... --report METRICS.json"
_Kind = TypeVar("_Kind")
_ROUNDING = 1e-9  # of a number at the end of its range


def read_baseline(path: Path) -> Baseline:
    """The measures that the file holds.

    Raises:
        DataError: It is no JSON of `lacal evaluate`, of another version, or damaged.
    """
    content = _parsed(path)
    where = place(path)
    if content.get("command") != "evaluate":
        raise DataError(f"{where}: is no result of lacal evaluate; {HOW}")
    version = content.get("schema_version")
    if version is True or version != SCHEMA_VERSION:
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
            f"{where}: is damaged: it does not hold what lacal evaluate writes; write it anew"
        ) from error


def _parsed(path: Path) -> dict[str, Any]:
    try:
        content = strict_json(read_text(path))
    except DataError as error:
        raise DataError(f"{error}; {HOW}") from error
    except ValueError as error:
        raise DataError(f"{place(path)}: is not JSON ({reason(error)}); {HOW}") from error
    if not isinstance(content, dict):
        raise DataError(f"{place(path)}: is no result of lacal evaluate; {HOW}")
    return content


def _checked(content: dict[str, Any], where: str) -> Baseline:
    measures = {name: _measure(name, one) for name, one in content["measures"].items()}
    if "balanced_error" not in measures:
        raise ValueError("measures")
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
    _whole(content.get("rows", 0))
    if not isinstance(content.get("temperature") or {}, dict):
        raise TypeError("temperature")
    return Baseline(
        where,
        measures,
        support,
        tuple(names) if named else None,
        _of(bool, content.get("weighted", False)),
        {name: _of(str, one["rule"]) for name, one in (content.get("groups") or {}).items()},
        _groups(classes),
        None if target is None else tuple(_shares(target["shares"], len(classes))),
        None if calibration is None else _of(str, calibration["scheme"]),
        _probabilities(content.get("probabilities"), len(classes)),
    )


def _groups(classes: list[dict[str, Any]]) -> tuple[str | None, ...] | None:
    """The group of each class; None where the file does not say."""
    if not all("group" in one for one in classes):
        return None
    return tuple(None if one["group"] is None else _of(str, one["group"]) for one in classes)


def _probabilities(told: Any, classes: int) -> Probabilities | None:
    """What the run's probabilities were of its adjusted logits."""
    if told is None:
        return None
    temperature, shares = _number(told["temperature"]), told["class_shares"]
    if temperature is None or temperature <= 0:
        raise ValueError(temperature)
    if shares is None:
        return Probabilities(temperature)
    with np.errstate(divide="ignore"):
        return Probabilities(temperature, np.log(np.array(_shares(shares, classes))))


def _shares(values: list[Any], classes: int) -> list[float]:
    shares = [number for number in map(_number, values) if number is not None]
    if len(shares) != classes or min(shares) < 0:
        raise ValueError(values)
    return shares


def _measure(name: str, one: dict[str, Any]) -> Measure:
    low, high = map(_number, one.get("interval") or (None, None))
    better, unit, undefined = one["better"], one["unit"], one.get("undefined")
    if better not in ("lower", "higher") or not isinstance(unit, str):
        raise ValueError(name)
    if undefined is not None and not isinstance(undefined, str):
        raise ValueError(name)
    if low is not None and high is not None and low > high:
        raise ValueError(name)
    found = Measure(
        name, _number(one["value"]), low, high, _number(one.get("standard_error")),
        _whole(one["n"]), better, unit, undefined,
    )  # fmt: skip
    if found.value is not None and not _in_range(found, found.value):
        raise ValueError(name)
    return found


def _in_range(measure: Measure, value: float) -> bool:
    lowest = -1 if is_gain(measure) else 0
    highest = 1 if measure.unit == "share" else math.inf
    return lowest - _ROUNDING <= value <= highest + _ROUNDING


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(value)
    return float(value)


def _of(kind: type[_Kind], value: Any) -> _Kind:
    if not isinstance(value, kind):
        raise TypeError(value)
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(value)
    return value
