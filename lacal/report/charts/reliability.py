"""Reliability: the accuracy of rows in bins of confidence, one panel for all rows and one for each group."""

from typing import Any

import numpy as np

from lacal.report.charts.data import Reliability, ReliabilityPanel
from lacal.report.charts.marks import cut, number_ticks
from lacal.report.charts.style import SMALL, TEXT, WIDTH, axes, canvas, colour, styled

LEFT, GAP, TOP = 44.0, 42.0, 36.0
SIDE = (WIDTH - LEFT - GAP - 10) / 2
COUNTS = 26.0  # height of the counts below a panel
LETTERS = 28, 38  # of a title as large as other text, and of one at all
ENDS = (-3.0, 103.0)  # percent; a dot at 0 or 100 lies within the frame
STEP = SIDE + COUNTS + 92.0  # from one line of panels to the next


@styled
def reliability(shown: Reliability) -> Any:
    """Panels in two columns: dots at mean confidence and accuracy with their intervals, and how many rows a bin has."""
    lines = -(-len(shown.panels) // 2)
    figure = canvas(TOP + (lines - 1) * STEP + SIDE + COUNTS + 42)
    for at, panel in enumerate(shown.panels):
        left = LEFT + at % 2 * (SIDE + GAP)
        top = TOP + at // 2 * STEP
        upper = axes(figure, left, top, SIDE, SIDE)
        _panel(upper, panel, first=at % 2 == 0)
        _counts(axes(figure, left, top + SIDE + 6, SIDE, COUNTS), panel)
    return figure


def _panel(upper: Any, panel: ReliabilityPanel, *, first: bool) -> None:
    upper.set_xlim(*ENDS)
    upper.set_ylim(*ENDS)
    upper.set_xticks([])
    upper.plot([0, 100], [0, 100], color=colour("muted"), linewidth=0.9, dashes=(3, 3))
    used = np.flatnonzero(panel.n > 0)
    x, y = 100 * panel.confidence[used], 100 * panel.accuracy[used]
    upper.vlines(
        x,
        100 * panel.low[used],
        100 * panel.high[used],
        color=panel.colour,
        linewidth=2.2,
        alpha=0.4,
    )
    upper.plot(x, y, "o", color=panel.colour, markersize=4.5, clip_on=False, zorder=3)
    number_ticks(upper.yaxis, 0, 100, 4)
    title = cut(panel.title, LETTERS[1])
    upper.annotate(
        title, (0, 1), (0, 20), "axes fraction", "offset points", color=panel.colour,
        fontsize=TEXT if len(title) <= LETTERS[0] else 0.8 * TEXT, ha="left", va="bottom", annotation_clip=False, fontweight="bold",
    )  # fmt: skip
    upper.annotate(
        panel.error, (0, 1), (0, 7), "axes fraction", "offset points", color=colour("muted"),
        fontsize=SMALL, ha="left", va="bottom", annotation_clip=False,
    )  # fmt: skip
    if first:
        upper.set_ylabel("accuracy, %", labelpad=2, fontsize=SMALL, loc="top")


def _counts(lower: Any, panel: ReliabilityPanel) -> None:
    widths = 100 * np.diff(panel.edges)
    most = max(int(panel.n.max()), 1)
    lower.bar(
        100 * panel.edges[:-1],
        panel.n / most,
        widths * 0.92,
        align="edge",
        color=panel.colour,
        alpha=0.45,
    )
    lower.set_xlim(*ENDS)
    lower.set_ylim(0, 1)
    lower.set_yticks([])
    number_ticks(lower.xaxis, 0, 100, 4)
    lower.set_xlabel(
        f"confidence, %  (n = {int(panel.n.sum()):,})", loc="right", labelpad=2, fontsize=SMALL
    )
