"""Whether gates hold: three answers, since an undefined number (or infinity) makes some conditions undecided.

`and` and `or` are Kleene's: what is false or true whatever the undefined number may be is decided. A gate that
stays undecided fails, with the reason: a CI job must not pass because a number is missing.
"""

import math
import operator
from collections.abc import Callable, Iterable, Sequence

from lacal.gates.expression import (
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
from lacal.gates.lookup import Measures, base_of, measure_of
from lacal.gates.quoting import quoted
from lacal.gates.ranges import check_can_hold
from lacal.gates.unknown import unknown
from lacal.gates.verdict import Verdict
from lacal.gates.words import apart, named, unit_of, why_undefined

_ASKS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip
_WORDS = {">": "above", ">=": "at or above", "<": "below", "<=": "at or below"}
_SIGNS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul,
}  # fmt: skip


def judge(gates: Sequence[Gate], measures: Measures) -> list[Verdict]:
    """What becomes of every gate, in order.

    Raises:
        UsageError: A gate names what is no measure of this run, or compares a share with what no share can be.
    """
    for gate in gates:
        check_names(gate, measures)
        check_can_hold(gate, measures)
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
        base = base_of(name)
        if not (name in listed or base in listed or base.endswith(or_ends)):
            raise unknown(name, listed, "--fail-if", text=gate.text)


def _value(quantity: Quantity, measures: Measures) -> float | None:
    match quantity:
        case Number(value):
            return value
        case Name(name):
            measure, which = measure_of(name, measures)
            number: float | None = getattr(measure, which)
            return number
    first, second = _value(quantity.left, measures), _value(quantity.right, measures)
    return (
        None if first is None or second is None else _finite(_SIGNS[quantity.sign](first, second))
    )


def _finite(value: float) -> float | None:
    """The value, unless it left what a float holds: comparisons with NaN are false whatever is asked."""
    return value if math.isfinite(value) else None


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
        for measure, _ in (measure_of(name, measures) for name in names_of(gate))
    }
    holds = _holds(gate.condition, measures)
    said = dict.fromkeys(_said(one, measures) for one in comparisons(gate.condition))
    reason = "; ".join(said)
    if holds is None:
        reason = f"cannot be judged, so it fails: {reason}"
    told = {measure_of(name, measures)[0].name for one in comparisons(gate.condition)
            for name in _missing(one, measures)}  # fmt: skip
    found = "; ".join(named(one, why=one.name not in told) for one in looked_at.values())
    return Verdict(gate.text, holds is False, found or "no measure", reason)


def _said(one: Comparison, measures: Measures) -> str:
    """The comparison with its numbers: `62.73 % is above 60.00 %`."""
    missing = _missing(one, measures)
    if missing:
        return "; ".join(dict.fromkeys(_why_missing(name, measures) for name in missing))
    left, right = _value(one.left, measures), _value(one.right, measures)
    if left is None or right is None:
        return "its arithmetic gives no finite number"
    first, second = apart(left, right, _unit(one, measures))
    denied = "" if _ASKS[one.operator](left, right) else "not "
    return f"{first} is {denied}{_WORDS[one.operator]} {second}"


def _missing(one: Comparison, measures: Measures) -> list[str]:
    """The names that stand for no number."""
    return [name for side in (one.left, one.right) for name in names(side)
            if _value(Name(name), measures) is None]  # fmt: skip


def _why_missing(name: str, measures: Measures) -> str:
    measure, which = measure_of(name, measures)
    if measure.value is None:
        return f"{quoted(measure.name)} is undefined ({why_undefined(measure)})"
    return f"{quoted(measure.name)} has no interval, so {quoted(name)} has no value ({which})"


def _unit(one: Comparison, measures: Measures) -> str:
    """The unit of both sides, where all they name has the same."""
    units = {
        "" if which == "n" else unit_of(measure)
        for side in (one.left, one.right)
        for measure, which in (measure_of(name, measures) for name in names(side))
    }
    return units.pop() if len(units) == 1 else ""
