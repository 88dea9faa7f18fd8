"""The exact path at its edges, by hand: where intervals end, what a narrow range gives, what single precision may tell."""

import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lacal.batch import Batch
from lacal.errors import DataError
from lacal.methods import METHODS, ClassStatistics, Family
from lacal.tau.intervals import intervals
from lacal.tau.path import MIN_PLATEAU, TauPath, TauPathAccumulator, _between, _grid_cells
from lacal.tau.screen import SMALLEST_GAP, Screen, inwards
from tests.tau_problems import KINDS, problem_of

INF = np.inf


def after(value: float) -> float:
    return float(np.nextafter(value, INF))


def before(value: float) -> float:
    return float(np.nextafter(value, -INF))


def path_of(rows: list[tuple[int, float, float]], classes: int = 2) -> TauPath:
    """A row each of (label, low, high)."""
    labels, low, high = (np.array(column) for column in zip(*rows, strict=True))
    return TauPath(labels, np.arange(len(rows)), low.astype(float), high.astype(float), classes)


# The curve


def test_intervals_are_closed() -> None:
    path = path_of([(0, 1.0, 2.0), (1, -INF, INF)])
    taus = np.array([before(1.0), 1.0, 1.5, 2.0, after(2.0)])
    assert path.balanced_error(taus).tolist() == [0.5, 0.0, 0.0, 0.0, 0.5]
    assert path.right_at(1.0).dtype == np.bool_
    assert [path.right_at(tau).tolist() for tau in taus.tolist()] == [
        [False, True], [True, True], [True, True], [True, True], [False, True],
    ]  # fmt: skip


def test_a_row_weighs_what_its_class_leaves_it() -> None:
    path = path_of([(0, 0, 1), (0, 0, 1), (0, 0, 1), (2, 5, 6)], classes=4)
    np.testing.assert_allclose(path.row_weights(), [1 / 6, 1 / 6, 1 / 6, 1 / 2], rtol=1e-15)
    assert path.row_weights().dtype == np.float64
    np.testing.assert_allclose(path.balanced_error(np.array([0.5, 3.0, 5.5])), [0.5, 1.0, 0.5], rtol=1e-15)  # fmt: skip


def test_the_order_of_rows_changes_no_bit() -> None:
    generator = np.random.default_rng(0)
    ends, labels = np.sort(generator.normal(size=(700, 2))), generator.integers(0, 7, 700)
    taus = np.linspace(-2, 2, 301)
    errors = []
    for order in (np.arange(700), *(generator.permutation(700) for _ in range(3))):
        path = TauPath(labels[order], np.arange(700), ends[order, 0], ends[order, 1], 7)
        errors.append(path.balanced_error(taus))
    for other in errors[1:]:
        np.testing.assert_array_equal(other, errors[0])


def test_a_row_may_own_several_intervals() -> None:
    path = TauPath(
        np.array([1, 0]), np.array([1, 1]), np.array([0.0, 2.0]), np.array([1.0, 3.0]), 2
    )
    assert path.balanced_error(np.array([0.5, 1.5, 2.5])).tolist() == [0.5, 1.0, 0.5]
    assert path.right_at(2.5).tolist() == [False, True]


# The optimum


