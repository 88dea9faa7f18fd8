"""A result as text of one kind: JSON, Markdown, JUnit, workflow commands of GitHub, or what a terminal shows."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lacal.json_text import json_text
from lacal.report.document import Block, Strong
from lacal.report.github import github
from lacal.report.junit import junit
from lacal.report.markdown import markdown
from lacal.report.result import Result, verdict_summary, verdict_table

if TYPE_CHECKING:
    from lacal.gates.verdict import Verdict
    from lacal.report.page.content import Page


def rendered(result: Result, kind: str, as_text: Callable[[list[Block]], str]) -> str:
    """The result as a file of this kind, or as stdout.

    Args:
        result: What a command found.
        kind: One of json, md, junit, github and text.
        as_text: How blocks are drawn without colour.
    """
    match kind:
        case "json":
            return json_text(result.json()) + "\n"
        case "md":
            return markdown(result)
        case "junit":
            return junit(result)
        case "github":
            return github(result, as_text(result.blocks()))
        case _:
            return as_text(blocks_of(result))


def blocks_of(result: Result) -> list[Block]:
    """How many gates failed, the result's lines and tables, then what became of each gate."""
    return [
        *_summary_line(result.verdicts),
        *result.blocks(),
        *verdict_lines(result.verdicts),
    ]


def _summary_line(verdicts: "Sequence[Verdict]") -> list[Block]:
    """In a job's log the verdicts stand below everything else, so the first line says what to look for there."""
    if not verdicts:
        return []
    line = f"{verdict_summary(verdicts)}, see the end"
    return [line if all(one.passed for one in verdicts) else Strong(line)]


def verdict_lines(verdicts: "Sequence[Verdict]") -> list[Block]:
    """A line a gate: what became of it, why, and the numbers with their intervals."""
    lines = [f"gate {one.became}: {one.shown}: {one.reason} ({one.found})" for one in verdicts]
    return [line if one.passed else Strong(line) for one, line in zip(verdicts, lines, strict=True)]


def page_with_verdicts(page: "Page", verdicts: "Sequence[Verdict]") -> "Page":
    """The page with its gates in front of the other sections, and those that failed above its warnings."""
    from lacal.report.page.content import Section

    if not verdicts:
        return page
    summary = verdict_summary(verdicts)
    failed = "; ".join(f"{one.shown}: {one.reason}" for one in verdicts if not one.passed)
    # The page writes FAILED in front of it.
    told = (f"{summary.removesuffix(' failed')}. {failed}.",) if failed else ()
    gates = Section("Gates", (f"{summary}.", verdict_table(verdicts)))
    return dataclasses.replace(page, failed=(*told, *page.failed), sections=(gates, *page.sections))
