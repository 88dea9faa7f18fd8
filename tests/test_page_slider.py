"""What the page's slider is told: errors at every tick, and rows that start and stop being right."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from lacal.classes.groups import Groups
from lacal.metrics import ClassTally, PairedTally
from lacal.report.page import slider as made
from lacal.report.page.slider import ClassPaths, Slider, slider_of
from lacal.report.page.ticks import ticks
from lacal.tau.path import TauPath

K = 4
TAUS = np.array([-1.0, 0.0, 0.5, 1.0, 2.0])
# One group without rows, one that shares no class with the others.
GROUPS = Groups(
    {
        "many": np.array([1, 1, 0, 0], bool),
        "few": np.array([0, 0, 1, 0], bool),
        "none": np.array([0, 0, 0, 1], bool),
    },
    {"many": "> 100", "few": "< 20", "none": "no row"},
)
# Ends on the ticks, between them, beyond them.
ENDS = st.sampled_from([-np.inf, -1.5, -1.0, -0.3, 0.0, 0.2, 0.5, 0.7, 1.0, 1.5, 2.0, 9.0, np.inf])


@st.composite
def paths(draw: st.DrawFn) -> tuple[TauPath, NDArray[np.bool_]]:
    n = draw(st.integers(1, 12))
    labels = draw(arrays(np.int64, n, elements=st.integers(0, 2)))
    spans = [draw(st.lists(st.tuples(ENDS, ENDS), max_size=1)) for _ in range(n)]
    owner = [i for i, own in enumerate(spans) for low, high in own if low <= high]
    ends = [pair for own in spans for pair in own if pair[0] <= pair[1]]
    low, high = (np.array([pair[at] for pair in ends], np.float64) for at in (0, 1))
    before = draw(arrays(np.bool_, n))
    return TauPath(labels, np.array(owner, np.int64), low, high, K), before


def slider(path: TauPath, before: NDArray[np.bool_]) -> Slider:
    counts = np.array([500, 200, 9, 5])
    return slider_of(
        path, before, counts, GROUPS, TAUS, {"unadjusted": 0.0, "picked": 1.0}, "picked"
    )


def tally(path: TauPath, right: NDArray[np.bool_]) -> ClassTally:
    found = ClassTally.empty(K)
    found.update(path.labels, np.where(right, path.labels, -2))
    return found


@given(paths())
def test_errors_and_gains_are_those_of_a_tally_at_every_tick(
    world: tuple[TauPath, NDArray[np.bool_]],
) -> None:
    path, before = world
    shown = slider(path, before)
    assert [one.name for one in shown.groups] == ["all classes", "many", "few", "none", "all rows"]
    for at, tau in enumerate(TAUS):
        right = path.right_at(float(tau))
        after, paired = tally(path, right), PairedTally.empty(K)
        paired.update(
            path.labels, np.where(before, path.labels, -2), np.where(right, path.labels, -2)
        )
        for one, mask in zip(shown.groups, (None, *GROUPS.masks.values()), strict=False):
            error, gain = after.balanced(mask), paired.gain(mask)
            if error.value is None or gain is None:
                assert np.isnan(one.error[at]).all()
                assert np.isnan(one.gain[at]).all()
                continue
            assert one.error[at].tolist() == [error.value, error.low, error.high]
            assert one.gain[at].tolist() == [gain.value, gain.low, gain.high]
            assert one.n == error.n
            chosen = slice(None) if mask is None else mask
            assert one.mended[at] == paired.mended[chosen].sum()
            assert one.broken[at] == paired.broken[chosen].sum()
        micro = after.micro()
        assert shown.groups[-1].error[at].tolist() == [micro.value, micro.low, micro.high]


def right_rows(classes: ClassPaths, tick: int) -> NDArray[np.int64]:
    """(k, 2) as the script counts them."""
    right = classes.always.copy().ravel()
    starts = np.concatenate([[0], np.cumsum(classes.spans.ravel())])
    covering = (classes.first <= tick) & (tick < classes.stop)
    for cell in range(right.size):
        right[cell] += covering[starts[cell] : starts[cell + 1]].sum()
    return right.reshape(-1, 2)


@given(paths())
def test_rows_are_counted_from_their_first_and_last_tick(
    world: tuple[TauPath, NDArray[np.bool_]],
) -> None:
    path, before = world
    classes = slider(path, before).classes
    assert classes is not None
    assert classes.support.tolist() == path.support.tolist()
    assert classes.before.tolist() == np.bincount(path.labels[before], minlength=K).tolist()
    for tick, tau in enumerate(TAUS):
        right = path.right_at(float(tau))
        counted = right_rows(classes, tick)
        for was in (0, 1):
            rows = right & (before == was)
            assert counted[:, was].tolist() == np.bincount(path.labels[rows], minlength=K).tolist()


def test_rows_right_everywhere_or_nowhere_take_no_room() -> None:
    low, high = np.array([-np.inf, 0.2, 0.6]), np.array([np.inf, 0.3, 9.0])
    path = TauPath(np.array([0, 1, 2]), np.arange(3), low, high, K)
    classes = slider(path, np.ones(3, bool)).classes
    assert classes is not None
    assert classes.always.sum() == 1
    assert (classes.first.tolist(), classes.stop.tolist()) == ([3], [5])


def test_a_row_may_be_right_in_several_stretches() -> None:
    path = TauPath(
        np.array([2]), np.array([0, 0]), np.array([-1.0, 1.0]), np.array([0.0, np.inf]), K
    )
    shown = slider(path, np.array([True]))
    assert shown.groups[2].error[:, 0].tolist() == [0.0, 0.0, 1.0, 0.0, 0.0]
    assert shown.groups[0].broken.tolist() == [0, 0, 1, 0, 0]


def test_too_many_rows_move_the_groups_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made, "MOST_SPANS", 1)
    path = TauPath(np.array([0, 0]), np.arange(2), np.zeros(2), np.ones(2), K)
    shown = slider(path, np.ones(2, bool))
    assert shown.classes is None
    assert shown.groups[0].error[:, 0].tolist() == [1.0, 0.0, 0.0, 0.0, 1.0]


def test_ticks_are_the_floats_of_their_decimals() -> None:
    found = ticks(0.0, 4.0, (0.725, 1 / 3))
    assert {round(i / 100, 2) for i in range(401)} | {0.725, 1 / 3} == set(found.tolist())
    assert float("1.15") in found


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 4.0), (0.5, 1.5), (-40.0, 40.0), (0.0, 1.0), (0.013, 0.29), (2.0, 3.0)]
)
def test_ticks_are_even_and_hold_zero_and_one(low: float, high: float) -> None:
    found = ticks(low, high, ())
    assert {0.0, 1.0} <= set(found.tolist())
    assert found.size <= 503
    inside = found[(found >= low) & (found <= high)]
    assert np.unique(np.diff(inside).round(6)).size == 1
    assert inside[0] - low < 0.2
    assert not np.signbit(found[found == 0]).any()


def test_marks_at_one_tick_share_a_button() -> None:
    path = TauPath(np.array([0]), np.array([0]), np.array([0.0]), np.array([1.0]), K)
    marks = {"unadjusted": 0.0, "picked": 1.0, "theory": 1.0}
    shown = slider_of(path, np.ones(1, bool), np.ones(K), GROUPS, TAUS, marks, "picked")  # type: ignore[arg-type]
    assert shown.marks == (("unadjusted", 1), ("picked, theory", 3))
    assert shown.start == 3
