"""`Slider`: everything that moves on the page with tau, read off the exact path before the page is made.

What is shown with an interval (the error and the gain of each group) is worked out here at every tick, by the code
that works it out everywhere else, so the page repeats the numbers of `lacal evaluate` to the last digit. What
is there once a class (recalls, rows mended and broken) is counted in the browser, from the ticks at which each
row starts and stops being right: four bytes a row, and nothing for a row that is right at all ticks or at none.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacal.classes.groups import Groups
from lacal.metrics import ClassTally, Gain, PairedTally, Rate
from lacal.report.page.ticks import marks_of, tick_of
from lacal.tau.path import TauPath

# Rows that change side, beyond which the page would pass 2 MB and moves its groups alone.
MOST_SPANS = 350_000


@dataclass(frozen=True, slots=True)
class GroupPath:
    """The error of all classes, of a group of them or of all rows, at every tick; NaN where it is undefined.

    Attributes:
        name: "all classes", the group's, or "all rows".
        rule: What it is, in words.
        place: Its number among the groups, which gives it its colour; None for what is no group.
        classes: Classes with rows.
        n: Labelled rows.
        before: (3,) error of the unadjusted model, low, high.
        error: (t, 3) error, low, high.
        gain: (t, 3) fall of the error against the unadjusted model, low, high.
        mended: (t,) rows wrong before and right now.
        broken: (t,) rows right before and wrong now.
    """

    name: str
    rule: str
    place: int | None
    classes: int
    n: int
    before: NDArray[np.float64]
    error: NDArray[np.float64]
    gain: NDArray[np.float64]
    mended: NDArray[np.int64]
    broken: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClassPaths:
    """At which ticks rows are right, class by class, rows that were right before apart from the others.

    Attributes:
        support: (k,) labelled rows.
        before: (k,) rows right before.
        always: (k, 2) rows right at every tick: of those wrong before, of those right before.
        spans: (k, 2) intervals that begin or end between ticks, in the order of `first` and `stop`.
        first: (m,) uint16 first tick of each.
        stop: (m,) uint16 first tick beyond.
    """

    support: NDArray[np.int64]
    before: NDArray[np.int64]
    always: NDArray[np.int64]
    spans: NDArray[np.int64]
    first: NDArray[np.uint16]
    stop: NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Slider:
    """A tau that the reader moves.

    Attributes:
        taus: (t,) ticks, ascending.
        start: The tick the page opens at.
        marks: Name and tick of the taus worth a button, ascending.
        groups: All classes first, then the groups, then all rows alike.
        place: (k,) number of each class's group; -1 for none.
        class_counts: (k,) training counts.
        classes: None where there are too many rows to embed.
    """

    taus: NDArray[np.float64]
    start: int
    marks: tuple[tuple[str, int], ...]
    groups: tuple[GroupPath, ...]
    place: NDArray[np.int64]
    class_counts: NDArray[np.int64]
    classes: ClassPaths | None


def slider_of(
    path: TauPath,
    before: NDArray[np.bool_],
    class_counts: NDArray[np.int64],
    groups: Groups,
    taus: NDArray[np.float64],
    marks: Mapping[str, float],
    start: str,
) -> Slider:
    """A slider over these taus.

    Args:
        path: When each labelled row is right.
        before: (n,) whether the unadjusted model is right on each of them.
        class_counts: (k,) training counts.
        groups: Whose errors are shown.
        taus: (t,) ticks, ascending; see `lacal.report.page.ticks`. Of a method searched on its grid, the grid.
        marks: Name -> tau of the taus worth a button; each is one of `taus`. Equal taus share one.
        start: The mark to open at.
    """
    right = _right_rows(path, before, taus)
    was = np.bincount(path.labels[before], minlength=path.classes)
    counts = _Counts(path.support, was, right[0], was[:, None] - right[1])
    place = np.full(path.classes, -1)
    for number, mask in enumerate(groups.masks.values()):
        place[mask] = number
    rows = [
        _group_path(counts, name, groups.rule[name] if groups.by_counts else "", number, mask)
        for number, (name, mask) in enumerate(groups.masks.items())
    ]
    return Slider(
        taus,
        tick_of(taus, marks[start]),
        marks_of(taus, marks),
        (
            _group_path(counts, "all classes", "balanced error", None, None),
            *rows,
            _group_path(counts, "all rows", "micro error", None, None, micro=True),
        ),
        place,
        class_counts,
        _class_paths(path, before, taus, was),
    )


@dataclass(frozen=True, slots=True)
class _Counts:
    """Rows of each class: all and right before (k,), mended and broken at every tick (k, t)."""

    support: NDArray[np.int64]
    was: NDArray[np.int64]
    mended: NDArray[np.int64]
    broken: NDArray[np.int64]

    def tally(self, at: int | None) -> ClassTally:
        """Errors at a tick; None for those before."""
        tally = ClassTally.empty(self.support.size)
        right = self.was if at is None else self.was + self.mended[:, at] - self.broken[:, at]
        tally.support, tally.errors = self.support, self.support - right
        return tally

    def paired(self, at: int) -> PairedTally:
        """What changed at a tick."""
        return PairedTally(self.support, self.mended[:, at], self.broken[:, at])


def _group_path(
    counts: _Counts,
    name: str,
    rule: str,
    place: int | None,
    mask: NDArray[np.bool_] | None,
    *,
    micro: bool = False,
) -> GroupPath:
    """One row of the table of groups, at every tick."""

    def error(at: int | None) -> Rate:
        return counts.tally(at).micro() if micro else counts.tally(at).balanced(mask)

    def gain(at: int) -> Gain | None:
        return counts.paired(at).micro_gain() if micro else counts.paired(at).gain(mask)

    before, ticks = error(None), range(counts.mended.shape[1])
    chosen = np.ones(counts.support.size, np.bool_) if mask is None else mask
    return GroupPath(
        name,
        rule,
        place,
        before.classes,
        before.n,
        _ends(before),
        np.array([_ends(error(at)) for at in ticks]),
        np.array([_ends(gain(at)) for at in ticks]),
        counts.mended[chosen].sum(axis=0),
        counts.broken[chosen].sum(axis=0),
    )


def _ends(one: Rate | Gain | None) -> NDArray[np.float64]:
    """Value, low, high; NaN for what is undefined. No negative zero, which would be written with its sign."""
    ends = (None,) * 3 if one is None else (one.value, one.low, one.high)
    return np.array([np.nan if end is None else end + 0.0 for end in ends], np.float64)


def _spans(
    path: TauPath, taus: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Owner, first tick and first tick beyond of every interval that holds a tick."""
    first = np.searchsorted(taus, path.low, side="left")
    stop = np.searchsorted(taus, path.high, side="right")
    kept = first < stop
    return path.owner[kept], first[kept], stop[kept]


