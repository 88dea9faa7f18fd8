"""The arithmetic of one temperature: derivatives, the minimum, its interval, classes that do not count."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from lacal.adjustment import Adjustment
from lacal.batch import Labels, PerClass
from lacal.errors import DataError
from lacal.fits.temperature import (
    COLDEST,
    HOTTEST,
    TOLERANCE,
    InverseSearch,
    LogLossSums,
    possible,
)
from lacal.pipeline.temperature import fit_temperature
from lacal.rows.logits_source import SourceOptions, open_source

Scores = NDArray[np.float64]


def gaussians(
    rows: NDArray[np.int64], temperature: float, generator: np.random.Generator
) -> tuple[Scores, Labels]:
    """Scores whose posterior under equal shares is `softmax(scores / temperature)`; rows[y] of class y."""
    means = 0.6 * generator.normal(size=(rows.size, 8))
    labels = np.repeat(np.arange(rows.size), rows)
    points = means[labels] + generator.normal(size=(labels.size, 8))
    return temperature * (points @ means.T - 0.5 * (means**2).sum(axis=1)), labels


def problem(seed: int, classes: int = 6) -> tuple[Scores, Labels, PerClass]:
    """Scores, labels of unequal class sizes, and the log of a target prior."""
    generator = np.random.default_rng(seed)
    rows = generator.integers(1, 9, classes)
    scores, labels = gaussians(rows, 2.0, generator)
    return scores, labels, np.log(generator.dirichlet(np.full(classes, 3.0)))


def summed(inverse: float, scores: Scores, labels: Labels, log_target: PerClass) -> LogLossSums:
    sums = LogLossSums(inverse, log_target)
    sums.update(scores, labels)
    return sums


def fitted(scores: Scores, labels: Labels, log_target: PerClass) -> tuple[LogLossSums, int]:
    """The sums at the minimum, and how many were made on the way."""
    search, sums, passes = InverseSearch(), summed(1.0, scores, labels, log_target), 1
    while (inverse := search.after(sums)) is not None:
        sums, passes = summed(inverse, scores, labels, log_target), passes + 1
    return sums, passes


def log_loss(inverse: float, scores: Scores, labels: Labels, log_target: PerClass) -> float:
    """The formula, row by row: every class counts by its share, its rows alike."""
    total = shares = 0.0
    for y in np.unique(labels):
        own = inverse * scores[labels == y] + log_target
        share = float(np.exp(log_target[y]))
        total += share * float((logsumexp(own, axis=1) - own[:, y]).mean())
        shares += share
    return total / shares


@given(st.integers(0, 999), st.floats(0.05, 5))
def test_the_loss_is_the_formula_and_its_derivatives_are_differences(
    seed: int, inverse: float
) -> None:
    scores, labels, log_target = problem(seed)
    sums = summed(inverse, scores, labels, log_target)
    step = 1e-4 * inverse
    low, here, high = (
        log_loss(inverse + move, scores, labels, log_target) for move in (-step, 0, step)
    )
    scale = np.abs(scores).max()
    assert sums.mean(sums.loss) == pytest.approx(here, rel=1e-10)
    assert sums.mean(sums.slope) == pytest.approx((high - low) / (2 * step), abs=1e-5 * scale)
    bend = (high - 2 * here + low) / step**2
    assert sums.mean(sums.curvature) == pytest.approx(bend, abs=1e-3 * scale**2)


@given(st.integers(0, 999))
def test_the_minimum_is_that_of_a_library(seed: int) -> None:
    scores, labels, log_target = problem(seed)
    right = scores[np.arange(labels.size), labels] == scores.max(axis=1)
    if right.all():
        return
    found, passes = fitted(scores, labels, log_target)
    best = minimize_scalar(
        lambda u: log_loss(float(np.exp(u)), scores, labels, log_target),
        bounds=(np.log(1 / HOTTEST), np.log(1 / COLDEST)),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert found.mean(found.loss) == pytest.approx(best.fun, abs=1e-9)
    if 1 / HOTTEST < found.inverse < 1 / COLDEST:
        assert np.log(found.inverse) == pytest.approx(best.x, abs=1e-3)
        assert passes <= 15


@given(st.integers(0, 999), st.floats(0.1, 10))
def test_scores_times_c_want_a_temperature_times_c(seed: int, factor: float) -> None:
    generator = np.random.default_rng(seed)
    scores, labels = gaussians(np.full(5, 12), 1.0, generator)
    log_target = np.full(5, -np.log(5))
    one, other = (fitted(s, labels, log_target)[0] for s in (scores, factor * scores))
    assert factor * other.inverse == pytest.approx(one.inverse, rel=2 * TOLERANCE)
    assert other.mean(other.loss) == pytest.approx(one.mean(one.loss), rel=1e-9)
    assert other.error_of_log() == pytest.approx(one.error_of_log(), rel=1e-3)


@given(st.integers(0, 999), st.integers(0, 40))
def test_parts_merge_and_rows_of_a_class_may_be_repeated(seed: int, cut: int) -> None:
    scores, labels, log_target = problem(seed)
    whole = summed(0.7, scores, labels, log_target)
    part = summed(0.7, scores[:cut], labels[:cut], log_target)
    part.merge(summed(0.7, scores[cut:], labels[cut:], log_target))
    assert part.support.tolist() == whole.support.tolist()
    for name in ("loss", "slope", "slope_squares", "curvature"):
        assert getattr(part, name) == pytest.approx(getattr(whole, name), rel=1e-10, abs=1e-12)
    again = np.concatenate([np.arange(labels.size), np.flatnonzero(labels == 0)])
    twice = summed(0.7, scores[again], labels[again], log_target)
    assert twice.mean(twice.loss) == pytest.approx(whole.mean(whole.loss), rel=1e-10)


@pytest.mark.parametrize("rows", [3, 10, 0])
def test_the_interval_holds_the_truth_as_often_as_it_says(rows: int) -> None:
    """0 stands for 1 to 11 rows a class, whatever the class."""
    generator, trials, held = np.random.default_rng(rows), 300, 0
    log_target = np.full(20, -np.log(20))
    for _ in range(trials):
        each = np.full(20, rows) if rows else generator.integers(1, 12, 20)
        scores, labels = gaussians(each, 2.0, generator)
        found, _ = fitted(scores, labels, log_target)
        error = found.error_of_log()
        assert error is not None
        held += abs(np.log(2.0 * found.inverse)) <= 1.96 * error
    assert 0.91 <= held / trials <= 0.985  # 95 % of 300, give or take 3 standard errors


def test_classes_that_cannot_be_are_out_of_the_sum() -> None:
    scores, labels, log_target = problem(3)
    narrow, others = (
        fitted(scores[labels > 0][:, 1:], labels[labels > 0] - 1, log_target[1:])[0],
        labels > 0,
    )
    masked = scores.copy()
    masked[:, 0] = -np.inf
    never = log_target.copy()
    never[0] = -np.inf
    assert possible(masked, labels, log_target).tolist() == others.tolist()
    assert possible(scores, labels, never).tolist() == others.tolist()
    for wide in (
        fitted(masked[others], labels[others], log_target)[0],
        fitted(scores[others], labels[others], never)[0],
    ):
        assert wide.inverse == pytest.approx(narrow.inverse, rel=2 * TOLERANCE)
        assert wide.mean(wide.loss) == pytest.approx(narrow.mean(narrow.loss), rel=1e-9)


def test_the_search_ends_at_the_ends_of_its_range() -> None:
    log_target, labels = np.log([0.5, 0.5]), np.array([0, 1])
    right = np.array([[1e-3, 0.0], [0.0, 1e-3]])
    assert fitted(right, labels, log_target)[0].inverse == 1 / COLDEST
    assert fitted(-right, labels, log_target)[0].inverse == 1 / HOTTEST
    flat, passes = fitted(np.zeros((2, 2)), labels, log_target)
    assert (flat.inverse, passes) == (1.0, 1)
    assert flat.error_of_log() is None


# What no temperature fits


def temperature_of(folder: Path, logits: Scores, labels: Labels) -> float:
    """The temperature fitted on a file of these."""
    np.savez(folder / "rows.npz", logits=logits, labels=labels)
    source = open_source(folder / "rows.npz", SourceOptions())
    return fit_temperature(source, Adjustment.identity(logits.shape[1])).value


def test_rows_of_one_class_are_refused(tmp_path: Path) -> None:
    one = np.random.default_rng(0).normal(size=(60, 5))
    with pytest.raises(DataError, match="every row that counts is of class 1; a temperature needs"):
        temperature_of(tmp_path, one, np.full(60, 1))


@pytest.mark.parametrize("factor", [1e4, 1e35, 1e150, 1e300, 1e-5])
def test_the_scale_is_named_where_it_is_the_reason(tmp_path: Path, factor: float) -> None:
    """A factor neither hides nor makes knowledge of the classes: it only moves the temperature."""
    logits, labels = gaussians(np.full(5, 40), 2.0, np.random.default_rng(0))
    assert temperature_of(tmp_path, logits, labels) == pytest.approx(2, rel=0.5)
    with pytest.raises(DataError, match=r"scores differ by up to .*scale of logits"):
        temperature_of(tmp_path, logits * factor, labels)
    if 1 < factor < 1e100:
        with pytest.raises(DataError, match="do not tell the classes apart"):
            temperature_of(tmp_path, -logits * factor, labels)


def test_a_step_past_what_is_known_goes_to_the_geometric_middle() -> None:
    """Sums whose bend tells of a minimum beyond the point where the slope has been seen to rise."""
    search = InverseSearch()
    sums = LogLossSums(1.0, np.zeros(2))
    sums.support, sums.slope, sums.curvature = np.ones(2, np.int64), np.ones(2), np.full(2, 10.0)
    assert search.after(sums) == pytest.approx(np.exp(-1 / 11))
    sums.inverse, sums.slope = 0.25, np.full(2, -1.0)  # bend 0.25^2 * 10 - 0.25: a step of 0.67
    assert search.after(sums) == pytest.approx(0.25 * np.exp(0.25 / 0.375))
    sums.curvature = np.full(2, 4.5)  # a step of 8
    assert search.after(sums) == pytest.approx(0.5)
    assert (search.low, search.high) == (0.25, 1.0)
