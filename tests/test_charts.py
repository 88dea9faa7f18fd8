"""Charts: what is drawn is what was found, safe inside a page, the same bytes every time."""

import errno
import functools
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lacal.classes.groups import Groups
from lacal.errors import RunError, UsageError
from lacal.report.charts import figures
from lacal.report.charts.bands import bands_of
from lacal.report.charts.comparison_data import (
    ClassChange,
    ClassChanges,
    Epochs,
    GroupGain,
    Method,
    Methods,
)
from lacal.report.charts.data import (
    Band,
    ClassRecalls,
    ErrorRow,
    Errors,
    Flows,
    GroupCurves,
    Pick,
    Reliability,
    ReliabilityPanel,
    TauCurve,
)
from lacal.report.charts.marks import apart, cut, room, round_ticks
from lacal.report.charts.steps import COLUMNS, group_curves, path_of, steps_of
from lacal.report.charts.style import DARK, LIGHT, colour, group_colours
from lacal.report.charts.svg import AxesBox, inline, write_plots
from lacal.report.page.content import Chart
from lacal.tau.path import TauPath
from tests.soak.disk import Call, listened

pytest.importorskip("matplotlib", exc_type=ImportError)

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = (
    "<script>alert(1)</script>",
    "\x1b[31mred\x1b[0m",
    "=cmd()|x",
    "\u202eevil",
    "שלום",
    "long" * 2500,
    "😀",
    "日本語",
    "$x^2$ \\frac",
    "_hidden",
    "&amp;",
    "#1d2229",
    "0.123456",
)


def path_with(rows: int, classes: int = 4, seed: int = 0) -> TauPath:
    generator = np.random.default_rng(seed)
    ends = np.sort(generator.normal(1, 2, (rows, 2)), axis=1)
    labels = generator.integers(0, classes, rows)
    return TauPath(labels, np.arange(rows), ends[:, 0], ends[:, 1], classes)


def chart(figure: Callable[[], Any], name: str = "one", alt: str = "shown") -> Chart:
    return Chart(name, "a title", alt, figure)


def recalls(k: int, rows: int = 3, seed: int = 0) -> ClassRecalls:
    generator = np.random.default_rng(seed)
    counts = np.maximum(np.round(1000 * 0.003 ** (np.arange(k) / k)), 2).astype(np.int64)
    hits = generator.integers(0, rows + 1, (2, k)) / rows
    masks = {"many": counts > 100, "few": counts <= 100}
    return ClassRecalls(
        counts, np.full(k, rows), hits[0], hits[1], None, bands_of(counts, masks)
    )  # fmt: skip


def reliability() -> Reliability:
    edges, n = np.linspace(0, 1, 6), np.array([0, 3, 9, 20, 70])
    middle = np.where(n > 0, (edges[1:] + edges[:-1]) / 2, np.nan)
    panel = ReliabilityPanel(
        "all", edges, middle, middle - 0.05, middle - 0.1, middle + 0.1, n, colour("few"), "error 5 %"
    )  # fmt: skip
    return Reliability((panel, panel, panel))


