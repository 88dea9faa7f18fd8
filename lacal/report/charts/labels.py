"""Names beside points, where they cover neither each other nor the points and each is nearest to its own.

A name without room is left out, unless it may stand on a stroke, or away from its point at the end of a line.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.report.charts.marks import text_width
from lacal.report.charts.style import colour

OFF = 6.0  # units between a point and its name
AWAY = 9.0, 6.0  # units across and up that a name keeps off points that are not its own
APART = 3.0  # units between two names
DOT = 3.0  # half the side of the square that a point takes up
LEVELS = (18.0, 32.0, 46.0, 60.0)  # units above or below a point, for names at the end of a line
# Where a name stands: above its point, to the right, to the left, below, then across its corners.
SIDES = ((0, 1), (1, 0), (-1, 0), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
ALONG = {-1: "right", 0: "center", 1: "left"}
UP = {-1: "top", 0: "center", 1: "bottom"}

Box = tuple[float, float, float, float]  # left, bottom, right, top, in units of the figure


@dataclass(slots=True)
class Labels:
    """The names placed so far.

    Attributes:
        axes: Where the points are.
        frame: The room there is.
        points: What a name of another point keeps off.
        taken: What must not be covered: names and lines.
        strokes: What should not be covered.
    """

    axes: Any
    frame: Box
    points: list[Box] = field(default_factory=list)
    taken: list[Box] = field(default_factory=list)
    strokes: list[Box] = field(default_factory=list)

    @classmethod
    def on(cls, axes: Any, above: float = 0.0) -> "Labels":
        """No names yet; so many units above the axes are free too."""
        box = axes.get_window_extent()
        return cls(axes, (box.x0 - DOT, box.y0, box.x1 + DOT, box.y1 + above))

    def keep_off(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        """Points that names must not cover."""
        for across, up in self.axes.transData.transform(np.stack([x, y], axis=1)):
            self.points.append((across - DOT, up - DOT, across + DOT, up + DOT))

    def keep_off_strokes(
        self, x: NDArray[np.float64], start: NDArray[np.float64], stop: NDArray[np.float64]
    ) -> None:
        """Upright strokes that names must not cover."""
        ends = [
            self.axes.transData.transform(np.stack([x, y], axis=1))
            for y in (np.minimum(start, stop), np.maximum(start, stop))
        ]
        for (across, bottom), (_, top) in zip(*ends, strict=True):
            self.strokes.append((across - 1, bottom, across + 1, top))

    def keep_off_line(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        """A line that names must not cover."""
        corners = self.axes.transData.transform(np.stack([x, y], axis=1))
        along = np.linspace(0, len(corners) - 1, 12 * len(corners))
        points = [np.interp(along, np.arange(len(corners)), corners[:, at]) for at in (0, 1)]
        for across, up in zip(*points, strict=True):
            self.taken.append((across - 2, up - 2, across + 2, up + 2))

    def place(
        self, name: str, x: float, y: float, size: float, shade: str, *, always: bool = False
    ) -> None:
        """Write a name beside a point: on the first side that is free.

        Args:
            name: What is written.
            x: Of the point.
            y: Of the point.
            size: Of the letters.
            shade: Their colour.
            always: Whether it may cover a stroke, or stand away from its point, rather than be left out.
        """
        here = self.axes.transData.transform((x, y))
        wide, high = text_width(name, size), 1.2 * size
        near = [(right, up, OFF if right * up == 0 else 0.7 * OFF) for right, up in SIDES]
        for kept_off in (self.strokes, []) if always else (self.strokes,):
            for right, up, off in near:
                box = _box(here, (right * off, up * off), (right, up), (wide, high))
                if self._free(box, here, kept_off):
                    self._write(
                        name, (x, y), (right * off, up * off), (right, up), size, shade, box
                    )
                    return
        away = [(level, *side) for level in LEVELS for side in SIDES if side[1]] if always else []
        for crossing in (False, True):  # rather a line behind another name than none
            for level, right, up in away:
                box = _box(here, (0, up * level), (right, up), (wide, high))
                line = _upright(here, up * OFF / 2, up * (level - 1))
                crossed = any(_meet(line, one) for one in (*self.taken, *self._others(here)))
                if self._free(box, here, []) and (crossing or not crossed):
                    self._line((x, y), up * level, shade)
                    self.taken.append(line)
                    self._write(name, (x, y), (0, up * level), (right, up), size, shade, box)
                    return

    def _free(self, box: Box, here: NDArray[np.float64], kept_off: list[Box]) -> bool:
        if not _inside(box, self.frame) or any(_meet(box, one) for one in (*self.taken, *kept_off)):
            return False
        wider = box[0] - AWAY[0], box[1] - AWAY[1], box[2] + AWAY[0], box[3] + AWAY[1]
        return not any(_meet(wider, one) for one in self._others(here))

    def _others(self, here: NDArray[np.float64]) -> list[Box]:
        """The points that are not this one."""
        return [one for one in self.points if not _inside((*here, *here), one)]

    def _write(
        self, name: str, at: tuple[float, float], off: tuple[float, float], side: tuple[int, int],
        size: float, shade: str, box: Box,
    ) -> None:  # fmt: skip
        self.taken.append((box[0] - APART, box[1], box[2] + APART, box[3]))
        self.axes.annotate(
            name, at, off, "data", "offset points", fontsize=size, color=shade, ha=ALONG[side[0]], va=UP[side[1]],
            zorder=6, gid="part-names", bbox={"facecolor": colour("paper"), "edgecolor": "none", "pad": 0.3, "alpha": 0.8},
        )  # fmt: skip

    def _line(self, at: tuple[float, float], up: float, shade: str) -> None:
        """From a point to its name above or below."""
        self.axes.annotate(
            "", at, (0, up), "data", "offset points", zorder=2,
            arrowprops={"arrowstyle": "-", "color": shade, "linewidth": 0.6, "shrinkA": 0, "shrinkB": OFF / 2},
        )  # fmt: skip


def _box(
    here: NDArray[np.float64], off: tuple[float, float], side: tuple[int, int], size: tuple[float, float]
) -> Box:  # fmt: skip
    """What a name covers that hangs by one of its sides from a place beside a point."""
    left, bottom = (here[at] + off[at] + (side[at] - 1) * size[at] / 2 for at in (0, 1))
    return float(left), float(bottom), float(left) + size[0], float(bottom) + size[1]


def _upright(here: NDArray[np.float64], start: float, stop: float) -> Box:
    """What a line above or below a point covers."""
    across, ends = float(here[0]), sorted((float(here[1]) + start, float(here[1]) + stop))
    return across - 1, ends[0], across + 1, ends[1]


def _inside(box: Box, frame: Box) -> bool:
    return box[0] >= frame[0] and box[1] >= frame[1] and box[2] <= frame[2] and box[3] <= frame[3]


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
