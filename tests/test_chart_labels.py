"""Names in charts: every class of few has one, nearest to its own dot; panels and dots keep within their room."""

import itertools
from typing import Any

import numpy as np
import pytest

from lacal.report.charts import figures
from lacal.report.charts.data import ClassRecalls, Reliability, ReliabilityPanel
from lacal.report.charts.style import LIGHT, colour, group_colours

pytest.importorskip("matplotlib", exc_type=ImportError)

COUNTS = np.array([4000, 2500, 1500, 900, 400, 250, 120, 60, 30, 15, 8])
NAMES = ("sedan", "hatch back", "truck", "bus", "van", "SUV", "motor bike", "scooter", "tram", "fire engine", "ambulance")  # fmt: skip
BEFORE = np.array([98.6, 96.5, 90.6, 88.2, 76.8, 61.2, 38.1, 25.5, 21.8, 5.4, 6.7]) / 100
AFTER = np.array([94.9, 94.3, 92.1, 87.5, 92.0, 89.2, 83.6, 88.7, 88.7, 83.8, 66.7]) / 100
SHOWN = {
    "before and after": ClassRecalls(COUNTS, np.full(11, 100), AFTER, BEFORE, NAMES),
    "after alone": ClassRecalls(COUNTS, np.full(11, 100), AFTER, None, NAMES),
    "in order": ClassRecalls(None, np.full(11, 100), BEFORE, None, NAMES),
    "equal": ClassRecalls(COUNTS, np.full(11, 100), np.full(11, 0.9), None, NAMES),
}


def drawn(figure: Any) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


@pytest.mark.parametrize("name", SHOWN)
def test_every_class_of_few_is_named_and_no_name_covers_another(name: str) -> None:
    shown = SHOWN[name]
    figure = figures.recall(shown)
    renderer = drawn(figure)
    labels = {one.get_text(): one for one in figure.axes[0].texts if one.get_text() in NAMES}
    assert set(labels) == set(NAMES)
    boxes = [one.get_window_extent(renderer) for one in labels.values()]
    for one, other in itertools.combinations(boxes, 2):
        assert not one.shrunk(0.9, 0.7).overlaps(other.shrunk(0.9, 0.7))


def test_a_name_stands_nearest_to_its_own_dot_or_hangs_on_a_line() -> None:
    shown = SHOWN["before and after"]
    figure = figures.recall(shown)
    renderer, axes = drawn(figure), figure.axes[0]
    dots = axes.transData.transform(np.stack([COUNTS, 100 * AFTER], axis=1))
    lines = [one.xy for one in axes.texts if not one.get_text() and one.arrow_patch is not None]
    for at, name in enumerate(NAMES):
        if any(line[0] == COUNTS[at] for line in lines):
            continue
        label = next(one for one in axes.texts if one.get_text() == name)
        box = label.get_window_extent(renderer)
        away = np.hypot(
            np.maximum(np.maximum(box.x0 - dots[:, 0], dots[:, 0] - box.x1), 0),
            np.maximum(np.maximum(box.y0 - dots[:, 1], dots[:, 1] - box.y1), 0),
        )
        others = np.delete(away, at)
        assert away[at] + 2 < others.min(), name


def reliability_figure() -> Any:
    edges = np.linspace(0, 1, 6)
    ends = np.array([0.0, 0.0, 0.5, 1.0, 1.0])
    panel = ReliabilityPanel(
        "all", edges, ends, ends, np.maximum(ends - 0.3, 0), np.minimum(ends + 0.3, 1), np.full(5, 9), colour("few"),
    )  # fmt: skip
    return figures.reliability(Reliability((panel, panel)))


def test_dots_at_the_ends_lie_within_the_frame_of_their_panel() -> None:
    figure = reliability_figure()
    for axes in figure.axes:
        assert axes.get_xlim()[0] < 0
        assert axes.get_xlim()[1] > 100
    for axes in (figure.axes[0], figure.axes[2]):
        assert axes.get_ylim()[0] < 0
        assert axes.get_ylim()[1] > 100


def test_the_numbers_of_one_panel_keep_off_the_next() -> None:
    figure = reliability_figure()
    renderer = drawn(figure)
    _, below, beside, _ = figure.axes
    left = max(one.get_window_extent(renderer).x1 for one in below.get_xticklabels())
    right = min(one.get_window_extent(renderer).x0 for one in beside.get_yticklabels())
    assert left < right
    across = figure.get_size_inches()[0] * figure.dpi
    assert (
        max(one.get_window_extent(renderer).x1 for one in figure.axes[3].get_xticklabels())
        <= across
    )


def test_no_group_has_a_colour_that_tells_before_from_after() -> None:
    shades = group_colours(5)
    assert len(set(shades)) == 5
    assert not set(shades) & {LIGHT[role] for role in ("before", "after", "accent", "ink", "muted")}
