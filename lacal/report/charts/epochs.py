"""A training run: loss above, validation errors below, epoch by epoch."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.report.charts.comparison_data import Epochs
from lacal.report.charts.marks import above, apart, below, number_ticks, percent, room
from lacal.report.charts.style import WIDTH, axes, canvas, colour, styled

LEFT, SIDE, TOP, DEEP, BETWEEN = 36.0, 84.0, 26.0, 120.0, 44.0


@styled
def epochs(shown: Epochs) -> Any:
    """Two plots over one axis, and the epoch that was kept as a line through both; of two epochs or more."""
    figure = canvas(TOP + 2 * DEEP + BETWEEN + 38)
    upper = axes(figure, LEFT, TOP, WIDTH - LEFT - SIDE, DEEP)
    lower = axes(figure, LEFT, TOP + DEEP + BETWEEN, WIDTH - LEFT - SIDE, DEEP)
    _lines(
        upper,
        shown,
        (("training", shown.train_loss, "muted"), ("validation", shown.val_loss, "after")),
    )
    errors = (
        ("balanced", 100 * shown.balanced_error, "after"),
        ("micro", 100 * shown.micro_error, "muted"),
    )
    _lines(lower, shown, errors)
    above(upper, "loss", left=-LEFT)
    above(lower, "validation error, %", left=-LEFT)
    upper.set_xticklabels([])
    below(lower, "epoch")
    error = float(shown.balanced_error[shown.kept])
    lower.plot(
        [shown.kept + 1], [100 * error], "o", color=colour("accent"), markersize=6, zorder=4, clip_on=False
    )  # fmt: skip
    upper.annotate(
        f"kept: epoch {shown.kept + 1:,}, balanced error {percent(error)}", (1, 1), (SIDE, 8), "axes fraction",
        "offset points", color=colour("accent"), ha="right", va="bottom", annotation_clip=False,
    )  # fmt: skip
    return figure


def _lines(
    one: Any, shown: Epochs, lines: tuple[tuple[str, NDArray[np.float64], str], ...]
) -> None:
    count = shown.balanced_error.size
    at = np.arange(1, count + 1)
    low, high = room(np.concatenate([values for _, values, _ in lines]), least=0.1)
    one.set_ylim(low, high)
    one.set_xlim(1, count)
    number_ticks(one.yaxis, low, high, 4)
    one.set_xticks(_whole(count))
    one.axvline(shown.kept + 1, color=colour("accent"), linewidth=1.0)
    places = apart(
        [float(values[-1]) for _, values, _ in lines], 15 / DEEP * (high - low), low, high
    )
    for (name, values, role), place in zip(lines, places, strict=True):
        shade = colour(role)
        one.plot(at, values, color=shade, marker="o" if count <= 40 else "", markersize=2.6)
        one.annotate(
            name, (one.get_xlim()[1], place), (7, 0), "data", "offset points", color=shade, ha="left",
            va="center", annotation_clip=False,
        )  # fmt: skip


def _whole(count: int) -> list[int]:
    """The first epoch, the last and round ones between them."""
    step = next(
        one for one in (1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000, 10**9) if count / one <= 6
    )
    between = [at for at in range(step, count, step) if at > 1 and count - at >= step / 2]
    return [1, *between, count]
