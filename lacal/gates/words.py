"""Numbers of a verdict in words: shares in percent, with as many digits as tell two numbers apart."""

from lacal.formats.shown import printable
from lacal.gates.quoting import typed
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
        >>> apart(1e-30, 0.0, "share")  # nobody would read more digits
        ('0.0000000000000000 %', '0.0000000000000000 %')
    """
    for digits in range(2, _MOST_DIGITS):
        shown = amount(first, unit, digits), amount(second, unit, digits)
        if shown[0] != shown[1] or first == second:
            break
    return shown


def unit_of(measure: Measure) -> str:
    """In which its number is told; a gain is a difference of shares, in points as everywhere else."""
    return "points" if is_gain(measure) else measure.unit


def is_gain(measure: Measure) -> bool:
    """Whether it is a difference of shares, from -1 to 1."""
    return measure.name.rpartition(".")[2] in ("gain", "micro_gain")


def share_words(measure: Measure) -> str:
    """Where the numbers of a share, or of a gain, lie."""
    return "a difference of shares, from -1 to 1" if is_gain(measure) else "a share, from 0 to 1"


def measured(measure: Measure, *, why: bool = True) -> str:
    """The number with its interval and rows: `62.73 %, 95 % interval 57.10 to 68.02 %, n 120`.

    Args:
        measure: Of either run.
        why: Whether to say why there is no number, where the sentence beside it does not.
    """
    if measure.value is None:
        return f"n/a ({why_undefined(measure)})" if why else "n/a"
    unit = unit_of(measure)
    return f"{amount(measure.value, unit)}, {_interval(measure, unit)}, n {measure.n:,}"


def why_undefined(measure: Measure) -> str:
    """Why there is no number; a baseline's words come from a file."""
    return printable(measure.undefined or "no reason given", 200)


def named(measure: Measure, *, why: bool = True) -> str:
    """The same behind its name, spelt as a gate spells it."""
    return f"{printable(typed(measure.name), 80)} {measured(measure, why=why)}"


def interval(low: float, high: float, unit: str) -> str:
    """`95 % interval 57.10 to 68.02 %`."""
    first, last = amount(low, unit), amount(high, unit)
    return f"95 % interval {first.partition(' ')[0]} to {last}"


def _interval(measure: Measure, unit: str) -> str:
    if measure.low is None or measure.high is None:
        return "no interval"
    return interval(measure.low, measure.high, unit)
