"""Balanced error over tau: of all classes with every rule's pick below it, and group by group."""

from typing import Any

import numpy as np

from lacal.report.charts.data import GroupCurves, Pick, TauCurve
from lacal.report.charts.marks import (
    above,
    apart,
    below,
    cut,
    number_ticks,
    percent,
    room,
    signed,
    text_width,
)
from lacal.report.charts.style import SMALL, TEXT, WIDTH, axes, canvas, colour, styled

LEFT, RIGHT, TOP = 30.0, 12.0, 26.0
DASH = 16.0  # units, of a sample of a line
ROW = 17.0  # height of one rule's row
HEAD = 0.08  # of the plot's height, for the words at the chosen tau
SAME = 1e-9  # far below one row's weight
GROUP = 26.0  # height of one group's name and rule


@styled
def curve(shown: TauCurve) -> Any:
    """The exact curve with its grid, and a row for every rule: what it picks, with the interval of the one that counts."""
    rows = [*shown.picks, *_optimum(shown)]
    plot = 210.0
    lines = len(rows) + (shown.unadjusted is not None)
    figure = canvas(TOP + plot + 40 + ROW * lines)
    upper = axes(figure, LEFT, TOP, WIDTH - LEFT - RIGHT, plot)
    low, high = float(shown.taus[0]), float(shown.taus[-1])
    _band(upper, shown)
    if shown.unadjusted is not None:
        _unadjusted(upper, shown.unadjusted, shown)
    upper.plot(
        shown.taus, 100 * shown.errors, color=colour("after"), linewidth=1.1, gid="part-curve"
    )
    upper.plot(shown.grid, 100 * shown.grid_errors, "o", color=colour("after"), markersize=2.7)
    upper.set_xlim(low, high)
    level = [] if shown.unadjusted is None else [shown.unadjusted]
    band = [] if shown.band is None else [*shown.band.low, *shown.band.high]
    every = np.concatenate([shown.errors, shown.grid_errors, level, band])
    bottom, top = room(100 * every)
    top += HEAD * (top - bottom)
    upper.set_ylim(bottom, top)
    number_ticks(upper.yaxis, bottom, top, 5)
    number_ticks(upper.xaxis, low, high, 8)
    below(upper, shown.symbol)
    above(upper, "balanced error, %", left=-LEFT)
    chosen = next((one for one in shown.picks if one.chosen), None)
    if chosen is not None:
        _mark(upper, chosen, shown)
    if lines:
        lower = axes(figure, LEFT, TOP + plot + 34, WIDTH - LEFT - RIGHT, ROW * lines)
        _rules(lower, rows, shown)
    return figure


def _optimum(shown: TauCurve) -> list[Pick]:
    if shown.plateau is None:
        return []
    low, high, error = shown.plateau
    ends = np.clip([low, high], shown.taus[0], shown.taus[-1])
    return [Pick("lowest of all", float(ends.mean()), error)]


def _band(upper: Any, shown: TauCurve) -> None:
    if shown.band is not None:
        upper.fill_between(
            shown.band.taus, 100 * shown.band.low, 100 * shown.band.high,
            color=colour("after"), alpha=0.12, linewidth=0,
        )  # fmt: skip


def _mark(upper: Any, chosen: Pick, shown: TauCurve) -> None:
    """The chosen tau: a line through the plot, and its numbers beside the dot on the curve."""
    accent = colour("accent")
    upper.axvline(chosen.tau, color=accent, linewidth=1.0, gid="part-tau")
    upper.plot([chosen.tau], [100 * chosen.error], "o", color=accent, markersize=6, gid="part-pick")
    low, high = upper.get_xlim()
    right = (chosen.tau - low) / (high - low) < 0.6
    upper.annotate(
        f"{shown.chosen_words} {shown.symbol} = {signed(chosen.tau, 4)}: {percent(chosen.error)}",
        (chosen.tau, 1), (6 if right else -6, -2), ("data", "axes fraction"), "offset points",
        color=accent, ha="left" if right else "right", va="top",
    )  # fmt: skip


def _unadjusted(upper: Any, error: float, shown: TauCurve) -> None:
    """The level to be undercut, and the dot where the curve leaves it."""
    upper.axhline(100 * error, color=colour("before"), linewidth=0.9, dashes=(3, 3))
    # Where a bias is dropped or a class masked, tau 0 is another model already.
    starts = shown.taus[0] <= 0 <= shown.taus[-1]
    if starts and abs(np.interp(0.0, shown.taus, shown.errors) - error) < SAME:
        upper.plot([0], [100 * error], "o", color=colour("before"), markersize=6, clip_on=False)


