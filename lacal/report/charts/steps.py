"""The exact step curve of a `TauPath` as corners to draw: no more of them than a screen can show."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lacal.classes.groups import Groups
from lacal.report.charts.data import GroupCurve, PerTau
from lacal.report.charts.style import group_colours
from lacal.tau.path import TauPath

COLUMNS = 500  # of a screen; a chart is 400 units wide


def steps_of(path: TauPath, low: float, high: float) -> tuple[PerTau, PerTau]:
    """(m,) taus and (m,) balanced errors: corners of the curve between low and high.

    Between corners the curve is straight: every stretch of constant error gives two. Where there are more than
    a screen can show, each of its columns gives what the curve enters it with, its lowest and highest value there
    and what it leaves with, which draws the same picture.
    """
    ends = np.concatenate([path.low, path.high])
    ends = np.unique(ends[(ends > low) & (ends < high)])
    edges = np.concatenate([[low], ends, [high]])
    errors = path.balanced_error((edges[:-1] + edges[1:]) / 2)
    if errors.size > 2 * COLUMNS:
        return _by_column(edges[:-1], errors, low, high)
    return np.repeat(edges, 2)[1:-1], np.repeat(errors, 2)


def group_curves(path: TauPath, groups: Groups, low: float, high: float) -> tuple[GroupCurve, ...]:
    """The curve of every group that has rows."""
    curves = []
    shades = group_colours(len(groups.masks))
    for (name, mask), shade in zip(groups.masks.items(), shades, strict=True):
        part = path_of(path, mask)
        if part.labels.size:
            present = int(np.count_nonzero(part.support))
            corners = steps_of(part, low, high)
            rule, n = groups.rule[name] if groups.by_counts else "", part.labels.size
            curves.append(GroupCurve(name, rule, present, n, *corners, shade))
    return tuple(curves)


def path_of(path: TauPath, mask: NDArray[np.bool_]) -> TauPath:
    """The rows of some classes (k,); the others count as absent."""
    rows = mask[path.labels]
    kept = rows[path.owner]
    owner = (np.cumsum(rows) - 1)[path.owner[kept]]
    return replace(
        path, labels=path.labels[rows], owner=owner, low=path.low[kept], high=path.high[kept]
    )


def _by_column(starts: PerTau, errors: PerTau, low: float, high: float) -> tuple[PerTau, PerTau]:
    """Four corners a column in which a stretch starts: as it was, its lowest, its highest, as it leaves."""
    column = np.minimum(((starts - low) / (high - low) * COLUMNS).astype(np.int64), COLUMNS - 1)
    _, first = np.unique(column, return_index=True)
    last = np.append(first[1:], errors.size) - 1
    was = errors[np.maximum(first - 1, 0)]
    lowest, highest = np.minimum.reduceat(errors, first), np.maximum.reduceat(errors, first)
    middle = (starts[first] + starts[last]) / 2
    taus = np.stack([starts[first], middle, middle, starts[last]], axis=1)
    values = np.stack([was, lowest, highest, errors[last]], axis=1)
    return np.append(taus, high), np.append(values, errors[-1])