def test_a_range_within_a_plateau_too_narrow_to_stand_in() -> None:
    """The middle of the range is all there is, and its error is that of the middle."""
    width = 2.0**-31  # below MIN_PLATEAU, with floats inside
    path = path_of([(0, 1.0, 1 + width), (1, -INF, INF)])
    found = path.optimum(1 + width / 4, 1 + width / 2, 5.0)
    assert (found.low, found.high) == (1 + 3 * width / 8, 1 + 3 * width / 8)
    assert found.balanced_error == 0.0
    beside = path_of([(0, 0.0, 1.0), (0, 1 + width, 2.0), (1, -INF, INF)])
    assert beside.optimum(1 + width / 4, 1 + width / 2, 5.0).balanced_error == 0.5


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (2.0, 3.0, (2.0, 3.0, 0.5)),  # a plateau that the range touches is not in it
        (2 - MIN_PLATEAU / 2, 3.0, (2.0, 3.0, 0.5)),  # nor one into which it reaches by a hair
        (2 - 2 * MIN_PLATEAU, 3.0, (1.0, 2.0, 0.0)),
        (0.0, 1.0, (-INF, 1.0, 0.5)),
        (0.0, 1 + MIN_PLATEAU / 2, (-INF, 1.0, 0.5)),
        (0.0, 1 + 2 * MIN_PLATEAU, (1.0, 2.0, 0.0)),
        (2.5, 10.0, (2.0, 3.0, 0.5)),  # 0.5 as behind 3, and nearer to 2
        (3.5, 10.0, (3.0, INF, 1.0)),
        (-INF, INF, (1.0, 2.0, 0.0)),
    ],
)
def test_the_optimum_of_a_range(low: float, high: float, expected: tuple[Any, ...]) -> None:
    path = path_of([(0, 1.0, 2.0), (1, -INF, 3.0)])
    found = path.optimum(low, high, 2.0)
    assert (found.low, found.high, found.balanced_error) == expected


@pytest.mark.parametrize(
    ("near", "low"),
    [
        (-5.0, 0.0),
        (1.9, 0.0),
        (2.1, 3.0),
        (3.5, 3.0),
        (4.9, 3.0),
        (5.1, 6.0),
        (9.0, 6.0),
    ],
)
def test_of_equal_plateaus_the_nearest(near: float, low: float) -> None:
    path = path_of([(0, 0.0, 1.0), (0, 3.0, 4.0), (0, 6.0, 7.0), (1, -INF, INF)])
    found = path.optimum(-10.0, 10.0, near)
    assert (found.low, found.high) == (low, low + 1)
    assert found.balanced_error == pytest.approx(1 / 3)


def test_plateaus_that_touch_are_one_and_those_with_a_gap_are_two() -> None:
    """Of a gap that is narrower than any plateau too: in it a class is wrong."""
    gap = 2.0**-31
    rows = [(0, 0.0, 1.0), (0, 1.0, 2.0), (0, 2 + gap, 3.0), (1, -INF, INF)]
    found = path_of(rows).optimum(-10.0, 10.0, 0.5)
    assert (found.low, found.high) == (0.0, 2.0)
    found = path_of(rows).optimum(-10.0, 10.0, 2.5)
    assert (found.low, found.high) == (2 + gap, 3.0)


def test_a_plateau_of_just_the_least_width_counts() -> None:
    path = path_of([(0, 0.0, MIN_PLATEAU), (0, 1.0, 1 + 2.0**-29), (1, -INF, INF)])
    assert path.optimum(-1.0, 2.0, 0.0).low == 1.0  # 2**-29 is wider, the least itself is not
    assert path.optimum(-1.0, 2.0, 0.0).balanced_error == 0.25


# Making it


def test_grid_points_stand_for_the_cells_around_them() -> None:
    right = np.array([[True, False, True], [True, True, False], [False, True, True]])
    owner, low, high = _grid_cells(right, np.array([0.0, 1.0, 3.0]))
    assert owner.tolist() == [0, 1, 2, 2]
    assert low.tolist() == [-INF, after(0.5), -INF, after(2.0)]
    assert high.tolist() == [2.0, INF, 0.5, INF]


def test_a_row_that_is_never_right_on_the_grid_owns_nothing() -> None:
    owner, low, high = _grid_cells(np.zeros((3, 2), np.bool_), np.array([0.0, 1.0, 2.0]))
    assert owner.size == low.size == high.size == 0


def test_between_ends_that_may_be_infinite() -> None:
    left, right = np.array([-INF, -INF, 4.0, 1.0, -2.0]), np.array([INF, 2.0, INF, 4.0, -1.0])
    assert _between(left, right).tolist() == [0.0, 1.0, 5.0, 2.5, -1.5]


def accumulator() -> TauPathAccumulator:
    log_prior = np.log([0.75, 0.25])
    return TauPathAccumulator(METHODS["logit-adjustment"], ClassStatistics(log_prior), np.zeros(1))