CURVE = TauCurve(
    np.array([0.0, 1.0, 1.0, 4.0]),
    np.array([0.4, 0.4, 0.25, 0.25]),
    np.array([0.0, 2.0, 4.0]),
    np.array([0.4, 0.25, 0.25]),
    (Pick("shrunk", 1.5, 0.25, chosen=True), Pick("min", 2.5, 0.25)),
    (0.9, 2.0),
    (1.0, np.inf, 0.25),
    Band(np.array([0.0, 4.0]), np.array([0.2, 0.2]), np.array([0.5, 0.5])),
    unadjusted=0.4,
)
METHODS = Methods(
    (
        Method("best", "tau = 1", (0.2, 0.1, 0.3), (0.1, 0.05, 0.15),
               (GroupGain("few", (0.3, 0.1, 0.5), colour("few")),)),
        Method("none", "", (0.3, 0.2, 0.4), None),
        Method("worse", "", (0.4, 0.3, 0.5), (-0.1, -0.15, -0.05)),
    ),
    "none",
)  # fmt: skip
FLOWS = Flows(
    ("many", "medium", "few"),
    np.array([[4, 12, 30], [1, 2, 9], [0, 0, 3]]),
    np.array([[2, 6, 20], [0, 1, 5], [0, 0, 1]]),
    np.array([[1, 2, 3], [1, 0, 1], [0, 0, 1]]),
    500,
)
CHANGES = ClassChanges((ClassChange("cat", 9, 0.6, 0.1),), (ClassChange("dog", 8, 0.4, 0.9),))
FALLING = np.linspace(0.9, 0.2, 30)
EPOCHS = Epochs(2 * FALLING, FALLING + 0.5, FALLING, FALLING, 20, 20)
ERRORS = Errors((
    ErrorRow("balanced error", "4 classes, n = 9", (0.3, 0.2, 0.45), (0.5, 0.4, 0.6)),
    ErrorRow("few", "n = 0", None),
))  # fmt: skip
EVERY: dict[str, Callable[[], Any]] = {
    "curve": lambda: figures.curve(CURVE),
    "group_curves": lambda: figures.group_curves(
        GroupCurves(group_curves(path_with(60), halves(4), 0.0, 4.0), 1.0)
    ),
    "recall": lambda: figures.recall(recalls(12)),
    "recall_many": lambda: figures.recall(recalls(900)),
    "flows": lambda: figures.flows(FLOWS),
    "reliability": lambda: figures.reliability(reliability()),
    "methods": lambda: figures.methods(METHODS),
    "method_groups": lambda: figures.method_groups(METHODS),
    "class_changes": lambda: figures.class_changes(CHANGES),
    "errors": lambda: figures.errors(ERRORS),
    "epochs": lambda: figures.epochs(EPOCHS),
}


def halves(k: int) -> Groups:
    first = np.arange(k) < k // 2
    return Groups({"head": first, "tail": ~first}, {"head": "> 9", "tail": "< 9"})


# The exact curve as corners


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(0, 10**6), st.floats(-2, 4, allow_nan=False))
def test_corners_of_few_rows_are_the_curve(rows: int, seed: int, tau: float) -> None:
    path = path_with(rows, seed=seed)
    taus, errors = steps_of(path, -2.0, 4.0)
    assert taus[0] == -2
    assert taus[-1] == 4
    assert (np.diff(taus) >= 0).all()
    right = int(np.searchsorted(taus, tau, side="right"))
    # At a corner itself the rows of both sides are right
    if 0 < right < taus.size and tau not in taus:
        assert errors[right - 1] == errors[right] == path.balanced_error(np.array([tau]))[0]


def test_corners_of_many_rows_keep_every_peak_within_a_column_of_the_screen() -> None:
    path = path_with(6000)
    taus, errors = steps_of(path, -2.0, 4.0)
    assert taus.size <= 4 * COLUMNS + 1
    assert (np.diff(taus) >= 0).all()
    width = 6 / COLUMNS
    probes = np.random.default_rng(1).uniform(-2, 4, 400)
    for tau, error in zip(probes, path.balanced_error(probes), strict=True):
        near = (taus >= tau - 2 * width) & (taus <= tau + 2 * width)
        assert errors[near].min() <= error <= errors[near].max()


def test_a_groups_path_has_the_groups_balanced_error() -> None:
    path, taus = path_with(80), np.linspace(-1, 3, 9)
    mask = np.array([True, False, True, False])
    part = path_of(path, mask)
    for tau, error in zip(taus, part.balanced_error(taus), strict=True):
        right = path.right_at(tau)
        classes = [right[path.labels == j].mean() for j in (0, 2)]
        assert error == pytest.approx(1 - np.mean(classes))


def test_groups_without_rows_have_no_curve() -> None:
    path = path_with(30, classes=2)
    wide = TauPath(path.labels, path.owner, path.low, path.high, 4)
    assert [one.name for one in group_curves(wide, halves(4), 0, 4)] == ["head"]


# Places


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=12), st.floats(1, 20))
def test_labels_stand_apart_in_their_order(wanted: list[float], gap: float) -> None:
    placed = apart(wanted, gap, -1e9, 1e9)
    order = np.argsort(wanted, kind="stable")
    assert (np.diff(placed[order]) >= gap - 1e-6).all()
    if len(wanted) > 1 and np.diff(np.sort(wanted)).min() >= gap:
        assert placed == pytest.approx(wanted)
    assert placed.mean() == pytest.approx(np.mean(wanted))
    inside = apart(wanted, gap, 0, 300)
    assert inside.min() >= 0
    assert inside.max() <= 300
    assert (np.diff(inside[order]) >= gap - 1e-6).all()


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4), st.integers(3, 10))
def test_ticks_are_few_and_inside(low: float, span: float, most: int) -> None:
    ticks = round_ticks(low, low + span, most)
    assert 1 <= len(ticks) <= most + 1
    slack = 1e-5 * span
    assert low - slack <= min(ticks)
    assert max(ticks) <= low + span + slack


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_cut_after_it_is_escaped(name: str) -> None:
    assert len(cut(name, 12)) <= 12
    assert cut(name, 12).isprintable()


