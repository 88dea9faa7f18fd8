"""The bootstrap's intervals and the cross-fitted gain, against formulas, loops and known worlds."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import stdtrit

from lacal.methods import METHODS, ClassStatistics
from lacal.tau.intervals import intervals
from lacal.tau.path import TauPath
from lacal.tau.resampling import (
    Bootstrap,
    Sample,
    bootstrap,
    class_mean_standard_error,
    cross_fit,
)
from lacal.tau.selection import RULES, Lattice, Rule
from lacal.tau.strata import Strata, student_quantile
from tests.test_selection import gaussian_world, random_path, slow_standard_error

METHOD = replace(METHODS["logit-adjustment"], bandwidth=0.2)


def sample_of(path: TauPath, lattice: Lattice | None = None) -> Sample:
    """The plain argmax is what tau = 0 says."""
    return Sample.on(path, path.right_at(0.0), lattice or Lattice.over(0.0, 3.0, METHOD))


def pick(sample: Sample, rule: Rule) -> float:
    node = sample.picker(rule).pick(sample.curve()[None])[0]
    return float(sample.lattice.taus[node])


def run(sample: Sample, rule: Rule, draws: int = 300, seed: int = 0) -> Bootstrap:
    picker = sample.picker(rule)
    return bootstrap(sample, picker, pick(sample, rule), draws=draws, seed=seed)


def only(lattice: Lattice, tau: float) -> Lattice:
    """The lattice with one tau that may be picked."""
    return replace(lattice, inside=np.isclose(lattice.taus, tau))


def changes(sample: Sample, tau: float) -> NDArray[np.float64]:
    return sample.path.right_at(tau).astype(np.float64) - sample.unadjusted


def test_same_seed_same_interval() -> None:
    sample = sample_of(random_path(np.random.default_rng(0), 80, 10))
    assert run(sample, "shrunk", seed=5) == run(sample, "shrunk", seed=5)
    assert run(sample, "shrunk", seed=5) != run(sample, "shrunk", seed=6)


@pytest.mark.parametrize(("rows", "classes"), [(60, 6), (30, 12), (400, 3)])
def test_fixed_tau_has_the_stratified_variance(rows: int, classes: int) -> None:
    path = random_path(np.random.default_rng(rows), rows, classes)
    sample = sample_of(path, only(Lattice.over(0.0, 3.0, METHOD), 1.2))
    gain = run(sample, "min", draws=5000).gain
    error = slow_standard_error(
        path, path.right_at(1.2).astype(float), sample.unadjusted.astype(float)
    )
    more = np.sum(path.row_weights() ** 2) / rows
    # Undo the quantile of t: what is left is the draws' standard deviation, known to 1 %.
    variances = Strata.of(path).variances(changes(sample, 1.2))
    freedom = Strata.of(path).size - 1.0
    doubt = np.sum(variances**2 / np.maximum(freedom, 1)) + more**2 / freedom.clip(1).sum()
    quantile = stdtrit((variances.sum() + more) ** 2 / doubt, 0.975)
    spread = (gain.high - gain.low) / 2 / quantile
    assert spread == pytest.approx(np.sqrt(error**2 + more), rel=0.04)
    assert (gain.low + gain.high) / 2 == pytest.approx(gain.value, abs=0.05 * spread)
    assert gain.value == pytest.approx(path.row_weights() @ changes(sample, 1.2))


def test_gain_is_corrected_for_the_picking() -> None:
    """No tau is better than another in truth: the interval lies below the in-sample gain."""
    middles = []
    for seed in range(20):
        generator = np.random.default_rng(seed)
        start = generator.uniform(-2.0, 3.0, 60)
        path = TauPath(np.arange(60) % 10, np.arange(60), start, start + 0.8, 10)
        gain = run(sample_of(path), "min").gain
        assert gain.value >= 0
        middles.append(gain.value - (gain.low + gain.high) / 2)
    assert np.mean(middles) > 0.03


@pytest.mark.parametrize("rule", RULES)
def test_interval_holds_the_truth_of_a_known_world(rule: Rule) -> None:
    population, plain = gaussian_world(4000, np.random.default_rng(99))
    held = []
    for seed in range(40):
        path, unadjusted = gaussian_world(4, np.random.default_rng(seed))
        sample = Sample.on(path, unadjusted, Lattice.over(0.0, 3.0, METHOD))
        result = run(sample, rule, draws=100, seed=seed)
        truth = float(np.mean(population.right_at(result.tau.value)) - np.mean(plain))
        held.append(result.gain.low <= truth <= result.gain.high)
        assert result.tau.low <= result.tau.high
    assert np.mean(held) >= 0.86  # 95 % nominal, standard error 3 %


def test_no_change_in_sight_is_no_certainty() -> None:
    """Rows that no tau changes: the gain is 0, the interval neither empty nor absurd."""
    everywhere = np.full(12, np.inf)
    path = TauPath(np.arange(12) % 4, np.arange(12), -everywhere, everywhere, 4)
    for rule in RULES:
        result = run(sample_of(path), rule)
        assert result.tau.value == result.tau.low == result.tau.high == METHOD.reference
        assert result.gain.value == 0
        assert -0.5 < result.gain.low < 0 < result.gain.high < 0.5


@settings(deadline=None, derandomize=True, max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), rule=st.sampled_from(RULES))
def test_sparse_classes_give_finite_intervals(seed: int, rule: Rule) -> None:
    generator = np.random.default_rng(seed)
    path = random_path(generator, int(generator.integers(2, 30)), 20, 2)  # most classes 0, 1 or 2
    sample = sample_of(path)
    result, crossed = run(sample, rule, draws=50), cross_fit(sample, rule, seed=seed)
    assert -1 <= result.gain.low <= result.gain.high <= 1
    assert result.gain.high - result.gain.low > 0
    assert 0 <= result.tau.low <= result.tau.high <= 3
    assert np.isfinite([crossed.gain, crossed.standard_error, *crossed.taus]).all()


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_row_or_two(rows: int) -> None:
    path = TauPath(np.arange(rows), np.arange(rows), np.full(rows, 0.5), np.full(rows, np.inf), 4)
    sample = sample_of(path)
    result, crossed = run(sample, "shrunk"), cross_fit(sample, "shrunk", seed=0)
    assert -1 <= result.gain.low <= result.gain.high <= 1
    assert crossed.taus.size == rows


def test_tau_interval_shrinks_with_rows() -> None:
    widths = []
    for per_class in (10, 1000):
        path, unadjusted = gaussian_world(per_class, np.random.default_rng(4))
        result = run(Sample.on(path, unadjusted, Lattice.over(0.0, 3.0, METHOD)), "smoothed")
        assert result.tau.low <= result.tau.value <= result.tau.high
        widths.append(result.tau.high - result.tau.low)
    assert widths[1] < widths[0] / 2


@pytest.mark.parametrize("rule", RULES)
def test_cross_fit_in_folds_of_one_row_is_leave_one_out(rule: Rule) -> None:
    path = random_path(np.random.default_rng(8), 12, 4)
    sample, gain, taus = sample_of(path), 0.0, []
    for row in range(12):
        others = np.flatnonzero(np.arange(12) != row)
        mine = np.isin(path.owner, others)
        number = np.searchsorted(others, path.owner[mine])
        part = TauPath(path.labels[others], number, path.low[mine], path.high[mine], 4)
        taus.append(pick(Sample.on(part, sample.unadjusted[others], sample.lattice), rule))
        gain += path.row_weights()[row] * changes(sample, taus[-1])[row]
    crossed = cross_fit(sample, rule, seed=1, folds=12)
    assert crossed.gain == pytest.approx(gain)
    assert sorted(crossed.taus) == sorted(taus)
    assert len(set(taus)) > 1


def test_cross_fit_never_scores_a_row_with_a_tau_that_saw_it() -> None:
    """Each row is right only on a sliver of its own, so in-sample picking always finds one."""
    rows = 40
    middle = np.linspace(0.2, 2.8, rows)
    path = TauPath(np.arange(rows) % 4, np.arange(rows), middle - 0.03, middle + 0.03, 4)
    sample = sample_of(path)
    assert not sample.unadjusted.any()
    in_sample = float(path.row_weights() @ path.right_at(pick(sample, "min")))
    assert in_sample >= 1 / rows
    # Slivers do not overlap: a tau chosen for the rows that are right at it is wrong for the rest.
    for seed in range(5):
        assert cross_fit(sample, "min", seed=seed, folds=rows).gain == 0


def test_cross_fit_sees_through_overfitting() -> None:
    """Taus are alike in truth; the best of them in the sample looks better by a tenth."""
    optimistic, honest = [], []
    for seed in range(60):
        generator = np.random.default_rng(seed)
        start = generator.uniform(-2.0, 3.0, 60)
        path = TauPath(np.arange(60) % 10, np.arange(60), start, start + 0.8, 10)
        sample = sample_of(path)
        optimistic.append(path.row_weights() @ changes(sample, pick(sample, "min")))
        honest.append(cross_fit(sample, "min", seed=seed).gain)
    assert np.mean(optimistic) > 0.08
    assert abs(np.mean(honest)) < 0.03  # standard error 0.011


def test_cross_fit_agrees_where_rows_are_plenty() -> None:
    path, unadjusted = gaussian_world(2000, np.random.default_rng(2))
    sample = Sample.on(path, unadjusted, Lattice.over(0.0, 3.0, METHOD))
    crossed = cross_fit(sample, "shrunk", seed=0)
    assert crossed.taus == pytest.approx(1.0, abs=0.15)
    assert crossed.gain == pytest.approx(path.row_weights() @ changes(sample, 1.0), abs=0.01)
    assert 0.001 < crossed.standard_error < 0.01


def test_cross_fit_is_deterministic_in_the_seed() -> None:
    sample = sample_of(random_path(np.random.default_rng(3), 50, 6))
    one, same = (cross_fit(sample, "shrunk", seed=4) for _ in range(2))
    assert one.gain == same.gain
    assert one.taus.tolist() == same.taus.tolist()


@settings(deadline=None, derandomize=True, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 40), classes=st.integers(2, 20))
def test_class_mean_standard_error_is_the_loop(seed: int, rows: int, classes: int) -> None:
    generator = np.random.default_rng(seed)
    path = random_path(generator, rows, classes)
    values = generator.normal(size=rows)
    slow = slow_standard_error(path, values, np.zeros(rows))
    assert class_mean_standard_error(values, path) == pytest.approx(slow, abs=1e-7)


def test_order_of_rows_and_classes_does_not_matter() -> None:
    generator = np.random.default_rng(12)
    path = random_path(generator, 60, 10)
    renamed, place = generator.permutation(10), generator.permutation(60)
    labels = np.empty(60, np.int64)
    labels[place] = renamed[path.labels]
    order = np.argsort(place[path.owner])
    other = TauPath(labels, place[path.owner][order], path.low[order], path.high[order], 10)
    one, two = (run(sample_of(p), "shrunk", draws=500) for p in (path, other))
    # The draws follow the curve alone, so even the noise is the same but for rounding.
    assert one.gain.value == pytest.approx(two.gain.value)
    assert (one.gain.low, one.gain.high) == pytest.approx((two.gain.low, two.gain.high), abs=1e-4)
    assert (one.tau.low, one.tau.high) == pytest.approx((two.tau.low, two.tau.high), abs=0.021)


@pytest.mark.parametrize("freedom", [2.0, 3.0, 5.5, 30.0, 1e6])
def test_student_quantile(freedom: float) -> None:
    assert student_quantile(freedom, 0.975) == pytest.approx(stdtrit(freedom, 0.975), rel=0.01)


def test_many_rows_of_few_classes_round_but_do_not_fail() -> None:
    # Sums over 200,000 rows leave a covariance that is not quite positive definite.
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200_000)
    logits = rng.standard_normal((labels.size, 2)) + 1.5 * np.eye(2)[labels]
    family = METHOD.family(ClassStatistics(np.log([1000 / 1010, 10 / 1010])))
    assert family is not None
    low, high = intervals(logits, labels, family)
    path = TauPath(labels, np.arange(labels.size), low, high, 2)
    sample = Sample.on(path, path.right_at(0.0), Lattice.over(0.0, 4.0, METHOD))
    found = bootstrap(sample, sample.picker("shrunk"), 0.1, draws=50, seed=0)
    assert found.gain.low <= found.gain.value <= found.gain.high
