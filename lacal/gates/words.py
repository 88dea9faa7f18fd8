"""Numbers of a verdict in words: shares in percent, with as many digits as tell two numbers apart."""

from lacal.formats.shown import printable
from lacal.measure import Measure

_PERCENT = {"share": "%", "points": "points"}
_MOST_DIGITS = 17  # of a 64-bit float


def amount(value: float, unit: str, digits: int = 2) -> str:
    """`12.67 %` of a share, `0.8` of another number; a difference of shares is of the unit "points"."""
    if unit in _PERCENT:
        return f"{100 * value:.{digits}f} {_PERCENT[unit]}"
    plain = f"{value:.{digits + 2}g}"
    return f"{plain} nats" if unit == "nats" else plain


def apart(first: float, second: float, unit: str) -> tuple[str, str]:
    """Both numbers, with more digits where two would show different numbers alike.

    Example:
        >>> apart(0.35001, 0.35, "share")
        ('35.001 %', '35.000 %')
    """
    for digits in range(2, _MOST_DIGITS):
        shown = amount(first, unit, digits), amount(second, unit, digits)
        if shown[0] != shown[1] or first == second:
            break
    return shown


def measured(measure: Measure) -> str:
    """The number with its interval and rows: `62.73 %, 95 % interval 57.10 to 68.02 %, n 120`."""
    if measure.value is None:
        return f"n/a ({why_undefined(measure)})"
    return f"{amount(measure.value, measure.unit)}, {_interval(measure)}, n {measure.n:,}"


def why_undefined(measure: Measure) -> str:
    """Why there is no number; a baseline's words come from a file."""
    return printable(measure.undefined or "no reason given", 200)


def named(measure: Measure) -> str:
    """The same behind its name."""
    return f"{printable(measure.name, 80)} {measured(measure)}"


def interval(low: float, high: float, unit: str) -> str:
    """`95 % interval 57.10 to 68.02 %`."""
    first, last = amount(low, unit), amount(high, unit)
    return f"95 % interval {first.partition(' ')[0]} to {last}"


def _interval(measure: Measure) -> str:
    if measure.low is None or measure.high is None:
        return "no interval"
    return interval(measure.low, measure.high, measure.unit)
