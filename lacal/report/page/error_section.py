"""The section that leads most pages: every error with its interval, as a chart and in numbers."""

from collections.abc import Callable

from lacal.classes.groups import Groups
from lacal.classes.target import TargetPrior
from lacal.formats.shown import printable
from lacal.metrics import ClassTally, Rate
from lacal.report.charts import figures
from lacal.report.charts.data import SIDES, ErrorRow, Errors
from lacal.report.charts.marks import percent
from lacal.report.charts.style import group_colours
from lacal.report.document import Table
from lacal.report.page.content import Chart, Section

NAME = 40  # letters of a name in words
CAPTION = (
    "Balanced error is the mean of the classes' own errors, rare ones counting as much as common ones; micro error is "
    "the share of rows that are wrong. Bars are 95 % intervals."
)


def error_section(
    after: ClassTally,
    before: ClassTally | None,
    groups: Groups | None,
    *more: str | Table,
    target: TargetPrior | None = None,
    sides: tuple[str, str] = SIDES,
    title: str = "Errors",
    name: str = "errors",
    caption: str = CAPTION,
    short: str = "Errors",
) -> Section:
    """Balanced, group and micro error, and the one under a target prior.

    Args:
        after: What is reported.
        before: What it is held against; None for nothing.
        groups: Of the classes; None for none.
        more: Sentences and tables below the chart.
        target: Class shares of deployment; None for none.
        sides: What before and after are called.
        title: The section's.
        name: The chart's.
        caption: Of the chart.
        short: The section's name in the line of links.
    """
    shown = Errors(tuple(_rows(after, before, groups, target)), sides)
    told = "; ".join(f"{printable(one.name, NAME)} {_told(one, sides)}" for one in shown.rows)
    chart = Chart(name, caption, f"Errors: {told}.", lambda: figures.errors(shown))
    return Section(title, (chart, *more), short)


def _rows(
    after: ClassTally, before: ClassTally | None, groups: Groups | None, target: TargetPrior | None
) -> list[ErrorRow]:
    def row(
        name: str, rule: str | None, error: Callable[[ClassTally], Rate], shade: str | None = None
    ) -> ErrorRow:
        now = error(after)
        rests = "" if not rule else f"{rule}, "
        was = None if before is None else _ends(error(before))
        # Groups have colours of their own, unless colour tells before from after.
        return ErrorRow(name, f"{rests}n = {now.n:,}", _ends(now), was, None if before else shade)

    balanced = after.balanced()
    rows = [row("balanced error", f"{balanced.classes:,} classes", lambda one: one.balanced())]
    masks = {} if groups is None else groups.masks
    for (group, mask), shade in zip(masks.items(), group_colours(len(masks)), strict=True):
        # A file is named once, among the facts.
        rule = groups.rule[group] if groups is not None and groups.by_counts else None
        rows.append(row(group, rule, lambda one, mask=mask: one.balanced(mask), shade))  # type: ignore[misc]
    if target is not None:
        prior = target.prior
        name = printable(target.name, NAME)
        rows.append(row("in target shares", name, lambda one: one.under(prior)))
    return [*rows, row("micro error", None, lambda one: one.micro())]


def _ends(one: Rate) -> tuple[float, float | None, float | None] | None:
    return None if one.value is None else (one.value, one.low, one.high)


def _told(row: ErrorRow, sides: tuple[str, str]) -> str:
    if row.after is None:
        return "undefined"
    if row.before is None:
        return percent(row.after[0])
    return f"{percent(row.before[0])} {sides[0]}, {percent(row.after[0])} {sides[1]}"