def test_bands_are_left_out_where_groups_overlap_in_counts() -> None:
    counts = np.array([500, 50, 5])
    apart_ = {"many": counts > 100, "medium": counts == 50, "few": counts < 20, "empty": counts < 0}
    assert [one.name for one in bands_of(counts, apart_)] == ["few", "medium", "many"]
    assert bands_of(counts, {"a": counts != 50, "b": counts == 50}) == ()


# Inside a page


@pytest.mark.parametrize("name", EVERY)
def test_a_chart_in_a_page_takes_its_colours_and_letters_from_the_page(name: str) -> None:
    svg = inline(chart(EVERY[name], name))
    root = ElementTree.fromstring(svg.markup)
    assert root.get("viewBox") == f"0 0 {svg.width:g} {svg.height:g}"
    assert not re.findall(r"#[0-9a-fA-F]{6}", svg.markup)
    roles = set(re.findall(r"var\(--([a-z]+)\)", svg.markup))
    assert roles <= LIGHT.keys()
    assert "muted" in roles
    assert root.find(f".//{SVG}style") is None  # it would style the whole page
    assert "font-family" not in svg.markup
    assert "<?xml" not in svg.markup


def test_charts_on_one_page_share_no_id_and_keep_no_id_nobody_uses() -> None:
    every = [inline(chart(EVERY[name], name)).markup for name in ("curve", "errors", "recall")]
    ids = [re.findall(r' id="([^"]+)"', markup) for markup in every]
    together = [one for mine in ids for one in mine]
    assert len(set(together)) == len(together)
    for markup, mine in zip(every, ids, strict=True):
        used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', markup))
        assert set(mine) == used


def test_the_words_for_the_blind_are_escaped() -> None:
    svg = inline(chart(EVERY["errors"], alt='"><script>x</script>&'))
    assert ElementTree.fromstring(svg.markup).get("aria-label") == '"><script>x</script>&'


def test_axes_boxes_say_where_values_are() -> None:
    svg = inline(chart(lambda: figures.curve(CURVE), "curve"))
    box = svg.axes[0]
    root = ElementTree.fromstring(svg.markup)
    mark = root.find(f".//{SVG}g[@class='part-pick']//{SVG}use")
    assert mark is not None
    assert float(mark.get("x", "")) == pytest.approx(x_of(box, 1.5), abs=0.02)
    assert float(mark.get("y", "")) == pytest.approx(y_of(box, 25.0), abs=0.02)


def test_axes_boxes_know_a_logarithmic_axis() -> None:
    svg = inline(chart(lambda: figures.recall(recalls(12)), "recall"))
    (box,) = svg.axes
    assert box.x_log
    assert box.x_low < 5
    assert box.x_high > 1000
    shown = recalls(12)
    root = ElementTree.fromstring(svg.markup)
    marks = root.findall(f".//{SVG}g[@class='part-after']//{SVG}use")
    xs = [float(mark.get("x", "")) for mark in marks]
    assert shown.class_counts is not None
    for count in shown.class_counts:
        assert min(abs(x - x_of(box, float(count))) for x in xs) < 0.1


def x_of(box: AxesBox, value: float) -> float:
    warp = np.log if box.x_log else lambda one: one
    share = (warp(value) - warp(box.x_low)) / (warp(box.x_high) - warp(box.x_low))
    return float(box.left + share * box.width)


def y_of(box: AxesBox, value: float) -> float:
    share = (value - box.y_low) / (box.y_high - box.y_low)
    return box.top + (1 - share) * box.height


# What is drawn


def texts(figure: Callable[[], Any]) -> list[str]:
    root = ElementTree.fromstring(inline(chart(figure)).markup)
    return ["".join(one.itertext()) for one in root.iter(f"{SVG}text")]


