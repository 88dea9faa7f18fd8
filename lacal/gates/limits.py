"""Limits on how far a measure may move away from the baseline's: `balanced_error=0.01`, or `=5%` of its value."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lacal.classes.names import shown
from lacal.errors import UsageError
from lacal.gates.baseline import Baseline
from lacal.gates.grammar import parse_name
from lacal.gates.lookup import Measures
from lacal.gates.quoting import quoted
from lacal.gates.tokens import NUMBER
from lacal.gates.unknown import unknown
from lacal.gates.verdict import Verdict
from lacal.gates.words import (
    amount,
    apart,
    interval,
    is_gain,
    measured,
    named,
    share_words,
    unit_of,
    why_undefined,
)
from lacal.measure import Measure

Direction = Literal["increase", "decrease"]

# Differences of rounded numbers: 0.13 - 0.12 is 1e-17 more than 0.01, and is meant to be 0.01.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Change:
    """A paired change of a measure on the rows of both runs, baseline to candidate, with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int

    def is_sure(self, direction: Direction) -> bool:
        """Whether the whole interval lies on the side of this direction."""
        return self.low > 0 if direction == "increase" else self.high < 0


@dataclass(frozen=True, slots=True)
class Limit:
    """How far a measure may rise or fall.

    Attributes:
        text: As the user wrote it, with its option.
        name: Of the measure.
        amount: The most; a share of the baseline's value where `relative`.
        relative: Whether it was given in percent.
        direction: Which way.
    """

    text: str
    name: str
    amount: float
    relative: bool
    direction: Direction

    @property
    def option(self) -> str:
        """Its option on the command line."""
        return f"--max-{self.direction}"

    @property
    def written(self) -> str:
        """The text without the option."""
        return self.text.removeprefix(f"{self.option} ")

    def allowed(self, baseline: float) -> float:
        """The most it may move, in the measure's own unit."""
        return self.amount * abs(baseline) if self.relative else self.amount


def parse_limit(text: str, direction: Direction) -> Limit:
    """The limit that NAME=0.01 or NAME=5% says.

    Raises:
        UsageError: It is malformed, or negative.
    """
    option = f"--max-{direction}"
    name, equals, number = text.rpartition("=")
    if not equals:
        raise UsageError(
            f"{option}: got {shown(text)}, expected NAME=LIMIT, such as balanced_error=0.01 or balanced_error=5%"
        )
    digits, percent, rest = number.strip().partition("%")
    value = float(digits) if re.fullmatch(rf"\+?{NUMBER}", digits.strip()) else math.nan
    if rest or not math.isfinite(value):
        raise UsageError(
            f"{option}: {shown(text)}: {shown(number)} is no limit; expected a number from 0, such as 0.01, or 5% "
            "of the baseline's value"
        )
    limit = value / 100 if percent else value
    return Limit(
        f"{option} {text.strip()}", parse_name(name, option), limit, bool(percent), direction
    )


def check_limits(limits: tuple[Limit, ...], known: Measures, place: str) -> None:
    """Refuse limits on what the baseline lacks, on a change for the better, or that no change exceeds.

    Raises:
        UsageError: With the nearest name, the option that is meant, or the number.
    """
    for one in limits:
        if one.name not in known:
            raise unknown(one.name, tuple(known), one.option, whose=f"the baseline {place}")
        worse: Direction = "increase" if known[one.name].better == "lower" else "decrease"
        if worse != one.direction:
            raise UsageError(
                f"{one.option} {quoted(one.name)}: {known[one.name].better} is better; give --max-{worse}"
            )
        if known[one.name].unit == "share":
            _check_can_fail(one, known[one.name])


def _check_can_fail(one: Limit, before: Measure) -> None:
    """Refuse 5 where 5% is meant: a share changes by 1 at most, so it would pass whatever was measured."""
    if one.relative:
        falls_to_zero = one.direction == "decrease" and not is_gain(before)
        if one.amount >= 1 if falls_to_zero else one.allowed(before.value or 0.0) >= 1:
            raise UsageError(
                f"{one.option}: {shown(one.written)}: no change is more than that; expected a smaller limit"
            )
    elif one.amount >= 1:
        kind = share_words(before)
        raise UsageError(
            f"{one.option}: {shown(one.written)}: {quoted(one.name)} is {kind}; got {one.amount:g}, expected "
            f"{one.amount:g}% (of the baseline's value) or {one.amount / 100:g}"
        )


def judge_limits(
    limits: tuple[Limit, ...],
    baseline: Baseline,
    measures: Measures,
    paired: Callable[[str], Change] | None,
) -> list[Verdict]:
    """What becomes of every limit.

    Args:
        limits: Checked against the baseline already.
        baseline: The earlier run.
        measures: Of the run that is judged.
        paired: The paired change of a measure; None where a limit alone decides.

    Raises:
        UsageError: This run lacks a measure that the baseline has.
    """
    for one in limits:
        if one.name not in measures:
            raise unknown(one.name, tuple(measures), one.option)
    return [
        _verdict(one, baseline.measures[one.name], measures[one.name], paired) for one in limits
    ]


def _verdict(
    limit: Limit, before: Measure, after: Measure, paired: Callable[[str], Change] | None
) -> Verdict:
    found = f"{named(after)}; baseline {measured(before)}"
    for measure, whose in ((before, "the baseline's"), (after, "this run's")):
        if measure.value is None:
            told = f"{named(after, why=measure is before)}; baseline {measured(before, why=measure is after)}"
            reason = f"cannot be judged, so it fails: {whose} value is undefined ({why_undefined(measure)})"
            return Verdict(limit.text, False, told, reason)
    assert before.value is not None
    assert after.value is not None
    moved = after.value - before.value
    worse = moved if limit.direction == "increase" else -moved
    allowed = limit.allowed(before.value)
    beyond = worse > allowed + _ROUNDING
    unit = _moves_in(unit_of(after))
    reason = _moved(moved, worse, allowed, beyond, limit, unit)
    if not beyond or paired is None:
        return Verdict(limit.text, not beyond, found, reason)
    change = paired(limit.name)
    sure = change.is_sure(limit.direction)
    span = interval(change.low, change.high, unit)
    reason += (
        f"; the paired change on {change.n:,} rows of both is {amount(change.value, unit)}, {span}, "
        f"{'so it is sure' if sure else 'which may be chance'}"
    )
    return Verdict(limit.text, not sure, found, reason)


def _moves_in(unit: str) -> str:
    return "points" if unit == "share" else unit


def _moved(
    moved: float, worse: float, allowed: float, beyond: bool, limit: Limit, unit: str
) -> str:
    """`rose by 1.60 points, more than the 1.00 points allowed`."""
    if moved == 0:
        return "did not change"
    way = "rose" if moved > 0 else "fell"
    if worse < 0:
        return f"{way} by {amount(abs(moved), unit)}, which is better"
    by, most = (
        apart(worse, allowed, unit) if beyond else (amount(worse, unit), amount(allowed, unit))
    )
    of = f" ({100 * limit.amount:g} % of the baseline's)" if limit.relative else ""
    return f"{way} by {by}, {'more than' if beyond else 'within'} the {most}{of} allowed"
