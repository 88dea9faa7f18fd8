"""A row's interval says what argmax says, at every tau that is no breakpoint, and at 0 even there."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from lacal.methods import Family
from lacal.tau.intervals import _pool, intervals
from lacal.tau.screen import Screen
from tests.tau_problems import KINDS, SHAPES, TAUS, Problem, apart_from, problem_of, problems


def ends_of(problem: Problem) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    family = problem.method.family(problem.statistics)
    assert family is not None
    return intervals(problem.logits, problem.labels, family)


def check_against_argmax(problem: Problem, taus: NDArray[np.float64] = TAUS) -> None:
    low, high = ends_of(problem)
    told = apart_from(taus, np.concatenate([low, high]))
    for tau in told:
        expected = problem.right_at(float(tau))
        np.testing.assert_array_equal((low <= tau) & (tau <= high), expected, f"at tau {tau}")


@given(problems())
def test_intervals_equal_argmax(problem: Problem) -> None:
    check_against_argmax(problem)


@given(
    problems([("logit-adjustment", "drop"), ("prior-division", "drop"), ("weight-norm", "scale")])
)
def test_tau_zero_is_the_plain_argmax_with_its_ties(problem: Problem) -> None:
    low, high = ends_of(problem)
    np.testing.assert_array_equal((low <= 0) & (high >= 0), problem.right_at(0.0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_rows_over_many_tiles(
    kind: tuple[str, str], shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lacal.tau.intervals.TILE", 3000)
    monkeypatch.setattr("lacal.tau.intervals.DOUBLE_TILE", 700)
    for masked in (0, 2):
        problem = problem_of(5, 300, 60, kind=kind, shape=shape, masked=masked)
        check_against_argmax(problem, np.array([-1.0, 0.1, 0.7, 1.0, 3.3]))


def test_more_classes_than_a_tile_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lacal.tau.intervals.TILE", 50)
    monkeypatch.setattr("lacal.tau.intervals.DOUBLE_TILE", 20)
    check_against_argmax(problem_of(5, 30, 60), np.array([-1.0, 0.1, 1.0, 3.3]))


def test_ends_are_the_crossings() -> None:
    """By hand: 2 - 0 = tau * (log 0.8 - log 0.1) and 2 - 1 = tau * (log 0.8 - log 0.1)."""
    slopes = np.log([0.8, 0.1, 0.1])
    logits = np.array([[2.0, 0.0, 1.0]])
    for label, low, high in [(0, -np.inf, 1 / np.log(8)), (2, 1 / np.log(8), np.inf)]:
        got_low, got_high = intervals(logits, np.array([label]), Family(slopes))
        np.testing.assert_allclose([got_low[0], got_high[0]], [low, high], rtol=1e-15)
    never_low, never_high = intervals(logits, np.array([1]), Family(slopes))
    assert never_low[0] > never_high[0]


def test_a_tie_goes_to_the_lowest_index_at_zero_and_for_twins() -> None:
    logits = np.zeros((2, 2))
    labels = np.array([0, 1])
    rarer_second = Family(np.log([0.75, 0.25]))
    low, high = intervals(logits, labels, rarer_second)
    assert high[0] == 0  # right at 0, and wrong as soon as tau is above
    assert 0 < low[1] < 1e-300
    low, high = intervals(logits, labels, Family(np.log([0.5, 0.5])))
    assert (low[0], high[0]) == (-np.inf, np.inf)
    assert low[1] > high[1]


def test_a_masked_class_is_never_right_and_nobodys_rival() -> None:
    family = Family(np.array([-np.inf, np.log(0.5), np.log(0.5)]))
    low, high = intervals(np.array([[9.0, 1.0, 0.0]] * 2), np.array([0, 1]), family)
    assert low[0] > high[0]
    assert (low[1], high[1]) == (-np.inf, np.inf)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_tie_away_from_zero_goes_to_the_lowest_index(dtype: type[np.floating[Any]]) -> None:
    # At tau = 1 the two classes tie: 10 / 0.9090... against 1 / 0.0909..., in logs exactly.
    log_prior = np.log2([8 / 9, 1 / 9])
    logits = np.array([[3.0, 0.0], [3.0, 0.0]]).astype(dtype)
    low, high = intervals(logits, np.array([0, 1]), Family(log_prior))
    tie = (log_prior[0] - log_prior[1]) ** -1 * 3.0
    assert high[0] == tie
    assert low[1] == np.nextafter(tie, np.inf)


def test_threads_where_the_system_does_not_tell_which_cores_are_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: None)
    with _pool.__wrapped__() as pool:
        assert pool.submit(len, "ab").result() == 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zeros_of_either_sign_tie(dtype: type[np.floating[Any]]) -> None:
    family = Family(np.log([0.5, 0.3, 0.2]))
    signed = np.array([[0.0, -0.0, -1.0], [-0.0, 0.0, -0.0], [-0.0, 0.0, 0.0]] * 3).astype(dtype)
    labels = np.repeat(np.arange(3), 3)
    plain = intervals(np.where(signed == 0, 0, signed).astype(dtype), labels, family)
    for one, other in zip(intervals(signed, labels, family), plain, strict=True):
        np.testing.assert_array_equal(one, other)


def test_scores_at_the_end_of_the_floats() -> None:
    """What overflows stands for a tau that no float is, and says nothing on the way."""
    far, near = Family(np.array([0.0, 1.0])), Family(np.array([0.0, 1e-300]))
    scores = np.array([[1e308, -1e308], [-1e308, 1e308]])
    for family in (far, near):
        low, high = intervals(scores, np.zeros(2, np.int64), family)
        for tau in (-1e9, 0.0, 1e9):
            assert ((low <= tau) & (tau <= high)).tolist() == [True, False]


@pytest.mark.parametrize(
    ("dtype", "kind", "screened"),
    [("f4", KINDS[0], True), ("f8", KINDS[0], False), ("f4", KINDS[1], False)],
)
def test_single_precision_serves_linear_families_of_float32(
    monkeypatch: pytest.MonkeyPatch, dtype: str, kind: tuple[str, str], screened: bool
) -> None:
    seen: list[int] = []
    whole = Screen.intervals

    def counted(screen: Screen, logits: Any, labels: Any) -> Any:
        seen.append(len(labels))
        return whole(screen, logits, labels)

    monkeypatch.setattr(Screen, "intervals", counted)
    ends_of(problem_of(5, 30, 6, dtype=dtype, kind=kind))
    assert seen == [30] * screened