def test_errors_say_before_and_after_and_nothing_for_none() -> None:
    words = texts(EVERY["errors"])
    assert "50.0 → 30.0 %" in words
    assert "n/a" in words
    assert "0.0 %" not in words


def test_the_curve_names_every_pick_with_its_tau_and_error() -> None:
    words = texts(EVERY["curve"])
    assert "shrunk: tau 1.5, error 25.0 %" in words
    assert "min: tau 2.5, error 25.0 %" in words
    assert "unadjusted: error 40.0 %" in words
    assert any(one.startswith("lowest of all: tau 2.5") for one in words)


def test_flows_give_the_number_of_every_side_and_outcome() -> None:
    words = texts(EVERY["flows"])
    moved = FLOWS.moved
    for total in [*moved.sum(axis=0), *moved.sum(axis=1)]:
        assert f"{total:,}" in words
    assert "■ 35 mended" in words
    assert "■ 9 broken" in words
    assert "■ 17 neither" in words


def test_flows_without_labels_speak_of_no_outcome() -> None:
    bare = Flows(FLOWS.groups, FLOWS.moved, None, None, 500)
    assert not [one for one in texts(lambda: figures.flows(bare)) if "mended" in one]


def test_methods_show_the_reference_without_a_gain_and_losses_in_another_colour() -> None:
    markup = inline(chart(EVERY["methods"])).markup
    assert {"20.0 %", "30.0 %", "40.0 %"} <= set(texts(EVERY["methods"]))
    assert "var(--after)" in markup
    assert "var(--accent)" in markup


def test_classes_that_changed_show_errors_and_their_fall() -> None:
    words = texts(EVERY["class_changes"])
    assert "error, %: unadjusted → adjusted" in words
    assert [one for one in words if one.endswith(".0")] == ["+50.0", "\N{MINUS SIGN}50.0"]
    markup = inline(chart(EVERY["class_changes"])).markup
    assert markup.index("var(--after)") < markup.index("var(--accent)")


def test_long_names_of_two_sides_have_a_line_of_their_own() -> None:
    rows = (ErrorRow("balanced error", "", (0.3, 0.2, 0.4), (0.4, 0.3, 0.5)),)
    short, long = (
        inline(chart(functools.partial(figures.errors, Errors(rows, sides)))).height
        for sides in (("a.npz", "b.npz"), ("a" * 20, "b" * 20))
    )
    assert long > short


def test_absent_classes_are_not_drawn() -> None:
    nan = np.nan
    shown = ClassRecalls(
        np.array([100, 30, 9]), np.array([4, 0, 4]), np.array([0.5, nan, 0.25]), None, ("cat", "dog", "emu")
    )  # fmt: skip
    svg = inline(chart(lambda: figures.recall(shown)))
    root = ElementTree.fromstring(svg.markup)
    assert len(root.findall(f".//{SVG}g[@class='part-after']//{SVG}use")) == 2
    assert "dog" not in "".join(root.itertext())


def test_without_training_counts_classes_stand_in_order_of_recall() -> None:
    shown = ClassRecalls(None, np.full(3, 5), np.array([0.9, 0.1, 0.5]))
    words = texts(lambda: figures.recall(shown))
    assert "the 3 classes with rows, lowest recall first" in words


@pytest.mark.parametrize("k", [2, 10, 101, 1000, 8142])
def test_any_number_of_classes_is_drawn_in_little_space(k: int) -> None:
    assert len(inline(chart(lambda: figures.recall(recalls(k)))).markup) < 120_000


def test_the_mean_of_classes_of_like_counts_is_drawn_for_many_classes() -> None:
    shown = recalls(900)
    one = figures.recall(shown).axes[0]
    after = [line for line in one.lines if line.get_gid() == "part-after"]
    assert len(after) == 1
    assert abs(after[0].get_ydata().mean() - 100 * shown.after.mean()) < 5


def test_empty_bins_are_not_drawn() -> None:
    figure = figures.reliability(reliability())
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert len(dots[0].get_xdata()) == 4  # of five bins


@pytest.mark.parametrize(
    "shown",
    [
        TauCurve(np.array([0.0, 4.0]), np.full(2, 0.5), np.empty(0), np.empty(0),
                 (Pick("applied", 0.0, 0.5, chosen=True),), (0.0, 0.0), (-np.inf, np.inf, 0.5)),
        TauCurve(np.array([-1.0, 1.0]), np.array([0.0, 1.0]), np.array([-1.0, 1.0]), np.array([0.0, 1.0]),
                 (), exact=False),
    ],
)  # fmt: skip
def test_flat_curves_and_curves_without_a_pick_are_drawn(shown: TauCurve) -> None:
    assert "tau" in texts(lambda: figures.curve(shown))


