"""The validation split is disjoint, stratified, and the seed's alone."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacal.errors import UsageError
from lacal.training.splits import stratified

COUNTS = st.lists(st.integers(0, 60), min_size=1, max_size=8).filter(any)


def mixed(counts: list[int]) -> np.ndarray:
    labels = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(7).permutation(labels)


@given(COUNTS, st.floats(0.001, 0.999), st.integers(0, 5))
def test_of_every_class_the_share_asked_for(counts: list[int], fraction: float, seed: int) -> None:
    labels = mixed(counts)
    train, val = stratified(labels, fraction, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, val])), np.arange(labels.size))
    for rows in (train, val):
        assert (np.diff(rows) > 0).all()
    taken = np.bincount(labels[val], minlength=len(counts))
    for n, cut in zip(counts, taken, strict=True):
        if n < 2:
            assert cut == 0
        else:
            assert 1 <= cut <= n - 1
            rounded = math.floor(fraction * n + 0.5)
            assert cut == min(max(rounded, 1), n - 1)


def test_the_seed_decides() -> None:
    labels = mixed([50, 30, 20])
    first, again = stratified(labels, 0.2, 3)[1], stratified(labels, 0.2, 3)[1]
    np.testing.assert_array_equal(first, again)
    others = [stratified(labels, 0.2, seed)[1] for seed in range(20)]
    assert len({tuple(one) for one in others}) == 20


def test_every_row_is_as_likely_to_be_cut_off() -> None:
    labels, draws = np.tile([0, 1, 1], 20), 600
    times = np.zeros(labels.size)
    for seed in range(draws):
        times[stratified(labels, 0.25, seed)[1]] += 1
    # 5 of 20 and 10 of 40: a binomial of 600 draws each; 4.5 standard deviations.
    assert np.abs(times / draws - 0.25).max() < 4.5 * np.sqrt(0.25 * 0.75 / draws)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_what_is_no_fraction(fraction: float) -> None:
    with pytest.raises(UsageError, match=r"--val-fraction: got .*, expected a number above 0"):
        stratified(np.array([0, 1, 0, 1]), fraction, 0)
