"""What a gate's text means: comparisons of numbers and measures, joined by `and` and `or`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Operator = Literal[">", ">=", "<", "<="]


@dataclass(frozen=True, slots=True)
class Number:
    """A constant; `35%` is 0.35."""

    value: float


@dataclass(frozen=True, slots=True)
class Name:
    """A measure, `few.error`; or an end of its interval or its rows, `few.error.low`, `few.error.n`."""

    name: str


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A sum, a difference or a product."""

    sign: Literal["+", "-", "*"]
    left: "Quantity"
    right: "Quantity"


Quantity = Number | Name | Arithmetic


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two quantities, and what is asked of them."""

    operator: Operator
    left: Quantity
    right: Quantity


@dataclass(frozen=True, slots=True)
class Junction:
    """Conditions of which all (`and`) or any (`or`) must hold."""

    word: Literal["and", "or"]
    parts: tuple["Condition", ...]


Condition = Comparison | Junction


@dataclass(frozen=True, slots=True)
class Gate:
    """A condition under which the run fails, as it was written and as it was read."""

    text: str
    condition: Condition


def comparisons(condition: Condition) -> Iterator[Comparison]:
    """Every comparison, from left to right."""
    if isinstance(condition, Comparison):
        yield condition
    else:
        for part in condition.parts:
            yield from comparisons(part)


def names(quantity: Quantity) -> Iterator[str]:
    """Every name in it, from left to right."""
    if isinstance(quantity, Name):
        yield quantity.name
    elif isinstance(quantity, Arithmetic):
        yield from names(quantity.left)
        yield from names(quantity.right)


def names_of(gate: Gate) -> list[str]:
    """The names a gate looks at, each once."""
    found = (
        name
        for one in comparisons(gate.condition)
        for side in (one.left, one.right)
        for name in names(side)
    )
    return list(dict.fromkeys(found))