def test_many_groups_are_drawn_apart() -> None:
    groups = tuple(f"q{at}" for at in range(50))
    moved = np.full((50, 50), 3)
    height = inline(chart(lambda: figures.flows(Flows(groups, moved, None, None, 9999)))).height
    assert height > 50 * 25
    assert len(set(group_colours(50))) == 5


# Names from files


def hostile_figures() -> dict[str, Callable[[], Any]]:
    k = len(HOSTILE)
    counts, generator = np.arange(k, 0, -1) ** 3, np.random.default_rng(0)
    shown = ClassRecalls(
        counts, np.full(k, 9), generator.random(k), generator.random(k), HOSTILE,
        bands_of(counts, {HOSTILE[0]: counts > 99, HOSTILE[1]: counts <= 99}),
    )  # fmt: skip
    changes = tuple(ClassChange(name, 9, 0.2, 0.8) for name in HOSTILE)
    rows = tuple(ErrorRow(name, name, (0.5, 0.4, 0.6)) for name in HOSTILE)
    moved = np.full((k, k), 2)
    return {
        "recall": lambda: figures.recall(shown),
        "class_changes": lambda: figures.class_changes(ClassChanges(changes, ())),
        "errors": lambda: figures.errors(Errors(rows)),
        "flows": lambda: figures.flows(Flows(HOSTILE, moved, moved, moved * 0, 999)),
    }


@pytest.mark.parametrize("name", ["recall", "class_changes", "errors", "flows"])
def test_names_from_files_are_text_and_nothing_else(name: str) -> None:
    svg = inline(chart(hostile_figures()[name], name))
    root = ElementTree.fromstring(svg.markup)  # control characters would break it
    assert not [one for one in root.iter() if one.tag.lower().endswith("script")]
    words = "".join(one for text in root.iter(f"{SVG}text") for one in text.itertext())
    assert words.isprintable()
    assert "\u202e" not in svg.markup
    assert len(svg.markup) < 200_000


def test_names_keep_their_signs_and_digits() -> None:
    words = texts(hostile_figures()["class_changes"])
    for name in ("$x^2$ \\frac", "#1d2229", "0.123456", "&amp;", "_hidden", "<script>alert(1)…"):
        assert any(one.startswith(name[:12]) for one in words), name
    assert "#1d2229" in words
    assert "0.123456" in words


# Files


@pytest.mark.parametrize("name", ["curve", "recall", "flows"])
def test_plots_are_written_twice_with_the_same_bytes(name: str, tmp_path: Path) -> None:
    one = chart(EVERY[name], name)
    paths = write_plots([one], tmp_path / "plots", force=False)
    assert [path.name for path in paths] == [f"{name}.svg", f"{name}.png"]
    before = [path.read_bytes() for path in paths]
    assert before[1].startswith(b"\x89PNG")
    assert b"DejaVu Sans" in before[0]
    assert b"var(--" not in before[0]
    ids = re.findall(rb' id="([^"]+)"', before[0])
    assert len(set(ids)) == len(ids)
    assert not re.search(rb"Matplotlib|\d{4}-\d\d-\d\dT", before[0] + before[1])
    with pytest.raises(UsageError, match="--force"):
        write_plots([one], tmp_path / "plots", force=False)
    write_plots([one], tmp_path / "plots", force=True)
    assert [path.read_bytes() for path in paths] == before


