"""Paired differences: coverage where rows are few, the bootstrap, and McNemar's test against scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom, binomtest, t

from lacal.batch import NO_LABEL
from lacal.metrics import Gain, PairedTally, mcnemar, paired_bootstrap

Counts = NDArray[np.int64]


def paired_of(support: Counts, mended: Counts, broken: Counts) -> PairedTally:
    return PairedTally(support, mended, broken)


def whole(gain: Gain | None) -> Gain:
    assert gain is not None
    return gain


def test_the_interval_by_hand() -> None:
    gain = whole(paired_of(np.array([4, 0, 6]), np.array([2, 0, 0]), np.array([1, 0, 1])).gain())
    parts = np.array([(3 - 1 / 4) / (4 * 3), (1 - 1 / 6) / (6 * 5)]) / 4
    assert gain.value == pytest.approx((1 / 4 - 1 / 6) / 2)
    assert gain.standard_error == pytest.approx(np.sqrt(parts.sum()))
    more = (1 / 8**2 + 1 / 12**2) / 2
    freedom = (parts.sum() + more) ** 2 / (parts[0] ** 2 / 3 + parts[1] ** 2 / 5 + more**2 / 8)
    half = t.ppf(0.975, freedom) * np.sqrt(parts.sum() + more)
    assert gain.high == pytest.approx(gain.value + half, rel=1e-3)  # lacal expands the quantile
    assert gain.low == pytest.approx(gain.value - half, rel=1e-3)


def test_no_change_is_no_certainty() -> None:
    nothing = np.zeros(3, np.int64)
    gain = whole(paired_of(np.full(3, 10), nothing, nothing).gain())
    assert (gain.value, gain.standard_error) == (0.0, 0.0)
    assert 0.02 < gain.high == -gain.low < 0.1
    one_row = whole(paired_of(np.array([1, 0, 0]), np.array([1, 0, 0]), nothing).gain())
    assert (one_row.low, one_row.high) == (-1.0, 1.0)


def test_groups_and_classes() -> None:
    paired = paired_of(np.array([4, 0, 6, 5]), np.array([2, 0, 0, 3]), np.array([1, 0, 1, 0]))
    mask = np.array([True, True, False, False])
    assert paired.gain(mask) == paired.of_class(0)
    assert whole(paired.gain(~mask)).value == pytest.approx((-1 / 6 + 3 / 5) / 2)
    assert paired.of_class(1) is None
    assert paired.gain(np.array([False, True, False, False])) is None
    micro = whole(paired.micro_gain())
    assert micro.value == pytest.approx((2 + 3 - 2) / 15)
    assert micro.standard_error == pytest.approx(np.sqrt((7 - 3**2 / 15) / (15 * 14)))
    prior = np.array([0.6, 0.2, 0.1, 0.1])
    assert whole(paired.under(prior)).value == pytest.approx((0.6 / 4 - 0.1 / 6 + 0.3 / 5) / 0.8)
    assert PairedTally.empty(2).micro_gain() is None


class World:
    """Classes of 3 to 30 rows, of which an adjustment mends and breaks a few."""

    def __init__(self, classes: int, seed: int, mended: float, broken: float) -> None:
        generator = np.random.default_rng(seed)
        self.support = generator.integers(3, 31, classes)
        self.mended = mended * 2 * np.arange(classes) / max(classes - 1, 1)  # more in the tail
        self.broken = np.full(classes, broken)
        self.generator = generator

    def draw(self) -> PairedTally:
        mended = self.generator.binomial(self.support, self.mended)
        left = self.broken / (1 - self.mended)
        return paired_of(self.support, mended, self.generator.binomial(self.support - mended, left))

    def gain(self, mask: NDArray[np.bool_]) -> float:
        return float((self.mended - self.broken)[mask].mean())


def coverage(truth: float, gains: list[Gain]) -> float:
    return float(np.mean([one.low <= truth <= one.high for one in gains]))


@pytest.mark.parametrize(
    ("classes", "mended", "broken"),
    [(30, 0.02, 0.02), (30, 0.05, 0.01), (100, 0.01, 0.01), (100, 0.03, 0.01), (300, 0.05, 0.02)],
)
def test_small_changes_of_few_rows_are_covered(classes: int, mended: float, broken: float) -> None:
    world = World(classes, classes, mended, broken)
    everything = np.ones(classes, np.bool_)
    found = [whole(world.draw().gain()) for _ in range(1000)]
    assert 0.92 <= coverage(world.gain(everything), found) <= 0.98


def test_the_bootstrap_is_covered() -> None:
    world = World(40, 3, 0.04, 0.02)
    few = np.arange(40) >= 15
    found = [paired_bootstrap(world.draw(), {"all": None, "few": few}, draws=300, seed=i)
             for i in range(250)]  # fmt: skip
    assert 0.92 <= coverage(world.gain(few | True), [one["all"] for one in found]) <= 0.98
    assert 0.91 <= coverage(world.gain(few), [one["few"] for one in found]) <= 0.985


def test_plain_standard_errors_would_not_cover() -> None:
    """Why the interval is not the value +- 1.96 standard errors."""
    generator = np.random.default_rng(0)
    support, misses = np.full(2, 5), 0
    for _ in range(300):
        mended, broken = generator.binomial(support, 0.03), np.zeros(2, np.int64)
        gain = whole(paired_of(support, mended, broken).gain())
        misses += abs(gain.value - 0.03) > 1.96 * gain.standard_error
        assert gain.low <= 0.03 <= gain.high
    assert misses > 150


def test_the_bootstrap_has_the_variance_of_the_rows() -> None:
    """3 rows a class, where plain resampling would understate it by a third; and a class of one row."""
    generator = np.random.default_rng(0)
    support = np.append(np.full(60, 3), 1)
    mended = generator.binomial(support, 0.3)
    mended[-1] = 1
    broken = generator.binomial(support - mended, 0.2)
    tail = np.arange(61) >= 30
    paired = paired_of(support, mended, broken)
    masks = {"all": None, "tail": tail}
    drawn = paired_bootstrap(paired, masks, draws=20_000, seed=1)
    for name, mask in masks.items():
        closed = whole(paired.gain(mask))
        assert drawn[name].value == closed.value
        assert drawn[name].standard_error == closed.standard_error
        assert drawn[name].high - drawn[name].low == pytest.approx(
            closed.high - closed.low, rel=0.03
        )
    assert paired_bootstrap(paired, masks, draws=50, seed=2) == paired_bootstrap(
        paired, masks, draws=50, seed=2
    )
    assert paired_bootstrap(paired, masks, draws=50, seed=2) != paired_bootstrap(
        paired, masks, draws=50, seed=3
    )


def test_weighted_rows_are_drawn_too() -> None:
    generator = np.random.default_rng(0)
    labels, before, after = generator.integers(0, 4, (3, 300))
    paired = PairedTally.empty(4)
    paired.update(labels, before, after, generator.gamma(1.0, size=300))
    closed = whole(paired.gain())
    drawn = paired_bootstrap(paired, {"all": None}, draws=20_000)["all"]
    assert drawn.high - drawn.low == pytest.approx(closed.high - closed.low, rel=0.03)


def test_groups_without_rows_are_left_out() -> None:
    paired = PairedTally.empty(2)
    assert paired_bootstrap(paired, {"all": None}) == {}
    paired.update(np.array([0, 0, NO_LABEL]), np.array([0, 1, 1]), np.array([0, 0, 0]))
    first = np.array([True, False])
    assert list(paired_bootstrap(paired, {"none": ~first, "one": first})) == ["one"]


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_mid_p_of_the_binomial(mended: int, broken: int) -> None:
    n, fewer = mended + broken, min(mended, broken)
    found = mcnemar(mended, broken)
    exact = binomtest(fewer, n).pvalue if n else 1.0
    expected = 1.0 if mended == broken else exact - binom.pmf(fewer, n, 0.5)
    assert found == pytest.approx(min(1.0, expected), abs=1e-12)
    assert found == mcnemar(broken, mended)


@pytest.mark.parametrize(
    ("mended", "broken"), [(5100, 5000), (60_000, 61_000), (1, 2000), (500, 501)]
)
def test_mcnemar_of_large_counts(mended: int, broken: int) -> None:
    n, fewer = mended + broken, min(mended, broken)
    expected = 2 * binom.cdf(fewer, n, 0.5) - binom.pmf(fewer, n, 0.5)
    assert mcnemar(mended, broken) == pytest.approx(expected, rel=1e-7)


def test_mcnemar_by_hand() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(3, 3) == 1.0
    assert mcnemar(1, 0) == 0.5  # 2 * P(0 of 1) - P(0 of 1)
    assert mcnemar(0, 100_000) == 0.0  # below what a float holds
