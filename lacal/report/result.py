"""`Result`: what a command found, in every form it can be asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lacal.json_text import Json
from lacal.report.document import Block, Strong, Table

if TYPE_CHECKING:
    from lacal.gates.verdict import Verdict
    from lacal.report.page.content import Page


@dataclass(frozen=True, slots=True)
class Result:
    """What a command found, in every form it can be asked for; a form is made when it is.

    Attributes:
        command: Its name.
        json: The contract with scripts.
        blocks: Lines and tables for a person: the answer first.
        warnings: Sentences that should be known before the result is used; the JSON holds them too.
        verdicts: Of the gates, in the order they were given.
        page: The report with charts; None where the command has none.
    """

    command: str
    json: Callable[[], Json]
    blocks: Callable[[], list[Block]]
    warnings: tuple[str, ...] = ()
    verdicts: tuple["Verdict", ...] = field(default=())
    page: "Callable[[], Page] | None" = None


def verdict_table(verdicts: "Sequence[Verdict]") -> Table:
    """What became of every gate, a row each."""
    rows = tuple(
        (one.shown, one.became if one.passed else Strong(one.became), one.reason, one.found)
        for one in verdicts
    )
    return Table(("gate", "verdict", "reason", "found"), rows)


def verdict_summary(verdicts: "Sequence[Verdict]") -> str:
    """`1 of 2 gates failed`, or `2 gates passed`; of one or more gates."""
    failed = sum(not one.passed for one in verdicts)
    gates = "1 gate" if len(verdicts) == 1 else f"{len(verdicts):,} gates"
    if not failed:
        return f"{gates} passed"
    return f"{gates} failed" if len(verdicts) == 1 else f"{failed:,} of {gates} failed"
