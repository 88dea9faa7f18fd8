"""Comparisons that can never hold: `few.error > 35` where 35% is meant would pass whatever was measured."""

import math

from lacal.classes.names import shown
from lacal.errors import UsageError
from lacal.gates.expression import (
    Comparison,
    Gate,
    Name,
    Number,
    Quantity,
    comparisons,
    names,
)
from lacal.gates.lookup import Measures, measure_of
from lacal.gates.quoting import quoted
from lacal.gates.words import is_gain, share_words
from lacal.measure import Measure

Range = tuple[float, float]
_ANY: Range = (-math.inf, math.inf)


def check_can_hold(gate: Gate, measures: Measures) -> None:
    """Refuse a gate with a comparison that no measured number could make true, or false.

    Raises:
        UsageError: A share stands beside what no share reaches.
    """
    for one in comparisons(gate.condition):
        left, right = _range(one.left, measures), _range(one.right, measures)
        named = [any(True for _ in names(side)) for side in (one.left, one.right)]
        if isinstance(one.left, Name) and not named[1]:
            _check_share(gate, one.left.name, right[0], measures)
        if isinstance(one.right, Name) and not named[0]:
            _check_share(gate, one.right.name, left[0], measures)
        if any(named) and _never(one, left, right):
            hint = "" if "%" in gate.text else "; a percentage needs its sign, as in 5%"
            raise UsageError(
                f"--fail-if: {shown(gate.text)}: can never hold: its left side is {_between(left)}, its right side "
                f"{_between(right)}{hint}"
            )


def _check_share(gate: Gate, name: str, number: float, measures: Measures) -> None:
    measure, which = measure_of(name, measures)
    if measure.unit == "share" and which != "n" and 1 < abs(number) < math.inf:
        raise UsageError(
            f"--fail-if: {shown(gate.text)}: {quoted(name)} is {share_words(measure)}; got {number:g}, expected {number:g}% or "
            f"{number / 100:g}"
        )


def _never(one: Comparison, left: Range, right: Range) -> bool:
    if one.operator in ("<", "<="):
        left, right = right, left
    return left[1] < right[0] or (left[1] == right[0] and one.operator in ("<", ">"))


def _range(quantity: Quantity, measures: Measures) -> Range:
    """Between which numbers it lies, whatever was measured."""
    match quantity:
        case Number(value):
            return value, value
        case Name(name):
            return _of_measure(*measure_of(name, measures))
    first, second = _range(quantity.left, measures), _range(quantity.right, measures)
    if quantity.sign == "*":
        ends = [0.0 if 0 in (x, y) else x * y for x in first for y in second]
        return min(ends), max(ends)
    if quantity.sign == "-":
        second = -second[1], -second[0]
    ends = [first[0] + second[0], first[1] + second[1]]
    # Infinity less infinity: where arithmetic overflowed, nothing is known.
    return _ANY if any(map(math.isnan, ends)) else (ends[0], ends[1])


def _of_measure(measure: Measure, which: str) -> Range:
    if which == "n":
        return 0.0, math.inf
    if measure.name == "mcnemar.p":
        return 0.0, 1.0
    if measure.unit != "share":
        return _ANY
    return (-1.0, 1.0) if is_gain(measure) else (0.0, 1.0)


def _between(one: Range) -> str:
    return f"{one[0]:g}" if one[0] == one[1] else f"from {one[0]:g} to {one[1]:g}"
