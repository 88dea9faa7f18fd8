"""Recall of every class against its training count, before and after: where the long tail was lost, and regained.

Ten classes are drawn one by one and named; of thousands, dots that would lie on one another become one dot of
their joint area, and lines show the mean recall of classes of like counts.
"""

from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.report.charts.data import ClassRecalls, CountBand
from lacal.report.charts.labels import Labels
from lacal.report.charts.marks import (
    above,
    below,
    count_ticks,
    cut,
    number_ticks,
    sides_key,
    text_width,
)
from lacal.report.charts.style import SMALL, WIDTH, axes, canvas, colour, styled

LEFT, RIGHT, TOP, PLOT = 30.0, 14.0, 42.0, 230.0
ONE_BY_ONE = 150  # classes up to which each has its own stroke from before to after
MEANS_FROM = 40  # classes from which on lines show the means of neighbours
NAMED, FEW = 8, 12  # names looked for, but all of up to so many classes
CELL = 3.0  # units; dots nearer than that are one
TILE = (4.5, 4.5)
SHADES = 6
STRETCHES, LEAST = 14, 8  # of the axis, and classes in each
NORMAL_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class _Means:
    """Mean recall of classes of like training counts, with its 95 % interval over classes."""

    x: NDArray[np.float64]
    mean: NDArray[np.float64]
    half: NDArray[np.float64]


@styled
def recall(shown: ClassRecalls) -> Any:
    """Recall against training count on a logarithmic axis; without counts, classes in order of recall."""
    figure = canvas(TOP + PLOT + 36)
    one = axes(figure, LEFT, TOP, WIDTH - LEFT - RIGHT, PLOT)
    one.set_ylim(-3, 103)
    number_ticks(one.yaxis, 0, 100, 5)
    above(one, "recall of the class, %", left=-LEFT, up=20)
    present = shown.support > 0
    x = _places(shown, present)
    _x_axis(one, shown, x[present])
    _bands(one, shown)
    if shown.before is not None:
        sides_key(one, shown.sides, up=20)
    few = np.count_nonzero(present) <= ONE_BY_ONE
    if few:
        _one_by_one(one, shown, x, present)
    else:
        _cloud(one, x[present], shown.after[present])
    means = []
    if np.count_nonzero(present) >= MEANS_FROM and shown.class_counts is not None:
        for values, role in ((shown.before, "before"), (shown.after, "after")):
            if values is not None:
                means.append(_lines(one, x[present], values[present], role))
    if few:
        _names(one, shown, x, present, means)
    return figure


