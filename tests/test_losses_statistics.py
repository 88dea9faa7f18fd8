"""Class statistics: reference vectors for CIFAR-10-LT, limits, and counts that are none."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

pytest.importorskip("torch")

from lacal.errors import DataError
from lacal.losses import statistics

CIFAR_10_LT = np.array([5000.0, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50])

# Four digits after the point, worked out by hand from the formulas.
REFERENCE = {
    "log prior": "-0.9087 -1.4206 -1.9326 -2.4440 -2.9567 -3.4675 -3.9792 -4.4915 -5.0071 -5.5139",
    "LDAM": ".1581 .1797 .2042 .2321 .2638 .2998 .3407 .3872 .4405 .5",
    "class-balanced": ".0506 .0769 .1211 .1950 .3188 .5246 .8683 1.4426 2.4092 3.9927",
    "quantity": ".2167 .2433 .2771 .3210 .3800 .4613 .5781 .7520 1.0222 1.4427",
    "adaptive": "1.2551 1.4264 1.6212 1.8423 2.0942 2.3795 2.7042 3.0736 3.4965 3.9689",
}
FOUND = {
    "log prior": statistics.log_prior(CIFAR_10_LT),
    "LDAM": statistics.ldam_margins(CIFAR_10_LT, 0.5),
    "class-balanced": statistics.effective_number_weights(CIFAR_10_LT, 0.9999),
    "quantity": statistics.quantity_factors(CIFAR_10_LT),
    "adaptive": statistics.prior_power(CIFAR_10_LT, -0.25),
}

counts_of_classes = arrays(np.float64, st.integers(2, 8), elements=st.floats(0.01, 1e6))


@pytest.mark.parametrize("name", REFERENCE)
def test_reference_vectors(name: str) -> None:
    expected = np.array(REFERENCE[name].split(), np.float64)
    np.testing.assert_allclose(FOUND[name], expected, rtol=0, atol=5.01e-5)


@given(counts_of_classes, st.floats(0, 1))
def test_effective_number_weights_sum_to_the_classes_and_fall_with_the_count(
    counts: NDArray[np.float64], beta: float
) -> None:
    weights = statistics.effective_number_weights(counts, beta)
    assert weights.sum() == pytest.approx(counts.size)
    assert (np.diff(weights[np.argsort(counts)]) <= 1e-9 * weights.max()).all()


def test_effective_numbers_between_their_ends() -> None:
    """beta 0 weighs all alike, beta 1 by 1/n, and what lies just below 1 is near it."""
    n = np.array([50.0, 5, 1])
    np.testing.assert_array_equal(statistics.effective_number_weights(n, 0), np.ones(3))
    inverse = 3 / n / (1 / n).sum()
    np.testing.assert_allclose(statistics.effective_number_weights(n, 1), inverse, rtol=1e-12)
    np.testing.assert_allclose(
        statistics.effective_number_weights(n, 1 - 1e-12), inverse, rtol=1e-9
    )
    by_hand = (1 - 0.9) / (1 - 0.9**n)
    np.testing.assert_allclose(
        statistics.effective_number_weights(n, 0.9), 3 * by_hand / by_hand.sum(), rtol=1e-12
    )


def test_multipliers_of_vector_scaling() -> None:
    np.testing.assert_allclose(statistics.count_ratios(np.array([16.0, 1]), 0.5), [1, 0.25])
    np.testing.assert_array_equal(statistics.count_ratios(np.array([16.0, 1]), 0), [1, 1])


@given(counts_of_classes, st.floats(0.1, 100))
def test_statistics_of_the_prior_do_not_see_the_size_of_the_set(
    counts: NDArray[np.float64], times: float
) -> None:
    for statistic in (
        statistics.log_prior,
        lambda n: statistics.ldam_margins(n, 0.5),
        statistics.quantity_factors,
        lambda n: statistics.prior_power(n, -0.25),
        lambda n: statistics.count_ratios(n, 0.3),
    ):
        np.testing.assert_allclose(
            statistic(times * counts), statistic(counts), rtol=1e-6, atol=1e-12
        )


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([5], "got int64 of shape (1,); expected one number for each of at least 2 classes"),
        ([[1, 2]], "of shape (1, 2)"),
        (["1", "2"], "got <U1"),
        ([True, False], "got bool"),
        ([1, 0, 2], "1 of 3 classes have no count above 0 (classes 1)"),
        ([1.0, -2, np.nan, np.inf], "3 of 4 classes have no count above 0 (classes 1, 2, 3)"),
    ],
)
def test_counts_that_are_none(counts: Any, said: str) -> None:
    with pytest.raises(DataError) as caught:
        statistics.checked_class_counts(counts)
    assert said in str(caught.value)