def test_rows_that_no_tau_gets_right_are_kept_without_an_interval() -> None:
    path, labels = accumulator(), np.array([0, 1, 0])
    path.add(labels, np.array([2.0, 1.0, 5.0]), np.array([1.0, 1.0, 6.0]))
    labels[:] = 1  # batches share a buffer: what was added must not move with it
    path.add(np.array([1]), np.array([7.0]), np.array([8.0]))
    made = path.result()
    assert made.labels.tolist() == [0, 1, 0, 1]
    assert made.owner.tolist() == [1, 2, 3]
    assert (made.low.tolist(), made.high.tolist()) == ([1.0, 5.0, 7.0], [1.0, 6.0, 8.0])
    assert made.classes == 2


def test_no_label_in_a_whole_sentence() -> None:
    path = accumulator()
    path.update(Batch(np.zeros((2, 2), np.float32), None, None, 0))
    sentence = "no row carries a label; tau can only be tuned on labelled rows"
    with pytest.raises(DataError, match=f"^{re.escape(sentence)}$"):
        path.result()


# Single precision

SLOPES = np.array([0.0, -1.0, -2.0])


def screened(*logits: list[float], label: int = 0) -> NDArray[np.bool_]:
    """Which rows must be computed again."""
    screen = Screen.of(SLOPES)
    assert screen is not None
    rows = np.array(logits, np.float32)
    return screen.intervals(rows, np.full(len(rows), label))[2]


def test_the_tolerance_by_hand() -> None:
    """Slopes -1, 0 and 1 about their middle: 2^-23 for the gap, 3 roundings of 2^-24, all twice."""
    screen = Screen.of(SLOPES)
    assert screen is not None
    assert screen.tolerance == 2 * (2.0**-23 + 3 * 2.0**-24)
    assert screen.single.tolist() == [1.0, 0.0, -1.0]
    assert screen.single.dtype == np.float32
    wider = Screen.of(np.array([0.0, -1.0, -5.0]))
    assert wider is not None
    assert wider.tolerance == 2 * (2.5 * 2.0**-23 + 3 * 2.0**-24)
    assert wider.single.tolist() == [2.5, 1.5, -2.5]


def test_slopes_that_can_just_be_told_apart() -> None:
    """The gap is held against the largest slope about their middle, or against 1 where all are smaller."""
    for largest, least in ((0.25, 1.0), (1.0, 1.0), (4.0, 4.0)):
        for times, known in ((1.01, True), (0.99, False)):
            gap = times * least * SMALLEST_GAP
            slopes = np.array([-largest, largest - gap, largest]) + 9
            assert (Screen.of(slopes) is not None) is known, (largest, times)
    assert Screen.of(np.array([3.0, 3.0])) is not None  # one slope has no gap


def test_single_precision_is_sure_unless_the_second_is_near() -> None:
    sure = [4.0, 2.0, 1.0]  # crosses 1 at -2 ... rivals at gaps 1 and 2: taus 2 and 1.5
    tied = [4.0, 2.0, 0.0]  # both at 2
    nearly = [4.0, 2.0, float(np.nextafter(np.float32(0), np.float32(1)))]
    at_zero = [4.0, 4.0, 1.0]  # a tie where tau is 0
    assert screened(sure, tied, nearly, at_zero).tolist() == [False, True, True, True]


def test_a_rival_of_equal_slope_and_score_is_unsure() -> None:
    screen = Screen.of(np.array([0.0, 0.0, -1.0]))
    assert screen is not None
    rows = np.array([[1.0, 1.0, 0.0], [1.0, 0.5, 0.0]], np.float32)
    assert screen.intervals(rows, np.zeros(2, np.int64))[2].tolist() == [True, False]


