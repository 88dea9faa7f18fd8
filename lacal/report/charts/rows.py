"""Charts of one row a thing: errors with their intervals, methods against a reference, classes that changed."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lacal.report.charts.comparison_data import ClassChange, ClassChanges, Methods
from lacal.report.charts.data import ErrorRow, Errors
from lacal.report.charts.marks import (
    above,
    cut,
    number_ticks,
    percent,
    room,
    sides_key,
    text_width,
    whisker,
)
from lacal.report.charts.style import SMALL, TEXT, WIDTH, axes, canvas, colour, styled

TOP, FOOT = 26.0, 26.0
ROW, LOW_ROW, KEY = 36.0, 30.0, 16.0

TITLE = "error, %, with 95 % intervals"

Interval = tuple[float, float | None, float | None]


@styled
def errors(shown: Errors) -> Any:
    """Each error as a dot on its interval; where it was before as a grey one above."""
    rows = shown.rows
    values = [_values(one) for one in rows]
    left = _names_width([one.name for one in rows], [one.detail for one in rows])
    right = text_width(max(values, key=len), TEXT) + 8
    compared = any(row.before is not None for row in rows)
    # Long names of the sides stand on a line of their own, above the axis' name.
    long = compared and text_width(f"{TITLE}● ● {''.join(shown.sides)}", TEXT) + 16 > WIDTH
    key = KEY if long else 0.0
    figure, one = _panel(len(rows), left, right, ROW, top=TOP + key)
    ends = [each for row in rows for each in (row.after, row.before)]
    _scale(one, [*ends, (0.0, None, None)], low=0.0, high=100.0)
    above(one, TITLE, left=-left)
    for at, (row, value) in enumerate(zip(rows, values, strict=True)):
        _name(one, at, row.name, row.detail, left)
        up = 0.0 if row.before is None else 0.15
        if row.before is not None:
            _dot(one, row.before, at - 0.15, colour("before"))
        if row.after is not None:
            _dot(one, row.after, at + up, row.colour or colour("after"))
        _at_right(one, at, value, "ink")
    if compared:
        sides_key(one, shown.sides, right=right, up=8.0 + key)
    return figure


def _values(row: ErrorRow) -> str:
    """`18.7 → 13.4 %`."""
    if row.after is None:
        return "n/a"
    was = "" if row.before is None else f"{100 * row.before[0]:.1f} → "
    return was + percent(row.after[0])


@styled
def methods(shown: Methods) -> Any:
    """The fall of the balanced error by each method, with its paired interval; its error beside it."""
    left = _names_width([one.name for one in shown.rows], [one.detail for one in shown.rows])
    figure, one = _panel(len(shown.rows), left, 62.0, ROW)
    _scale(one, [each.gain for each in shown.rows] + [(0.0, 0.0, 0.0)])
    above(one, "fall of the balanced error, points")
    one.annotate(
        "error", (1, 1), (62, 8), "axes fraction", "offset points", color=colour("muted"), ha="right",
        va="bottom", annotation_clip=False,
    )  # fmt: skip
    one.axvline(0, color=colour("before"), linewidth=1.2)
    for at, row in enumerate(shown.rows):
        _name(one, at, row.name, row.detail.replace("= -", _minus("= -")), left)
        _at_right(one, at, percent(row.error[0]), "ink", end=62.0)
        if row.gain is None:
            one.plot([0], [at], "o", color=colour("before"), markersize=6, clip_on=False)
        else:
            _dot(one, row.gain, at, _verdict(row.gain))
    return figure


def _verdict(gain: tuple[float, float, float]) -> str:
    """Of an interval: better, worse, or it may be chance."""
    if gain[1] > 0:
        return colour("after")
    return colour("accent") if gain[2] < 0 else colour("muted")


@styled
def method_groups(shown: Methods) -> Any:
    """What each method does to every group: who pays for what the tail gains."""
    rows = [one for one in shown.rows if one.groups]
    names = [one.name for one in rows]
    groups = len(rows[0].groups)
    left = _names_width(names, [""])
    height = 12.0 + 9.0 * groups
    figure, one = _panel(len(rows), left, 10.0, height, top=TOP + 16)
    _scale(one, [each.gain for row in rows for each in row.groups] + [(0.0, 0.0, 0.0)])
    one.axvline(0, color=colour("before"), linewidth=1.2)
    above(one, "fall of each group's error, points", left=-left, up=24)
    for at, row in enumerate(rows):
        _name(one, at, row.name, "", left)
        for number, group in enumerate(row.groups):
            down = 9.0 / height * (number - (groups - 1) / 2)
            _dot(one, group.gain, at + down, group.colour, size=4.5)
    across = -left
    for group in rows[0].groups:
        name = f"● {cut(group.name, 12)}"
        one.annotate(
            name, (0, 1), (across, 7), "axes fraction", "offset points", color=group.colour,
            fontsize=SMALL, ha="left", va="bottom", annotation_clip=False,
        )  # fmt: skip
        across += text_width(name, TEXT) + 10
    return figure


@styled
def class_changes(shown: ClassChanges) -> Any:
    """The classes that gained and lost most: an arrow from the error before to the one after, and the fall beside it."""
    rows = [*shown.gained, *shown.lost]
    names = [cut(one.name, 18) for one in rows]
    left = _names_width(names, [f"n = {one.n:,}" for one in rows])
    figure, one = _panel(len(rows), left, 52.0, LOW_ROW)
    one.set_xlim(-3, 103)
    number_ticks(one.xaxis, 0, 100, 5)
    above(one, f"error, %: {shown.sides[0]} → {shown.sides[1]}", left=-left)
    one.annotate(
        "gain", (1, 1), (52, 8), "axes fraction", "offset points", color=colour("muted"), ha="right",
        va="bottom", annotation_clip=False,
    )  # fmt: skip
    for at, (row, name) in enumerate(zip(rows, names, strict=True)):
        _name(one, at, name, f"n = {row.n:,}", left)
        shade = colour("after" if row.after < row.before else "accent")
        _arrow(one, row, at, shade)
        _at_right(one, at, _minus(f"{100 * (row.before - row.after):+.1f}"), None, shade, end=52.0)
    if shown.gained and shown.lost:
        one.axhline(len(shown.gained) - 0.5, color=colour("muted"), linewidth=0.8)
    return figure


def _minus(text: str) -> str:
    """With a minus that is as wide as a plus."""
    return text.replace("-", "\N{MINUS SIGN}")


def _arrow(one: Any, row: ClassChange, at: int, shade: str) -> None:
    start, stop = 100 * row.before, 100 * row.after
    one.plot([start], [at], "o", color=colour("before"), markersize=5)
    one.annotate(
        "", (stop, at), (start, at), "data", "data",
        arrowprops={"arrowstyle": "-|>,head_length=0.45,head_width=0.22", "color": shade, "linewidth": 1.8,
                    "shrinkA": 2.5, "shrinkB": 0, "mutation_scale": 10},
    )  # fmt: skip


def _panel(
    rows: int, left: float, right: float, height: float, top: float = TOP
) -> tuple[Any, Any]:
    """A figure and its axes: so many rows, top down, upright grid lines."""
    deep = height * rows
    figure = canvas(top + deep + FOOT)
    one = axes(figure, left, top, WIDTH - left - right, deep)
    one.set_ylim(rows - 0.5, -0.5)
    one.set_yticks([])
    one.grid(axis="x")
    one.spines["bottom"].set_visible(False)
    one.tick_params(axis="x", length=0)
    return figure, one


def _scale(
    one: Any,
    shown: Sequence[Interval | None],
    low: float = -np.inf,
    high: float = np.inf,
) -> None:
    """Room for every interval, in percent; none to speak of beyond low and high, where nothing can be."""
    ends = [100 * end for each in shown if each is not None for end in each if end is not None]
    least, most = room(ends, least=2.0)
    air = 0.02 * (most - least)
    least, most = max(least, low - air), min(most, high + air)
    one.set_xlim(least, most)
    number_ticks(one.xaxis, least, most, 5)


def _names_width(names: Sequence[str], details: Sequence[str]) -> float:
    """Room for the longest name, but never more than two fifths of the chart."""
    widths = [text_width(cut(one, 40), TEXT) for one in names]
    widths += [text_width(cut(one, 40), SMALL) for one in details]
    return min(max(widths, default=0.0) + 8, 0.42 * WIDTH)


def _name(one: Any, at: int, name: str, detail: str, left: float) -> None:
    """A row's name, and what it rests on below it, from the chart's left edge."""
    fits = int((left - 6) / text_width("n", TEXT)), int((left - 6) / text_width("n", SMALL))
    lines = [(cut(name, fits[0]), "ink", TEXT, 6.5 if detail else 0.0)]
    lines += [(cut(detail, fits[1]), "muted", SMALL, -6.5)] if detail else []
    for text, role, size, up in lines:
        one.annotate(
            text, (0, at), (-left, up), ("axes fraction", "data"), "offset points", color=colour(role),
            fontsize=size, ha="left", va="center", annotation_clip=False,
        )  # fmt: skip


def _dot(one: Any, shown: Interval, y: float, shade: str, size: float = 6.0) -> None:
    value, low, high = shown
    if low is not None and high is not None:
        whisker(one, 100 * low, 100 * high, y, shade)
    one.plot([100 * value], [y], "o", color=shade, markersize=size, clip_on=False)


def _at_right(
    one: Any, at: int, text: str, role: str | None, shade: str = "", end: float | None = None
) -> None:
    one.annotate(
        text, (1, at), (8 if end is None else end, 0), ("axes fraction", "data"), "offset points",
        color=colour(role) if role else shade, ha="left" if end is None else "right", va="center",
        annotation_clip=False,
    )  # fmt: skip