def _rules(lower: Any, rows: list[Pick], shown: TauCurve) -> None:
    """A row a rule, dot at its tau, on the scale of the plot above; then what the unadjusted model does."""
    low, high = float(shown.taus[0]), float(shown.taus[-1])
    lower.set_xlim(low, high)
    lower.set_ylim(len(rows) + (shown.unadjusted is not None) - 0.5, -0.5)
    lower.set_axis_off()
    for at, one in enumerate(rows):
        shade = colour("accent") if one.chosen else colour("muted")
        start, stop = np.clip(_reach(one, at, shown), low, high)
        lower.plot(
            [start, stop], [at, at], color=shade, linewidth=4, alpha=0.35, solid_capstyle="butt"
        )
        lower.plot(
            [np.clip(one.tau, low, high)], [at], "o", color=shade, markersize=5, clip_on=False
        )
        words = f"{one.name}: {shown.symbol} {signed(one.tau, 4)}, error {percent(one.error)}"
        _beside(lower, words, at, (float(start), float(stop)), shade)
    if shown.unadjusted is not None:
        dash, grey = (low, low + DASH * _unit(lower)), colour("before")
        lower.plot(dash, [len(rows)] * 2, color=grey, linewidth=0.9, dashes=(3, 3))
        words = f"unadjusted: error {percent(shown.unadjusted)}"
        _beside(lower, words, len(rows), dash, colour("muted"))


def _reach(one: Pick, at: int, shown: TauCurve) -> tuple[float, float]:
    """What the bar of a row spans: the interval of the chosen tau, the plateau of the optimum."""
    if one.chosen and shown.tau_interval is not None:
        return shown.tau_interval
    if shown.plateau is not None and at == len(shown.picks):
        return shown.plateau[0], shown.plateau[1]
    return one.tau, one.tau


def _unit(lower: Any) -> float:
    """What a unit of the figure is on the axis of tau."""
    low, high = lower.get_xlim()
    return float(high - low) / (WIDTH - LEFT - RIGHT)


def _beside(lower: Any, words: str, at: int, reach: tuple[float, float], shade: str) -> None:
    """Words to the right of a bar, or to the left, or on one that leaves no room."""
    low, high = lower.get_xlim()
    wide = (text_width(words) + 8) * _unit(lower)
    x, off, ha = reach[1], 8, "left"
    if high - reach[1] < wide:
        x, off, ha = reach[0], -8, "right"
        if reach[0] - low + LEFT * _unit(lower) < wide:
            off, ha = 8, "left"
    lower.annotate(
        words, (x, at), (off, 0), "data", "offset points", color=shade, fontsize=SMALL, ha=ha, va="center",
        bbox={"facecolor": colour("paper"), "edgecolor": "none", "pad": 1.5},
    )  # fmt: skip


@styled
def group_curves(shown: GroupCurves) -> Any:
    """A line a group, named at its right end."""
    side, plot = 108.0, max(210.0, GROUP * len(shown.curves))
    figure = canvas(TOP + plot + 36)
    one = axes(figure, LEFT, TOP, WIDTH - LEFT - side, plot)
    low, high = float(shown.curves[0].taus[0]), float(shown.curves[0].taus[-1])
    one.set_xlim(low, high)
    bottom, top = room(100 * np.concatenate([each.errors for each in shown.curves]))
    one.set_ylim(bottom, top)
    number_ticks(one.yaxis, bottom, top, 5)
    number_ticks(one.xaxis, low, high, 6)
    below(one, shown.symbol)
    above(one, "balanced error within the group, %", left=-LEFT)
    one.axvline(shown.tau, color=colour("accent"), linewidth=1.0, gid="part-tau")
    gap = GROUP / plot * (top - bottom)
    places = apart([100 * each.errors[-1] for each in shown.curves], gap, bottom, top)
    for each, place in zip(shown.curves, places, strict=True):
        one.plot(each.taus, 100 * each.errors, color=each.colour)
        for text, offset, size in (
            (cut(each.name, 14), 6, TEXT),
            (_rows(each.rule, each.n), -6, SMALL - 1),
        ):
            one.annotate(
                text, (high, place), (7, offset), "data", "offset points", color=each.colour,
                fontsize=size, ha="left", va="center", annotation_clip=False,
            )  # fmt: skip
    return figure


def _rows(rule: str, n: int) -> str:
    counted = f", n = {n:,}" if rule else f"n = {n:,}"
    return f"{rule}{counted}" if len(rule) + len(counted) <= 20 else cut(rule, 20)
