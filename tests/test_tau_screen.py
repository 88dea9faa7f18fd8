"""Screening in single precision gives what double precision gives, to the last bit."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from lacal.classes.prior import LabelPrior
from lacal.methods import Family
from lacal.tau.intervals import intervals
from lacal.tau.screen import SMALLEST_GAP, Screen
from tests.tau_problems import SHAPES, logits_of


def check_same(
    logits: NDArray[np.float32], labels: NDArray[np.int64], slopes: NDArray[np.float64]
) -> None:
    assert logits.dtype == np.float32  # what is screened; float64 is not
    single = intervals(logits, labels, Family(slopes))
    double = intervals(logits.astype(np.float64), labels, Family(slopes))
    right = single[0] <= single[1]  # an example that is never right has no ends to compare
    np.testing.assert_array_equal(right, double[0] <= double[1])
    for one, other in zip(single, double, strict=True):
        np.testing.assert_array_equal(one[right], other[right])


@given(
    st.integers(0, 2**32),
    st.sampled_from(SHAPES),
    st.sampled_from([2, 3, 17, 150]),
    st.sampled_from([10, 1000, 10**6]),
    st.sampled_from([1e-30, 1.0, 1e30]),
)
def test_screened_intervals_are_the_plain_ones(
    seed: int, shape: str, classes: int, largest: int, scale: float
) -> None:
    generator = np.random.default_rng(seed)
    logits = (logits_of(generator, 60, classes, shape) * scale).astype(np.float32)
    counts = np.unique(np.geomspace(1, largest, classes).astype(np.int64))
    slopes = LabelPrior(generator.choice(counts, classes)).log_prior
    check_same(logits, generator.integers(0, classes, 60), slopes)


def test_leads_beyond_float32() -> None:
    generator = np.random.default_rng(0)
    logits = generator.uniform(-3.4e38, 3.4e38, (60, 5)).astype(np.float32)
    slopes = LabelPrior(np.array([900, 300, 90, 20, 4])).log_prior
    check_same(logits, logits.argmax(axis=1), slopes)
    check_same(logits, generator.integers(0, 5, 60), slopes)


@given(st.integers(0, 2**32), st.floats(1e-9, 1e-3))
def test_runners_up_within_rounding(seed: int, distance: float) -> None:
    """Every rival of a row crosses at nearly the same tau, which single precision cannot tell."""
    generator = np.random.default_rng(seed)
    slopes = np.log(generator.choice([1, 2, 5, 40, 900], 12) / 1000)
    labels = generator.integers(0, 12, 40)
    crossing = generator.normal(size=(40, 1)) * (1 + distance * generator.normal(size=(40, 12)))
    logits = 3 + crossing * (slopes - slopes[labels][:, None])
    check_same(logits.astype(np.float32), labels, slopes)


@pytest.mark.parametrize("gap", [0.9 * SMALLEST_GAP, 1e-12])
def test_slopes_too_close_for_single_precision_are_not_screened(gap: float) -> None:
    slopes = np.array([-1.0, -1.0 - gap, -3.0])
    assert Screen.of(slopes) is None
    assert Screen.of(np.array([-1.0, -1.0, -3.0])) is not None
    generator = np.random.default_rng(0)
    check_same(
        generator.normal(size=(50, 3)).astype(np.float32), generator.integers(0, 3, 50), slopes
    )
