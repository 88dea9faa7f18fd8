"""Where predictions moved: ribbons from the groups they left to the groups they went to."""

from typing import Any

import numpy as np

from lacal.report.charts.data import Flows
from lacal.report.charts.marks import cut, text_width
from lacal.report.charts.style import (
    SMALL,
    TEXT,
    WIDTH,
    axes,
    canvas,
    colour,
    group_colours,
    styled,
)

TOP, FOOT = 60.0, 16.0
DEEP = 190.0  # height of all ribbons
NAMES = 96.0
POST = 9.0  # width of a group's post
AIR = 28.0  # between two posts: as high as a name and a number, so that each stands at its own post
THIN = 0.75  # units; a ribbon narrower than that is not drawn, its number is in the table
NUMBER = 11.0  # units; from that width on a ribbon has its number on it

OUTCOMES = (("mended", "after"), ("neither", "before"), ("broken", "accent"))


@styled
def flows(shown: Flows) -> Any:
    """Predictions that changed: left the group they were in, right the group they are in, in between what became of them."""
    deep = DEEP + AIR * (len(shown.groups) - 1)
    figure = canvas(TOP + deep + FOOT)
    one = axes(figure, 0, 0, WIDTH, TOP + deep + FOOT)
    one.set_xlim(0, WIDTH)
    one.set_ylim(TOP + deep + FOOT, 0)
    one.set_axis_off()
    shades = group_colours(len(shown.groups))
    unit = DEEP / max(int(shown.moved.sum()), 1)
    left, right = shown.moved.sum(axis=1), shown.moved.sum(axis=0)
    for sums, x, side in ((left, NAMES, "right"), (right, WIDTH - NAMES, "left")):
        _posts(one, shown, sums, unit, x, side, shades)
    starts = _corners(left, unit)[:, None] + unit * _before(shown.moved, 1)
    stops = _corners(right, unit)[None, :] + unit * _before(shown.moved, 0)
    for i, j in np.ndindex(shown.moved.shape):
        _ribbon(one, shown, (i, j), float(starts[i, j]), float(stops[i, j]), unit)
    _words(one, shown)
    return figure


def _corners(sums: Any, unit: float) -> Any:
    """(g,) where each group's post begins, from the top."""
    return TOP + np.concatenate([[0], np.cumsum(unit * sums + AIR)[:-1]])


def _before(moved: Any, axis: int) -> Any:
    """(g, g) what stands above each ribbon on its post."""
    return np.cumsum(moved, axis=axis) - moved


def _posts(
    one: Any, shown: Flows, sums: Any, unit: float, x: float, side: str, shades: list[str]
) -> None:
    from matplotlib.patches import Rectangle

    away = -1 if side == "right" else 1
    for name, count, top, shade in zip(
        shown.groups, sums, _corners(sums, unit), shades, strict=True
    ):
        deep = max(float(unit * count), 1.0)
        start = x - (POST if away < 0 else 0)
        one.add_patch(Rectangle((start, top), POST, deep, color=shade, linewidth=0))
        for text, size, down in ((cut(name, 11), TEXT, -6.5), (f"{count:,}", SMALL, 6.5)):
            place = x + away * (POST + 7), top + unit * count / 2 + down
            one.text(*place, text, fontsize=size, color=shade, ha=side, va="center")


def _ribbon(
    one: Any, shown: Flows, at: tuple[int, int], start: float, stop: float, unit: float
) -> None:
    """One flow, in strips: mended, neither, broken; all grey where no row has a label."""
    count = int(shown.moved[at])
    mended = 0 if shown.mended is None else int(shown.mended[at])
    broken = 0 if shown.broken is None else int(shown.broken[at])
    for part, (_, role) in zip((mended, count - mended - broken, broken), OUTCOMES, strict=True):
        wide = unit * part
        if wide >= THIN:
            _strip(one, start, stop, wide, colour(role))
        start, stop = start + wide, stop + wide
    if unit * count >= NUMBER:
        one.text(
            WIDTH - NAMES - 12, stop - unit * count / 2, f"{count:,}", fontsize=SMALL, color=colour("ink"),
            ha="right", va="center", zorder=4,
        )  # fmt: skip


def _strip(one: Any, start: float, stop: float, wide: float, shade: str) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    first, last = NAMES, WIDTH - NAMES
    middle = (first + last) / 2
    corners = [
        (first, start), (middle, start), (middle, stop), (last, stop),
        (last, stop + wide), (middle, stop + wide), (middle, start + wide), (first, start + wide), (first, start),
    ]  # fmt: skip
    codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
    one.add_patch(PathPatch(Path(corners, codes), facecolor=shade, alpha=0.55, linewidth=0))


def _words(one: Any, shown: Flows) -> None:
    """Which side is which, and what the colours of the ribbons mean, with their numbers."""
    for x, ha, text in ((0.0, "left", "predicted before"), (WIDTH, "right", "predicted now")):
        one.text(x, TOP - 20, text, color=colour("muted"), ha=ha, va="bottom")
    if shown.mended is None or shown.broken is None:
        return
    mended, broken = int(shown.mended.sum()), int(shown.broken.sum())
    counts = (mended, int(shown.moved.sum()) - mended - broken, broken)
    x = 0.0
    for count, (word, role) in zip(counts, OUTCOMES, strict=True):
        text = f"■ {count:,} {word}"
        one.text(x, 9, text, color=colour(role), ha="left", va="center")
        x += text_width(text, TEXT) + 18
