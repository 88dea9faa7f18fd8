"""The curve equals counting argmax, however the rows come in, and its optimum is the lowest cell."""

import dataclasses
from collections.abc import Iterable
from itertools import pairwise

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from lacal.batch import NO_LABEL, Batch
from lacal.errors import DataError
from lacal.tau.path import MIN_PLATEAU, TauPath, TauPathAccumulator
from tests.tau_problems import TAUS, Problem, apart_from, problem_of, problems

FIELDS = ("labels", "owner", "low", "high")
ALL_KINDS = [
    ("logit-adjustment", "drop"),
    ("prior-division", "drop"),
    ("weight-norm", "drop"),
    ("weight-norm", "scale"),
    ("weight-norm", "keep"),
]


def accumulated(
    problem: Problem, cuts: Iterable[int] = (), grid: object = None
) -> TauPathAccumulator:
    """The rows in batches that end at `cuts`."""
    taus = TAUS if grid is None else np.asarray(grid)
    path = TauPathAccumulator(problem.method, problem.statistics, taus)
    edges = sorted({0, len(problem.labels), *cuts})
    for start, stop in pairwise(edges):
        rows = slice(start, stop)
        path.update(Batch(problem.logits[rows], problem.labels[rows], None, start))
    return path


def check_same(one: TauPath, other: TauPath) -> None:
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)


@given(problems())
def test_the_curve_equals_counting_argmax(problem: Problem) -> None:
    path = accumulated(problem).result()
    taus = apart_from(TAUS, np.concatenate([path.low, path.high]))
    expected = [problem.balanced_error(float(tau)) for tau in taus]
    np.testing.assert_allclose(path.balanced_error(taus), expected, rtol=0, atol=1e-12)


@given(
    problems([("logit-adjustment", "drop"), ("prior-division", "drop"), ("weight-norm", "scale")])
)
def test_the_curve_at_zero_holds_with_ties(problem: Problem) -> None:
    path = accumulated(problem).result()
    at_zero = path.balanced_error(np.zeros(1))[0]
    assert at_zero == pytest.approx(problem.balanced_error(0.0), abs=1e-12)
    np.testing.assert_array_equal(path.right_at(0.0), problem.right_at(0.0))


@given(problems([("weight-norm", "keep")]))
def test_a_kept_bias_is_exact_at_every_grid_point(problem: Problem) -> None:
    assert problem.method.family(problem.statistics) is None
    path = accumulated(problem).result()
    expected = [problem.balanced_error(float(tau)) for tau in TAUS]
    np.testing.assert_allclose(path.balanced_error(TAUS), expected, rtol=0, atol=1e-12)
    for tau in TAUS[::5]:
        np.testing.assert_array_equal(path.right_at(float(tau)), problem.right_at(float(tau)))


@given(problems(ALL_KINDS), st.lists(st.integers(0, 40), max_size=4))
def test_parts_merged_equal_the_whole(problem: Problem, cuts: list[int]) -> None:
    whole = accumulated(problem).result()
    inner = sorted({cut for cut in cuts if cut < len(problem.labels)} | {0})
    edges = [*inner, len(problem.labels)]
    merged = TauPathAccumulator(problem.method, problem.statistics, TAUS)
    for start, stop in pairwise(edges):
        part = TauPathAccumulator(problem.method, problem.statistics, TAUS)
        part.update(Batch(problem.logits[start:stop], problem.labels[start:stop], None, start))
        merged.merge(part)
    check_same(merged.result(), whole)


@given(problems(ALL_KINDS), st.sampled_from([1, 2, 7]))
def test_batch_size_changes_nothing(problem: Problem, size: int) -> None:
    cuts = range(0, len(problem.labels), size)
    check_same(accumulated(problem, cuts).result(), accumulated(problem).result())


@given(problems())
def test_the_optimum_is_the_lowest_of_all_cells(problem: Problem) -> None:
    path = accumulated(problem).result()
    low, high, near = -7.31, 8.17, 1.0
    best = path.optimum(low, high, near)
    cells = cells_of(path, low, high)
    errors = [problem.balanced_error(sum(cell) / 2) for cell in cells]
    assert best.balanced_error == pytest.approx(min(errors), abs=1e-12)
    distance = {True: max(best.low - near, near - best.high, 0.0)}
    for (left, right), error in zip(cells, errors, strict=True):
        if error <= min(errors) + 1e-12:
            assert distance[True] <= max(left - near, near - right, 0.0) + 1e-12
        if best.low <= left and right <= best.high:
            assert error == pytest.approx(best.balanced_error, abs=1e-12)


def cells_of(path: TauPath, low: float, high: float) -> list[tuple[float, float]]:
    """Between neighbouring breakpoints, cut to the range; all that is wide enough to stand in."""
    ends = np.concatenate([path.low, path.high])
    inside = np.unique(ends[(ends > low) & (ends < high)])
    edges = [low, *inside.tolist(), high]
    pairs = pairwise(edges)
    return [(left, right) for left, right in pairs if right - left > MIN_PLATEAU]


