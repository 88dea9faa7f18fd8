"""Words, numbers and signs of a gate's text."""

import math
import re
from dataclasses import dataclass
from typing import Literal

from lacal.classes.names import shown
from lacal.errors import UsageError
from lacal.gates.quoting import quotes_missing

# Bounds that no sensible gate meets; class names of thousands of characters have occurred.
MOST_CHARACTERS = 20_000
MOST_TOKENS = 200
_LONG_EXPONENT = 10  # digits

# Digits of ASCII alone: what looks like a 3 in another script may be meant as something else.
NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_NAME = rf"(?:[^\W\d]\w*|{_QUOTED})(?:\.(?:\w+|{_QUOTED}))*"
_TOKEN = re.compile(
    rf"""(?P<number>{NUMBER}(?![\w.])\s*%?)
    |(?P<name>{_NAME})
    |(?P<sign>>=|<=|[-+*()<>](?!=))""",
    re.VERBOSE | re.DOTALL,
)

# What people write out of habit, and what is meant.
_HABITS = {
    "==": "measured numbers are hardly ever equal; use >= or <=",
    "!=": "measured numbers are hardly ever equal; use > or <",
    "=": "use >= or <=",
    "&": "write and",
    "|": "write or",
    "!": "turn the comparison round",
    "/": "multiply the other side, as in few.error > 3 * many.error",
    "'": "put names with other characters between double quotes",
    '"': "the quote is not closed",
}


@dataclass(frozen=True, slots=True)
class Token:
    """One of them, where it starts, and a number's value or a name without its quotes.

    Attributes:
        kind: `end` stands behind the last.
        text: As it is written.
        at: Its first character's place, from 0.
        name: Of a measure; "" for others.
        value: Of a number; 0.0 for others.
    """

    kind: Literal["number", "name", "sign", "end"]
    text: str
    at: int
    name: str = ""
    value: float = 0.0


def tokens(text: str, option: str = "--fail-if") -> list[Token]:
    """Every token of the text, then `end`.

    Raises:
        UsageError: It holds something else, or is longer than any sensible gate.
    """
    if len(text) > MOST_CHARACTERS:
        raise UsageError(
            f"{option}: has {len(text):,} characters, expected at most {MOST_CHARACTERS:,}"
        )
    found: list[Token] = []
    at = _after_spaces(text, 0)
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise refusal(text, at, _unreadable(text[at:]), option)
        found.append(_token(match))
        if not math.isfinite(found[-1].value):
            raise refusal(text, at, f"{shown(match[0])} is too large for a number", option)
        at = _after_spaces(text, match.end())
    if len(found) > MOST_TOKENS:
        raise UsageError(
            f"{option}: has {len(found)} words and signs, expected at most {MOST_TOKENS}; give several "
            "gates instead of one"
        )
    return [*found, Token("end", "", len(text))]


def refusal(
    text: str, at: int, fault: str, option: str = "--fail-if", *, certain: bool = False
) -> UsageError:
    """What is wrong, with the text up to there, so that the place can be found.

    Args:
        text: The gate.
        at: The place, from 0.
        fault: What is wrong there.
        option: Where the gate was given.
        certain: Whether the fault says what is meant; else it may be a name without its quotes.
    """
    before = text[:at].strip()
    where = f", after {shown(before[-40:])}" if before else ""
    missing = "" if certain else quotes_missing(text, at)
    return UsageError(f"{option}: {shown(text)}{where}: {missing or fault}")


def _token(match: re.Match[str]) -> Token:
    if match["number"]:
        return Token("number", match[0], match.start(), value=_value(match["number"]))
    if match["name"]:
        return Token("name", match[0], match.start(), name=_unquoted(match["name"]))
    return Token("sign", match[0], match.start())


def _value(text: str) -> float:
    """Of a number; a percentage is divided as text, so that 35.1% is the very number 0.351."""
    digits, percent, _ = text.partition("%")
    if not percent:
        # Characters between fields (28 to 31) are blanks to an expression, and not to `float`.
        return float(digits.strip())
    mantissa, _, exponent = digits.strip().lower().partition("e")
    # Python reads no whole number of thousands of digits; beyond this length the answer is infinity or 0.
    start, rest = exponent[:1], exponent.lstrip("+-").lstrip("0")
    power = int(rest or 0) if len(rest) < _LONG_EXPONENT else 10**_LONG_EXPONENT
    return float(f"{mantissa}e{(-power if start == '-' else power) - 2}")


def _unquoted(text: str) -> str:
    r"""The name as the measure is called.

    Example:
        >>> _unquoted('class."a\\"b".error')
        'class.a"b.error'
    """
    parts = re.findall(rf"\w+|{_QUOTED}", text, flags=re.DOTALL)
    plain = [re.sub(r"\\(.)", r"\1", one[1:-1], flags=re.DOTALL) if one[0] == '"' else one
             for one in parts]  # fmt: skip
    return ".".join(plain)


def _after_spaces(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _unreadable(rest: str) -> str:
    for habit, hint in _HABITS.items():
        if rest.startswith(habit):
            return f"{shown(habit)} is no sign of this grammar; {hint}"
    return f"{shown(rest[:20].split()[0])} cannot be read; expected a number, a measure or a sign"
