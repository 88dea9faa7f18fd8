"""Options that are set as NAME=VALUE: of a loss, a head, a second stage. What each may be, and reading them.

One table of `Option` serves the command line, which has texts, and the library, which has values.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lacal.classes.names import near_miss, shown
from lacal.errors import UsageError

Value = float | str | bool

YES_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Option:
    """One option, as `--loss-option name=value` sets it.

    Attributes:
        default: Its kind is the option's kind: number, text or yes/no.
        help: What it is, in a few words, with its symbol in the source.
        low: Smallest number allowed.
        high: Largest number allowed.
        words: Texts allowed, where it is a text.
    """

    default: Value
    help: str
    low: float = -math.inf
    high: float = math.inf
    words: tuple[str, ...] = ()


def parse_options(known: Mapping[str, Option], texts: Sequence[str], what: str) -> dict[str, Value]:
    """Every option with its value, defaults where nothing is said.

    Args:
        known: The options there are.
        texts: `name=value`, as typed.
        what: The command line's option, and of what, for messages: "--loss-option (ldam)".

    Raises:
        UsageError: An unknown name (the nearest is named), or a value outside its range.
    """
    said: dict[str, Value] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise UsageError(f"{what}: got {shown(text)}, expected NAME=VALUE")
        if name in said:
            raise UsageError(f"{what}: {name} is given twice; leave one out")
        option = _known(known, name, what)
        said[name] = _read(option, value)
        _check(option, said[name], value, f"{what}: {name}")
    return {name: said.get(name, one.default) for name, one in known.items()}


def settled_options(
    known: Mapping[str, Option], given: Mapping[str, Value], what: str
) -> dict[str, Value]:
    """Every option with its value, as `parse_options` gives them, from values instead of texts.

    Raises:
        UsageError: An unknown name (the nearest is named), a value of another kind or outside its range.
    """
    for name, value in given.items():
        _check(_known(known, name, what), value, str(value), f"{what}: {name}")
    return {name: given.get(name, one.default) for name, one in known.items()}


def _known(known: Mapping[str, Option], name: str, what: str) -> Option:
    if name not in known:
        there = f"expected one of: {', '.join(known)}" if known else "it has none"
        raise UsageError(
            f"{what}: there is no option {shown(name)}; {there}." + near_miss(name, tuple(known))
        )
    return known[name]


def _read(option: Option, text: str) -> Value:
    """The text as the option's kind; text that is not stays text, which `_check` refuses."""
    if isinstance(option.default, bool):
        return YES_NO.get(text.lower(), text)
    if isinstance(option.default, str):
        return text
    try:
        return float(text)
    except ValueError:
        return text


def _check(option: Option, value: Value, text: str, what: str) -> None:
    """Refuse a value of another kind, outside its range, or not among its words."""
    if isinstance(option.default, bool):
        if not isinstance(value, bool):
            raise UsageError(f"{what}: got {shown(text)}, expected yes or no")
    elif isinstance(option.default, str):
        if value not in option.words:
            raise UsageError(
                f"{what}: got {shown(text)}, expected one of {', '.join(option.words)}."
                + near_miss(text, option.words)
            )
    else:
        number = math.nan if isinstance(value, str | bool) else float(value)
        if not (option.low <= number <= option.high and math.isfinite(number)):
            raise UsageError(f"{what}: got {shown(text)}, expected a number{_span(option)}")


def _span(option: Option) -> str:
    ends = [
        f"at least {option.low:g}" if math.isfinite(option.low) else "",
        f"at most {option.high:g}" if math.isfinite(option.high) else "",
    ]
    span = " and ".join(end for end in ends if end)
    return f", {span}" if span else ""
