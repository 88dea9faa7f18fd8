"""Names beside points, put where they cover neither each other nor the points; a name without room is left out."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.report.charts.marks import text_width

OFF = 6.0  # units between a point and its name
DOT = 3.0  # half the side of the square that a point takes up

Box = tuple[float, float, float, float]  # left, bottom, right, top, in units of the figure


@dataclass(slots=True)
class Labels:
    """The names placed so far.

    Attributes:
        axes: Where the points are.
        frame: The room there is.
        taken: What must not be covered.
    """

    axes: Any
    frame: Box
    taken: list[Box] = field(default_factory=list)

    @classmethod
    def on(cls, axes: Any) -> "Labels":
        """No names yet."""
        box = axes.get_window_extent()
        return cls(axes, (box.x0 - DOT, box.y0, box.x1 + DOT, box.y1))

    def keep_off(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        """Points that names must not cover."""
        for across, up in self.axes.transData.transform(np.stack([x, y], axis=1)):
            self.taken.append((across - DOT, up - DOT, across + DOT, up + DOT))

    def keep_off_strokes(
        self, x: NDArray[np.float64], start: NDArray[np.float64], stop: NDArray[np.float64]
    ) -> None:
        """Upright strokes that names must not cover."""
        ends = [
            self.axes.transData.transform(np.stack([x, y], axis=1))
            for y in (np.minimum(start, stop), np.maximum(start, stop))
        ]
        for (across, bottom), (_, top) in zip(*ends, strict=True):
            self.taken.append((across - 1, bottom, across + 1, top))

    def keep_off_line(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        """A line that names must not cover."""
        corners = self.axes.transData.transform(np.stack([x, y], axis=1))
        along = np.linspace(0, len(corners) - 1, 12 * len(corners))
        points = [np.interp(along, np.arange(len(corners)), corners[:, at]) for at in (0, 1)]
        for across, up in zip(*points, strict=True):
            self.taken.append((across - 2, up - 2, across + 2, up + 2))

    def place(self, name: str, x: float, y: float, size: float, shade: str) -> None:
        """Write a name to the right of a point, to the left, above or below: the first that is free."""
        across, up = self.axes.transData.transform((x, y))
        width, height = text_width(name, size), 1.2 * size
        for right, higher, ha, va in (
            (1, 0, "left", "center"),
            (-1, 0, "right", "center"),
            (0, 1, "center", "bottom"),
            (0, -1, "center", "top"),
        ):
            middle = across + right * (OFF + width / 2), up + higher * (OFF + height / 2)
            box = (
                middle[0] - width / 2,
                middle[1] - height / 2,
                middle[0] + width / 2,
                middle[1] + height / 2,
            )
            if _inside(box, self.frame) and not any(_meet(box, other) for other in self.taken):
                self.taken.append(box)
                self.axes.annotate(
                    name, (x, y), (right * OFF, higher * OFF), "data", "offset points",
                    fontsize=size, color=shade, ha=ha, va=va, zorder=6, gid="part-names",
                )  # fmt: skip
                return


def _inside(box: Box, frame: Box) -> bool:
    return box[0] >= frame[0] and box[1] >= frame[1] and box[2] <= frame[2] and box[3] <= frame[3]


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