def test_names_without_a_font_are_drawn_without_a_word(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_plots([chart(hostile_figures()["class_changes"])], tmp_path, force=False)


def full_after(times: int, *kinds: str) -> Callable[[Call], None]:
    """A disk that refuses calls of these kinds after so many of them."""
    left = iter(range(times))

    def heard(call: Call) -> None:
        if call.kind in kinds and next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return heard


@pytest.mark.parametrize("written", [0, 1])
@pytest.mark.parametrize("there", [False, True])
def test_a_full_disk_leaves_no_folder_of_its_own(tmp_path: Path, written: int, there: bool) -> None:
    one, folder = chart(hostile_figures()["class_changes"]), tmp_path / "plots"
    if there:
        folder.mkdir()
    publishing = full_after(written, "rename", "link")
    with listened(tmp_path, publishing), pytest.raises(RunError, match="No space left"):
        write_plots([one], folder, force=True)
    assert [one.suffix for one in folder.glob("*")] == [".svg"] * written
    assert folder.exists() == (there or bool(written))


def test_a_disk_too_full_for_a_folder(tmp_path: Path) -> None:
    with listened(tmp_path, full_after(0, "mkdir")), pytest.raises(RunError, match="No space left"):
        write_plots([], tmp_path / "plots", force=False)
    assert not (tmp_path / "plots").exists()


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageError, match="not a folder"):
        write_plots([], tmp_path / "taken", force=False)
    with pytest.raises(UsageError, match="cannot be made"):
        write_plots([], tmp_path / "no" / "where", force=False)


def test_the_users_own_settings_do_not_count_and_are_left_alone() -> None:
    import matplotlib

    plain = inline(chart(EVERY["curve"])).markup
    changed = {
        "text.usetex": True,
        "axes.facecolor": "red",
        "font.size": 30.0,
        "svg.fonttype": "path",
    }
    with matplotlib.rc_context(changed):
        assert inline(chart(EVERY["curve"])).markup == plain
        assert {key: matplotlib.rcParams[key] for key in changed} == changed


def test_matplotlib_waits_until_something_is_drawn_and_pyplot_is_never_loaded() -> None:
    script = (
        "import sys, lacal.report.charts.figures as figures, lacal.report.charts.svg as svg\n"
        "import lacal.report.page.of_evaluation, lacal.report.page.of_comparison, lacal.report.page.of_runs\n"
        "import lacal.report.page.of_adjusting, lacal.report.page.of_training\n"
        "from lacal.report.charts.comparison_data import ClassChange, ClassChanges\n"
        "assert 'matplotlib' not in sys.modules and 'torch' not in sys.modules\n"
        "figures.class_changes(ClassChanges((ClassChange('a', 1, 0.0, 1.0),), ()))\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


# Colours

# Machado, Oliveira & Fernandes 2009, severity 1: what a person without red, or green, cones sees (linear RGB).
DICHROMATS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "all colours": np.eye(3).tolist(),
}  # fmt: skip


def linear(hexadecimal: str) -> NDArray[np.float64]:
    value = np.array([int(hexadecimal[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.asarray(np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4))


def lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIE 1976 lightness and two axes of colour; a difference of 2 is just seen."""
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x, y, z = np.cbrt(np.clip(to_xyz @ np.clip(rgb, 0, 1) / [0.9505, 1, 1.089], 1e-9, 1))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_words_stand_out_from_the_paper(palette: dict[str, str]) -> None:
    """Contrast of 4.5 is what WCAG asks of text, 3 of marks."""
    for role in palette.keys() - {"paper", "grid"}:
        shades = sorted(
            float(linear(palette[one]) @ [0.2126, 0.7152, 0.0722]) for one in (role, "paper")
        )
        contrast = (shades[1] + 0.05) / (shades[0] + 0.05)
        assert contrast >= (3 if role == "before" else 4.5), role


@pytest.mark.parametrize("eye", DICHROMATS)
@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_that_stand_side_by_side_differ_for_every_eye(
    palette: dict[str, str], eye: str
) -> None:
    seen = {role: lab(np.array(DICHROMATS[eye]) @ linear(value)) for role, value in palette.items()}
    pairs = [("many", "medium", 35), ("medium", "few", 35), ("many", "few", 35), ("before", "after", 35),
             ("after", "accent", 35), ("before", "accent", 12)]  # fmt: skip
    for one, other, least in pairs:
        assert np.linalg.norm(seen[one] - seen[other]) >= least, (one, other)


def test_an_interval_that_is_not_known_is_not_drawn() -> None:
    known, unknown = ((ErrorRow("a", "", (0.5, *ends)),) for ends in ((0.4, 0.6), (None, None)))
    drawn = [
        inline(chart(functools.partial(figures.errors, Errors(rows)), "errors")).markup
        for rows in (known, unknown)
    ]
    assert len(drawn[1]) < len(drawn[0])


def test_room_for_no_number_at_all() -> None:
    assert room([np.nan, np.inf]) == (0.0, 100.0)