def test_rivals_ahead_are_cut_in_without_a_second_look() -> None:
    """The label is behind at 0: behind rarer rivals it asks for tau below, behind commoner ones for tau above."""
    screen = Screen.of(SLOPES)
    assert screen is not None
    low, high, unsure = screen.intervals(
        np.array([[0.0, 1.0, 4.0], [3.0, 0.0, 0.5], [0.0, 5.0, -1.0]], np.float32),
        np.array([0, 2, 2]),
    )
    assert not unsure.any()
    assert (low[0], high[0]) == (-INF, -2.0)  # 1 at -1, 4 at -2, both of higher index
    assert (low[1], high[1]) == (after(2.5 / 2), INF)  # of class 0, which wins ties
    assert (low[2], high[2]) == (after(6.0), INF)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rivals_ahead_on_both_sides_leave_no_tau(dtype: type[Any]) -> None:
    family = Family(SLOPES)
    low, high = intervals(np.array([[1.0, 0.0, 1.0]], dtype), np.array([1]), family)
    assert low[0] > high[0]
    equal = Family(np.array([0.0, 0.0, -1.0]))
    low, high = intervals(np.array([[0.0, 1.0, -3.0]], dtype), np.array([0]), equal)
    assert (low[0], high[0]) == (INF, -INF)


def test_ends_move_inwards_where_they_are_open_and_finite() -> None:
    ends = np.array([1.0, 1.0, INF, -INF])
    open_end = np.array([True, False, True, True])
    assert inwards(ends, INF, open_end).tolist() == [after(1.0), 1.0, INF, -INF]
    assert inwards(ends, -INF, open_end).tolist() == [before(1.0), 1.0, INF, -INF]
    assert inwards(ends, INF, np.zeros(4, np.bool_)) is ends


# The power family


@pytest.mark.parametrize(
    ("scores", "label", "expected"),
    [
        ([2.0, 1.0], 0, (-INF, 1.0)),  # 2 / 2^tau against 1
        ([2.0, 1.0], 1, (after(1.0), INF)),
        ([2.0, -1.0], 0, (-INF, INF)),  # above a rival that is not positive at every tau
        ([2.0, 0.0], 0, (-INF, INF)),
        ([2.0, -1.0], 1, (INF, -INF)),
        ([0.0, -1.0], 0, (-INF, INF)),
        ([0.0, 0.0], 1, (INF, -INF)),  # ties go to the lower index
        ([-1.0, 0.0], 1, (-INF, INF)),
        ([-1.0, 0.0], 0, (INF, -INF)),
        ([-2.0, -1.0], 1, (-INF, before(1.0))),  # -2 / 2^tau is -1 at 1, and goes on towards 0
        ([-2.0, -1.0], 0, (1.0, INF)),
    ],
)
def test_scores_divided_by_a_power_by_hand(
    scores: list[float], label: int, expected: tuple[float, float]
) -> None:
    """Norms 2 and 1."""
    family = Family(np.array([np.log(2.0), 0.0]), np.zeros(2))
    low, high = intervals(np.array([scores]), np.array([label]), family)
    assert (low[0], high[0]) == expected


def test_scores_that_differ_by_the_least_float_overflow_quietly() -> None:
    rows = np.array([[1e-45, 0.0, -1.0], [0.0, 1e-45, -1.0]], np.float32)
    labels = np.zeros(2, np.int64)
    assert rows[0, 0] > 0
    for single, double in zip(
        intervals(rows, labels, Family(SLOPES)),
        intervals(rows.astype(np.float64), labels, Family(SLOPES)),
        strict=True,
    ):
        np.testing.assert_array_equal(single, double)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", ["any", "coarse", "few positive"])
@pytest.mark.parametrize("tile", [1, 60, 130])
def test_tiles_change_no_bit(
    kind: tuple[str, str], shape: str, tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one row, of less than one, of two; where single precision cannot tell, the second look has tiles too."""
    problem = problem_of(7, 41, 60, kind=kind, shape=shape, masked=2 if tile == 60 else 0)
    family = problem.method.family(problem.statistics)
    assert family is not None
    whole = intervals(problem.logits, problem.labels, family)
    for name in ("TILE", "DOUBLE_TILE"):
        monkeypatch.setattr(f"lacal.tau.intervals.{name}", tile)
    for one, other in zip(intervals(problem.logits, problem.labels, family), whole, strict=True):
        np.testing.assert_array_equal(one, other)