def path_of(rows: list[tuple[int, float, float]], classes: int) -> TauPath:
    labels, low, high = (np.array(column) for column in zip(*rows, strict=True))
    return TauPath(labels, np.arange(len(rows)), low.astype(float), high.astype(float), classes)


def test_the_optimum_joins_neighbouring_cells_and_keeps_apart_plateaus_apart() -> None:
    inf = np.inf
    path = path_of([(0, -inf, 1.0), (0, 1.0, 2.0), (0, 3.0, 4.0), (1, -inf, inf)], 2)
    # [.., 1], [1, 2] and [3, 4] are equally good; in 2..3 nobody of class 0 is right.
    assert (path.optimum(-inf, inf, 1.6).low, path.optimum(-inf, inf, 1.6).high) == (-inf, 2.0)
    assert (path.optimum(-inf, inf, 2.9).low, path.optimum(-inf, inf, 2.9).high) == (3.0, 4.0)
    within = path.optimum(2.2, 2.8, 0.0)
    assert (within.low, within.high, within.balanced_error) == (2.0, 3.0, 0.5)


def test_a_plateau_that_no_float_stands_in_is_passed_over() -> None:
    path = path_of([(0, 1.0, 1.0 + 1e-12), (1, -np.inf, np.inf), (0, 2.0, 3.0), (0, 5.0, 4.0)], 2)
    assert path.optimum(0.0, 4.0, 1.0).low == 2.0


def test_a_range_must_reach_into_a_plateau_and_not_touch_it() -> None:
    """Of a tie at tau = 0 the next float is the end, and 0 itself the last tau of the better plateau."""
    after = np.nextafter(0.0, 1.0)
    path = path_of([(0, -1.0, 0.0), (0, after, np.inf), (1, -np.inf, after)], 2)
    assert path.balanced_error(np.array([-0.5, 0.0, 0.5])).tolist() == [0.25, 0.25, 0.75]
    assert path.optimum(-2.0, 4.0, 1.0).high <= after
    assert path.optimum(0.0, 4.0, 1.0).balanced_error == 0.75


def test_a_range_without_a_plateau_gives_its_middle() -> None:
    path = path_of([(0, 1.0, np.inf), (1, -np.inf, np.inf)], 2)
    found = path.optimum(1.5, 1.5 + 1e-12, 1.0)
    assert (found.low, found.high, found.balanced_error) == (found.low, found.low, 0.0)
    assert 1.5 <= found.low <= 1.5 + 1e-12


def test_the_order_of_rows_changes_no_bit_of_the_curve() -> None:
    problem = problem_of(5, 40, 5)
    forward, order = accumulated(problem).result(), np.random.default_rng(0).permutation(40)
    shuffled = dataclasses.replace(
        problem, logits=problem.logits[order], labels=problem.labels[order]
    )
    np.testing.assert_array_equal(
        accumulated(shuffled).result().balanced_error(TAUS), forward.balanced_error(TAUS)
    )


def test_errors_of_nothing_and_of_everything_are_exact() -> None:
    """Weights of 1 / 3 do not add up to 1; what is right is measured against what they add up to."""
    path = path_of([(0, -np.inf, 1.0), (1, -np.inf, 1.0), (2, -np.inf, 1.0)], 3)
    assert path.balanced_error(np.array([0.0, 2.0])).tolist() == [0.0, 1.0]


def test_absent_classes_do_not_count_and_present_ones_count_alike() -> None:
    problem = problem_of(3, 40, 5)
    some = np.flatnonzero((problem.labels == 0) | (problem.labels == 3))
    path = TauPathAccumulator(problem.method, problem.statistics, TAUS)
    path.update(Batch(problem.logits[some], problem.labels[some], None, 0))
    right = problem.right_at(0.5)
    expected = 1 - np.mean([right[problem.labels == y].mean() for y in (0, 3)])
    assert path.result().balanced_error(np.array([0.5]))[0] == pytest.approx(expected, abs=1e-12)
    assert path.result().support.tolist() == np.bincount(problem.labels[some], minlength=5).tolist()


def test_rows_without_a_label_are_left_out() -> None:
    problem = problem_of(3, 40, 5)
    unlabelled: NDArray[np.int64] = np.where(np.arange(40) % 3 == 0, NO_LABEL, problem.labels)
    mixed = TauPathAccumulator(problem.method, problem.statistics, TAUS)
    mixed.update(Batch(problem.logits, unlabelled, None, 0))
    mixed.update(Batch(problem.logits, None, None, 40))
    known = unlabelled != NO_LABEL
    alone = TauPathAccumulator(problem.method, problem.statistics, TAUS)
    alone.update(Batch(problem.logits[known], problem.labels[known], None, 0))
    check_same(mixed.result(), alone.result())


def test_no_labelled_row_is_refused() -> None:
    problem = problem_of(3, 4, 3)
    path = TauPathAccumulator(problem.method, problem.statistics, TAUS)
    path.update(Batch(problem.logits, None, None, 0))
    with pytest.raises(DataError, match="no row carries a label"):
        path.result()
