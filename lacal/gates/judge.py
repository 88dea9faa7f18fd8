"""Whether gates hold: three answers, since an undefined number makes some conditions undecided.

`and` and `or` are Kleene's: what is false or true whatever the undefined number may be is decided. A gate that
stays undecided fails, with the reason: a CI job must not pass because a number is missing.
"""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence

from lacal.classes.names import near_miss, shown
from lacal.errors import UsageError
from lacal.gates.expression import (
    Arithmetic,
    Comparison,
    Condition,
    Gate,
    Name,
    Number,
    Quantity,
    comparisons,
    names,
    names_of,
)
from lacal.gates.verdict import Verdict
from lacal.gates.words import apart, named, why_undefined
from lacal.measure import Measure

Measures = Mapping[str, Measure]

_ASKS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip
_WORDS = {">": "above", ">=": "at or above", "<": "below", "<=": "at or below"}
_SIGNS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul,
}  # fmt: skip
# Ends of a measure's name that ask for something else than its value.
ENDS = ("low", "high", "n")


def judge(gates: Sequence[Gate], measures: Measures) -> list[Verdict]:
    """What becomes of every gate, in order.

    Raises:
        UsageError: A gate names what is no measure of this run, or compares a share with what no share can be.
    """
    for gate in gates:
        check_names(gate, measures)
        _check_ranges(gate, measures)
    return [_verdict(gate, measures) for gate in gates]


def check_names(gate: Gate, known: Iterable[str], or_ends: tuple[str, ...] = ()) -> None:
    """Refuse names that are not among these, with the nearest one.

    Args:
        gate: Its names.
        known: Names of measures.
        or_ends: Ends of further names that may be measures.
    """
    listed = tuple(known)
    for name in names_of(gate):
        base = _base(name)
        if not (name in listed or base in listed or base.endswith(or_ends)):
            raise unknown(name, listed, "--fail-if")


def unknown(name: str, known: tuple[str, ...], option: str) -> UsageError:
    """What a misspelt measure is answered."""
    hint = near_miss(name, known)
    some = "" if hint else f"; expected one such as {', '.join(map(shown, known[:6]))}"
    return UsageError(f"{option}: {shown(name)} is no measure of this run{some}.{hint}")


def _base(name: str) -> str:
    """`few.error` of `few.error.low`."""
    base, _, end = name.rpartition(".")
    return base if end in ENDS else name


def _measure(name: str, measures: Measures) -> tuple[Measure, str]:
    """The measure a name belongs to, and which of its numbers is meant."""
    if name in measures:
        return measures[name], "value"
    base, _, end = name.rpartition(".")
    return measures[base], end


def _value(quantity: Quantity, measures: Measures) -> float | None:
    match quantity:
        case Number(value):
            return value
        case Name(name):
            measure, which = _measure(name, measures)
            number: float | None = getattr(measure, which)
            return number
        case Arithmetic(sign, left, right):
            first, second = _value(left, measures), _value(right, measures)
            return None if first is None or second is None else _SIGNS[sign](first, second)


def _holds(condition: Condition, measures: Measures) -> bool | None:
    if isinstance(condition, Comparison):
        left, right = _value(condition.left, measures), _value(condition.right, measures)
        return None if left is None or right is None else _ASKS[condition.operator](left, right)
    parts = [_holds(part, measures) for part in condition.parts]
    decisive = condition.word == "or"
    if decisive in parts:
        return decisive
    return None if None in parts else not decisive


def _verdict(gate: Gate, measures: Measures) -> Verdict:
    looked_at = {
        measure.name: measure
        for measure, _ in (_measure(name, measures) for name in names_of(gate))
    }
    holds = _holds(gate.condition, measures)
    reason = "; ".join(_said(one, measures) for one in comparisons(gate.condition))
    if holds is None:
        reason = f"cannot be judged, so it fails: {reason}"
    found = "; ".join(named(one) for one in looked_at.values()) or "no measure"
    return Verdict(gate.text, holds is False, found, reason)


def _said(one: Comparison, measures: Measures) -> str:
    """The comparison with its numbers: `62.73 % is above 60.00 %`."""
    missing = [name for side in (one.left, one.right) for name in names(side)
               if _value(Name(name), measures) is None]  # fmt: skip
    if missing:
        return "; ".join(dict.fromkeys(_missing(name, measures) for name in missing))
    left, right = _value(one.left, measures), _value(one.right, measures)
    assert left is not None
    assert right is not None
    first, second = apart(left, right, _unit(one, measures))
    denied = "" if _ASKS[one.operator](left, right) else "not "
    return f"{first} is {denied}{_WORDS[one.operator]} {second}"


def _missing(name: str, measures: Measures) -> str:
    measure, which = _measure(name, measures)
    if measure.value is None:
        return f"{shown(measure.name)} is undefined ({why_undefined(measure)})"
    return f"{shown(measure.name)} has no interval, so {shown(name)} has no value ({which})"


def _unit(one: Comparison, measures: Measures) -> str:
    """The unit of both sides, where all they name has the same."""
    units = {
        "" if which == "n" else measure.unit
        for side in (one.left, one.right)
        for measure, which in (_measure(name, measures) for name in names(side))
    }
    return units.pop() if len(units) == 1 else ""


def _check_ranges(gate: Gate, measures: Measures) -> None:
    """Refuse a share beside a constant that no share reaches: 35 where 35% is meant would never fail."""
    for one in comparisons(gate.condition):
        for name, number in ((one.left, one.right), (one.right, one.left)):
            if isinstance(name, Name) and isinstance(number, Number):
                measure, which = _measure(name.name, measures)
                if measure.unit == "share" and which != "n" and abs(number.value) > 1:
                    raise UsageError(
                        f"--fail-if: {shown(gate.text)}: {shown(name.name)} is a share, from 0 to 1; got "
                        f"{number.value:g}, expected {number.value:g}% or {number.value / 100:g}"
                    )