def _places(shown: ClassRecalls, present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(k,) where each class stands on the x axis."""
    if shown.class_counts is not None:
        return np.maximum(shown.class_counts, 0.5).astype(np.float64)
    order = np.argsort(np.where(present, shown.after, np.inf), kind="stable")
    places = np.empty(shown.support.size)
    places[order] = np.arange(1, shown.support.size + 1)
    return places


def _x_axis(one: Any, shown: ClassRecalls, x: NDArray[np.float64]) -> None:
    low, high = float(x.min()), float(x.max())
    if shown.class_counts is None:
        one.set_xlim(low - 1, high + 1)
        number_ticks(one.xaxis, low, high, 6)
        below(one, f"the {x.size:,} classes with rows, lowest recall first")
        return
    one.set_xscale("log")
    air = max((high / low) ** 0.04, 1.1)
    one.set_xlim(low / air, high * air)
    count_ticks(one.xaxis, low / air, high * air)
    below(one, "training examples of the class")


def _bands(one: Any, shown: ClassRecalls) -> None:
    """The groups by name above the plot, and a line where one ends and the next begins."""
    low, high = one.get_xlim()
    for at, band in enumerate(shown.bands):
        ends = np.clip(_reach(shown.bands, at), low, high)
        name, middle = cut(band.name, 12), float(np.sqrt(ends[0] * ends[1]))
        wide = np.diff(one.transData.transform([(end, 0) for end in ends])[:, 0])[0]
        if text_width(name) <= wide:
            one.annotate(
                name, (middle, 1), (0, 4), ("data", "axes fraction"), "offset points",
                color=band.colour, fontsize=SMALL, ha="center", va="bottom", annotation_clip=False,
            )  # fmt: skip
        if at:
            one.axvline(ends[0], color=colour("grid"), linewidth=1.4)


def _reach(bands: tuple[CountBand, ...], at: int) -> list[float]:
    """Where a group begins and ends on the axis: half way to its neighbours."""
    low = float(np.sqrt(bands[at - 1].high * bands[at].low)) if at else 0.1
    high = float(np.sqrt(bands[at].high * bands[at + 1].low)) if at + 1 < len(bands) else 1e12
    return [low, high]


def _one_by_one(
    one: Any, shown: ClassRecalls, x: NDArray[np.float64], present: NDArray[np.bool_]
) -> None:
    """A dot a class, with a stroke from where it was; dots that would hide each other become one of their area."""
    if shown.before is not None:
        one.vlines(
            x[present], 100 * shown.before[present], 100 * shown.after[present], color=colour("after"),
            alpha=0.3, linewidth=1.1, gid="part-after",
        )  # fmt: skip
        _joined(one, x[present], shown.before[present], "before")
    _joined(one, x[present], shown.after[present], "after")


def _joined(one: Any, x: NDArray[np.float64], values: NDArray[np.float64], role: str) -> None:
    places = one.transData.transform(np.stack([x, 100 * values], axis=1))
    _, where, many = _cells(places, (CELL, CELL))
    middles = np.stack([np.bincount(where, places[:, at]) / many for at in (0, 1)], axis=1)
    at = one.transData.inverted().transform(middles)
    size = 5.0 if x.size <= 30 else 4.0
    for classes in np.unique(many):
        these = at[many == classes]
        one.plot(
            these[:, 0], these[:, 1], "o", color=colour(role), markersize=size * np.sqrt(classes),
            markeredgewidth=0, zorder=3, gid=f"part-{role}", clip_on=False,
        )  # fmt: skip


def _cloud(one: Any, x: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    """Thousands of classes: a small tile for each place where there are some, darker where there are more."""
    from matplotlib.collections import PolyCollection

    corner = one.transData.transform((one.get_xlim()[0], 0))
    places = one.transData.transform(np.stack([x, 100 * values], axis=1)) - corner
    half = np.array([0.0, TILE[1] / 2])  # a recall of 0 lies in the middle of its tiles
    cells, _, many = _cells(places + half, TILE)
    left, bottom = (cells * TILE - half + corner).T
    right, top = left + TILE[0] - 0.5, bottom + TILE[1] - 0.5
    tiles = np.stack([left, bottom, right, bottom, right, top, left, top], axis=1)
    corners = one.transData.inverted().transform(tiles.reshape(-1, 2)).reshape(-1, 4, 2)
    # Few steps of darkness: tiles of one step are one path.
    step = np.ceil(SHADES * np.sqrt(many / many.max())).astype(int)
    for shade in np.unique(step):
        one.add_collection(
            PolyCollection(
                corners[step == shade], facecolors=colour("after"), linewidths=0, zorder=2,
                alpha=0.08 + 0.5 * shade / SHADES, gid="part-after",
            )
        )  # fmt: skip


def _cells(
    places: NDArray[np.float64], size: tuple[float, float]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Cells (m, 2) that hold points, the cell of each point, and how many each holds."""
    cells, where, many = np.unique(
        np.floor(places / size).astype(np.int64), axis=0, return_inverse=True, return_counts=True
    )
    return cells, where.ravel(), many


def _lines(one: Any, x: NDArray[np.float64], values: NDArray[np.float64], role: str) -> _Means:
    means, shade = _means(x, values), colour(role)
    low, high = np.clip([means.mean - means.half, means.mean + means.half], 0, 1)
    one.fill_between(
        means.x, 100 * low, 100 * high, color=shade, alpha=0.22, linewidth=0, zorder=4, gid=f"part-{role}"
    )  # fmt: skip
    one.plot(means.x, 100 * means.mean, color=shade, linewidth=2.0, zorder=5, gid=f"part-{role}")
    return means


def _means(x: NDArray[np.float64], values: NDArray[np.float64]) -> _Means:
    """Classes in stretches of equal width on the axis; one with few classes joins its neighbour."""
    edges = np.geomspace(x.min(), x.max() * (1 + 1e-9), STRETCHES + 1)
    stretch = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, STRETCHES - 1)
    size = np.bincount(stretch, minlength=STRETCHES)
    joined, held = np.zeros(STRETCHES, np.int64), 0
    for at in range(1, STRETCHES):
        held += size[at - 1]
        joined[at] = joined[at - 1] + (held >= LEAST)
        held = 0 if held >= LEAST else held
    last = joined == joined[-1]
    if size[last].sum() < LEAST:
        joined[last] = max(joined[-1] - 1, 0)
    group = joined[stretch]
    size = np.bincount(group)
    mean = np.bincount(group, values) / size
    spread = np.maximum(np.bincount(group, values**2) / size - mean**2, 0)
    half = NORMAL_95 * np.sqrt(spread / np.maximum(size - 1, 1))
    return _Means(np.exp(np.bincount(group, np.log(x)) / size), mean, half)


def _names(
    one: Any,
    shown: ClassRecalls,
    x: NDArray[np.float64],
    present: NDArray[np.bool_],
    means: list[_Means],
) -> None:
    """Names of the classes that changed most and of the worst, as far as there is room."""
    labels = Labels.on(one, above=0.0 if shown.bands else 1.2 * SMALL)
    few = bool(np.count_nonzero(present) <= FEW)
    after = shown.after[present]
    before = after if shown.before is None else shown.before[present]
    for recalls in (before, after):
        labels.keep_off(x[present], 100 * recalls)
    labels.keep_off_strokes(x[present], 100 * before, 100 * after)
    for line in means:
        labels.keep_off_line(line.x, 100 * line.mean)
    for j in _worth_naming(shown, np.flatnonzero(present)):
        name = str(j) if shown.names is None else cut(shown.names[j], 18)
        place = float(x[j]), float(100 * shown.after[j])
        labels.place(name, *place, SMALL, colour("ink"), always=few)


def _worth_naming(shown: ClassRecalls, present: NDArray[np.int64]) -> list[int]:
    """The worst and those that changed most by turns; all of them where there are few."""
    after = shown.after[present]
    change = np.zeros(present.size) if shown.before is None else after - shown.before[present]
    worst = present[np.argsort(after, kind="stable")].tolist()
    order = np.argsort(-np.abs(change), kind="stable")
    moved = present[order][: np.count_nonzero(change)].tolist()
    turns = zip_longest(worst, moved, fillvalue=worst[0])
    mixed = list(dict.fromkeys(j for pair in turns for j in pair))
    return mixed if len(mixed) <= FEW else mixed[:NAMED]
