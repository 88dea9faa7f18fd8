"""The grammar of gates, read by hand and never by `eval`.

    any        = all { "or" all }
    all        = comparison { "and" comparison }
    comparison = sum [ ( ">" | ">=" | "<" | "<=" ) sum ]
    sum        = product { ( "+" | "-" ) product }
    product    = term { "*" term }
    term       = NUMBER [ "%" ] | NAME | "-" term | "(" any ")"
    NAME       = part { "." part }, a part being letters, digits and _, or anything between double quotes

Conditions and quantities share one descent, since a parenthesis may hold either; where one stands in the other's
place is found by its type.
"""

from collections.abc import Callable
from typing import Literal, cast

from lacal.classes.names import near_miss, shown
from lacal.errors import UsageError
from lacal.gates.expression import (
    Arithmetic,
    Comparison,
    Condition,
    Gate,
    Junction,
    Name,
    Number,
    Operator,
    Quantity,
)
from lacal.gates.quoting import quotes_missing
from lacal.gates.tokens import Token, refusal, tokens

MOST_DEPTH = 20  # of parentheses and minus signs in each other
EXAMPLE = "such as balanced_error > 35%"
_OPERATORS = (">", ">=", "<", "<=")
_Node = Condition | Quantity


def parse_gate(text: str) -> Gate:
    """The gate that the text says: the run fails where it holds.

    Raises:
        UsageError: It is not of the grammar, or larger than any sensible gate.

    Example:
        >>> parse_gate("few.error > 60%").condition
        Comparison(operator='>', left=Name(name='few.error'), right=Number(value=0.6))
    """
    return Gate(text.strip(), _Reader(text).gate())


def parse_name(text: str, option: str) -> str:
    """A measure's name that stands alone, its quoted parts without their quotes."""
    found = tokens(text, option)
    if [one.kind for one in found] != ["name", "end"]:
        hint = 'expected one such as few.error, or class."T-shirt/top".error with its quotes'
        raise UsageError(
            f"{option}: {shown(text)} is no name of a measure; {quotes_missing(text, 0) or hint}"
        )
    return found[0].name


class _Reader:
    """One descent through the tokens of a gate."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._at = 0
        self._depth = 0

    def gate(self) -> Condition:
        if len(self._tokens) == 1:
            raise UsageError(f"--fail-if: is empty; expected a condition, {EXAMPLE}")
        found = self._any()
        if self._at < len(self._tokens) - 1:
            hint = near_miss(self._now.text.lower(), ("and", "or"))
            raise self._fault(
                f"{shown(self._now.text)} is not expected here.{hint}", certain=bool(hint)
            )
        return self._condition(found)

    def _any(self) -> _Node:
        return self._joined("or", self._all)

    def _all(self) -> _Node:
        return self._joined("and", self._comparison)

    def _joined(self, word: Literal["and", "or"], read: Callable[[], _Node]) -> _Node:
        first = read()
        if self._now.text != word:
            return first
        parts = [self._condition(first)]
        while self._take(word):
            parts.append(self._condition(read()))
        return Junction(word, tuple(parts))

    def _comparison(self) -> _Node:
        left = self._sum()
        operator = self._take(*_OPERATORS)
        if not operator:
            return left
        right = self._sum()
        if self._now.text in _OPERATORS:
            raise self._fault("two comparisons in a row; join them with and")
        return Comparison(cast(Operator, operator), self._quantity(left), self._quantity(right))

    def _sum(self) -> _Node:
        found = self._product()
        while sign := self._take("+", "-"):
            right = self._quantity(self._product())
            found = Arithmetic(cast(Literal["+", "-"], sign), self._quantity(found), right)
        return found

    def _product(self) -> _Node:
        found = self._term()
        while self._take("*"):
            found = Arithmetic("*", self._quantity(found), self._quantity(self._term()))
        return found

    def _term(self) -> _Node:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise self._fault(f"more than {MOST_DEPTH} parentheses or minus signs in each other")
        found = self._inner()
        self._depth -= 1
        return found

    def _inner(self) -> _Node:
        token = self._now
        if self._take("-"):
            return Arithmetic("*", Number(-1.0), self._quantity(self._term()))
        if self._take("("):
            inside = self._any()
            if not self._take(")"):
                raise self._fault("a parenthesis is not closed")
            return inside
        if token.text == "not":
            raise self._fault("not is no word of this grammar; turn the comparison round")
        if token.kind not in ("number", "name") or token.text in ("and", "or"):
            found = "the end" if token.kind == "end" else shown(token.text)
            raise self._fault(f"got {found}, expected a number or a measure")
        self._at += 1
        return Number(token.value) if token.kind == "number" else Name(token.name)

    @property
    def _now(self) -> Token:
        return self._tokens[self._at]

    def _take(self, *texts: str) -> str:
        """The text of the present token if it is one of these, which is then passed."""
        found = self._now.text
        if found not in texts:
            return ""
        self._at += 1
        return found

    def _condition(self, node: _Node) -> Condition:
        if isinstance(node, Comparison | Junction):
            return node
        raise self._fault(f"nothing is compared; expected a condition, {EXAMPLE}")

    def _quantity(self, node: _Node) -> Quantity:
        if isinstance(node, Number | Name | Arithmetic):
            return node
        raise self._fault("a condition stands where a number or a measure should")

    def _fault(self, fault: str, *, certain: bool = False) -> UsageError:
        return refusal(self._text, self._now.at, fault, certain=certain)