def _right_rows(
    path: TauPath, before: NDArray[np.bool_], taus: NDArray[np.float64]
) -> NDArray[np.int64]:
    """(2, k, t) rows right at each tick: of those wrong before, of those right before."""
    owner, first, stop = _spans(path, taus)
    cell = before[owner] * path.classes + path.labels[owner]
    width = taus.size + 1
    size = 2 * path.classes * width
    steps = np.bincount(cell * width + first, minlength=size)
    steps -= np.bincount(cell * width + stop, minlength=size)
    counts = steps.reshape(2, path.classes, width).cumsum(axis=2)[:, :, :-1]
    return np.asarray(counts, np.int64)


def _class_paths(
    path: TauPath,
    before: NDArray[np.bool_],
    taus: NDArray[np.float64],
    was: NDArray[np.int64],
) -> ClassPaths | None:
    owner, first, stop = _spans(path, taus)
    cell = 2 * path.labels[owner] + before[owner]
    whole = (first == 0) & (stop == taus.size)
    if np.count_nonzero(~whole) > MOST_SPANS:
        return None
    size = 2 * path.classes
    always = np.bincount(cell[whole], minlength=size).reshape(-1, 2)
    cell, first, stop = cell[~whole], first[~whole], stop[~whole]
    order = np.lexsort((stop, first, cell))
    return ClassPaths(
        path.support,
        was,
        always,
        np.bincount(cell, minlength=size).reshape(-1, 2),
        first[order].astype("<u2"),
        stop[order].astype("<u2"),
    )
