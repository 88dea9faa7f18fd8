"""Log loss and Brier score: scikit-learn's values, class priors, infinite rows, coverage."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import brier_score_loss, log_loss

from lacal.batch import NO_LABEL
from lacal.metrics import ScoreTally

GENERATOR = np.random.default_rng(0)
LABELS = np.concatenate([np.arange(5), GENERATOR.integers(0, 5, 145)])
LOGITS = 2 * GENERATOR.normal(size=(150, 6))
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
WEIGHTS = GENERATOR.gamma(2.0, size=150)


def tally_of(weights: NDArray[np.float64] | None = None, dtype: type = np.float64) -> ScoreTally:
    tally = ScoreTally.empty(6)
    for part in np.array_split(np.arange(150), 4):
        one = ScoreTally.empty(6)
        told = None if weights is None else weights[part]
        one.update(PROBABILITIES[part].astype(dtype), LABELS[part], told)
        tally.merge(one)
    return tally


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_scikit_learns_values(weights: NDArray[np.float64] | None) -> None:
    tally = tally_of(weights)
    theirs = log_loss(LABELS, PROBABILITIES, labels=range(6), sample_weight=weights)
    assert tally.log_loss().value == pytest.approx(theirs, rel=1e-12)
    theirs = brier_score_loss(
        LABELS, PROBABILITIES, labels=range(6), scale_by_half=False, sample_weight=weights
    )
    assert tally.brier().value == pytest.approx(theirs, rel=1e-12)
    # Balanced: each row weighs 1 / (rows of its class).
    own = np.ones(150) if weights is None else weights
    balanced = own / np.bincount(LABELS, own)[LABELS]
    theirs = log_loss(LABELS, PROBABILITIES, labels=range(6), sample_weight=balanced)
    assert tally.log_loss("balanced").value == pytest.approx(theirs, rel=1e-12)
    assert tally.log_loss(np.full(6, 0.1)).value == pytest.approx(theirs, rel=1e-12)
    prior = np.array([0.4, 0.2, 0.1, 0.1, 0.1, 0.1])
    theirs = brier_score_loss(LABELS, PROBABILITIES, labels=range(6), scale_by_half=False,
                              sample_weight=balanced * prior[LABELS])  # fmt: skip
    assert tally.brier(prior).value == pytest.approx(theirs, rel=1e-12)


def test_single_precision_is_added_up_in_double() -> None:
    single, double = tally_of(dtype=np.float32), tally_of()
    assert single.log_loss().value == pytest.approx(double.log_loss().value, rel=1e-6)
    assert single.brier("balanced").value == pytest.approx(double.brier("balanced").value, rel=1e-6)


def test_standard_errors_by_hand() -> None:
    losses = -np.log(PROBABILITIES[np.arange(150), LABELS])
    found = tally_of().log_loss()
    assert found.standard_error == pytest.approx(losses.std(ddof=1) / np.sqrt(150))
    assert (found.n, found.classes) == (150, 5)
    by_class = [losses[np.equal(LABELS, j)] for j in range(5)]
    variances = [one.var(ddof=1) / one.size for one in by_class]
    balanced = tally_of().log_loss("balanced")
    assert balanced.standard_error == pytest.approx(np.sqrt(sum(variances)) / 5)
    assert balanced.low is not None
    assert balanced.value is not None
    assert balanced.high is not None
    assert 0 < balanced.low < balanced.value < balanced.high


def test_an_infinite_loss_is_no_number() -> None:
    tally = ScoreTally.empty(3)
    certain = np.array([[1.0, 0, 0], [0, 1, 0], [0.2, 0.3, 0.5]])
    tally.update(certain, np.array([0, 2, 2]))
    found = tally.log_loss()
    assert (found.value, found.low, found.infinite, found.n) == (None, None, 1, 3)
    assert tally.log_loss("balanced").infinite == 1
    first = tally.log_loss(np.array([1.0, 0, 0]))  # the infinite row is not of class 0
    assert (first.value, first.infinite) == (0.0, 0)
    assert tally.brier().value == pytest.approx((0 + 2 + 0.04 + 0.09 + 0.25) / 3)
    better = ScoreTally.empty(3)
    better.update(certain, np.array([0, 2, 2]), log_true=np.array([0.0, -800.0, np.log(0.5)]))
    assert better.log_loss().value == pytest.approx((800 + np.log(2)) / 3)


def test_nothing_is_none() -> None:
    tally = ScoreTally.empty(3)
    tally.update(PROBABILITIES[:2, :3], np.array([NO_LABEL, NO_LABEL]))
    tally.update(PROBABILITIES[:0, :3], np.empty(0, np.int64))
    for one in (tally.log_loss(), tally.brier("balanced")):
        assert (one.value, one.standard_error, one.n, one.low) == (None, None, 0, None)
    tally.update(np.array([[0.5, 0.25, 0.25]]), np.array([1]))
    one = tally.log_loss()
    assert one.value == pytest.approx(np.log(4))
    assert (one.standard_error, one.high) == (None, None)


def test_a_class_of_one_row_borrows_the_others_spread() -> None:
    tally = ScoreTally.empty(2)
    own = np.array([0.2, 0.4, 0.9, 0.5])
    probabilities = np.stack([own, 1 - own], axis=1)
    probabilities[3] = 0.5
    tally.update(probabilities, np.array([0, 0, 0, 1]))
    row = np.log(own[:3]).var(ddof=1)
    assert tally.log_loss("balanced").standard_error == pytest.approx(np.sqrt(row / 3 + row) / 2)
    lone = ScoreTally.empty(2)  # no class shows a spread: what differs between them stands in
    lone.update(np.array([[0.25, 0.75], [0.5, 0.5]]), np.array([0, 1]))
    between = np.log([0.25, 0.5]).var(ddof=1)
    assert lone.log_loss("balanced").standard_error == pytest.approx(np.sqrt(2 * between) / 2)


@pytest.mark.parametrize(("classes", "rows"), [(5, 10), (10, 3), (30, 3), (30, 30)])
def test_log_loss_is_covered(classes: int, rows: int) -> None:
    generator = np.random.default_rng(classes)
    logits = generator.normal(size=(classes, 4000, classes))
    logits += 2.5 * np.eye(classes)[:, None] - np.linspace(0, 2, classes)  # the tail is worse
    logits -= np.log(np.exp(logits).sum(axis=2, keepdims=True))
    own = np.stack([logits[j, :, j] for j in range(classes)])
    truth, hits = -own.mean(), 0
    labels = np.repeat(np.arange(classes), rows)
    for _ in range(400):
        picked = generator.integers(0, 4000, labels.size)
        tally = ScoreTally.empty(classes)
        tally.update(np.exp(logits[labels, picked]), labels)
        found = tally.log_loss("balanced")
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= truth <= found.high
    assert 0.92 <= hits / 400 <= 0.985
