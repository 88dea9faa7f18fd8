"""What must hold whatever the data: identities, invariances, and scikit-learn's balanced accuracy."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from sklearn.metrics import balanced_accuracy_score

from lacal.adjustment import Adjustment, AdjustmentOverflowError
from lacal.batch import NO_LABEL, Batch
from lacal.classes.prior import LabelPrior
from lacal.errors import DataError, UsageError
from lacal.methods import METHODS, ClassStatistics
from lacal.metrics import ClassTally
from tests.tau_problems import problem_of

seeds = st.integers(0, 2**32)
taus = st.sampled_from([-1.0, 0.3, 1.0, 2.5])
UNSHIFTED = [("logit-adjustment", "drop"), ("prior-division", "drop"), ("weight-norm", "keep")]


@given(seeds, st.sampled_from(["any", "coarse", "zeros"]))
@pytest.mark.parametrize("kind", UNSHIFTED)
def test_tau_zero_changes_nothing(kind: tuple[str, str], seed: int, shape: str) -> None:
    problem = problem_of(seed, 20, 6, kind=kind, shape=shape)
    adjustment = problem.method.adjustment(problem.statistics, 0.0)
    np.testing.assert_array_equal(adjustment.predict(problem.logits), problem.logits.argmax(axis=1))
    np.testing.assert_array_equal(adjustment.apply(problem.logits), problem.logits)


@given(seeds, taus)
@pytest.mark.parametrize("kind", UNSHIFTED[:2])
def test_equal_counts_change_nothing(kind: tuple[str, str], seed: int, tau: float) -> None:
    problem = problem_of(seed, 20, 6, kind=kind, equal=True)
    predictions = problem.method.adjustment(problem.statistics, tau).predict(problem.logits)
    np.testing.assert_array_equal(predictions, problem.logits.argmax(axis=1))


@given(seeds, taus, st.sampled_from([-64.0, 0.5, 8.0]))
def test_a_constant_per_row_changes_no_prediction(seed: int, tau: float, constant: float) -> None:
    problem = problem_of(seed, 20, 6, dtype="f2")
    adjustment = problem.method.adjustment(problem.statistics, tau)
    shifted = problem.logits.astype(np.float64) + constant
    np.testing.assert_array_equal(adjustment.predict(shifted), adjustment.predict(problem.logits))


@given(seeds, taus, st.integers(1, 20))
def test_scaling_all_counts_changes_no_prediction(seed: int, tau: float, doublings: int) -> None:
    generator = np.random.default_rng(seed)
    counts = generator.integers(1, 1000, 6)
    logits = generator.normal(size=(20, 6))
    method = METHODS["logit-adjustment"]
    once, scaled = (
        method.adjustment(ClassStatistics(LabelPrior(some).log_prior), tau).predict(logits)
        for some in (counts, counts * 2**doublings)
    )
    np.testing.assert_array_equal(once, scaled)


@given(seeds, taus)
@pytest.mark.parametrize("kind", [*UNSHIFTED, ("weight-norm", "drop"), ("weight-norm", "scale")])
def test_permuting_the_classes_permutes_the_predictions(
    kind: tuple[str, str], seed: int, tau: float
) -> None:
    problem = problem_of(seed, 20, 6, dtype="f8", kind=kind)
    order = np.random.default_rng(seed).permutation(6)
    known = problem.statistics
    assert known.weight_norms is not None
    assert known.bias is not None
    permuted = ClassStatistics(
        known.log_prior[order], known.weight_norms[order], known.bias[order], known.bias_rule
    )
    predictions = problem.method.adjustment(known, tau).predict(problem.logits)
    moved = problem.method.adjustment(permuted, tau).predict(problem.logits[:, order])
    np.testing.assert_array_equal(order[moved], predictions)


def test_weight_norms_are_asked_for() -> None:
    with pytest.raises(
        UsageError, match="weight-norm needs the classifier's head; give --head FILE"
    ):
        METHODS["weight-norm"].adjustment(ClassStatistics(np.log([0.5, 0.5])), 1.0)


@given(seeds)
def test_composing_is_applying_twice(seed: int) -> None:
    generator = np.random.default_rng(seed)
    first, second = (
        Adjustment(np.exp(generator.normal(size=5)), generator.normal(size=5)) for _ in range(2)
    )
    logits = generator.normal(size=(9, 5))
    np.testing.assert_allclose(
        first.then(second).apply(logits), second.apply(first.apply(logits)), rtol=1e-12, atol=1e-12
    )


def test_composing_keeps_a_masked_class_masked() -> None:
    mask = Adjustment(np.ones(2), np.array([-np.inf, 0.0]))
    assert mask.then(Adjustment(np.full(2, 3.0), np.ones(2))).offset.tolist() == [-np.inf, 1.0]


@given(seeds, st.integers(2, 9), st.integers(1, 60))
def test_balanced_error_is_that_of_scikit_learn(seed: int, classes: int, rows: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.choice(generator.permutation(classes)[: max(1, classes - 2)], rows)
    predictions = generator.choice(np.unique(labels), rows)  # sklearn warns of other classes
    tally = ClassTally.empty(classes)
    for part in np.array_split(np.arange(rows), 3):
        tally.update(labels[part], predictions[part])
    expected = (
        1 - balanced_accuracy_score(labels, predictions) if len(np.unique(labels)) > 1 else None
    )
    if expected is not None:
        assert tally.balanced().value == pytest.approx(expected, abs=1e-12)
    assert tally.micro().value == pytest.approx(float(np.mean(labels != predictions)), abs=1e-12)


@pytest.mark.parametrize(
    ("scale", "offset", "fault"),
    [
        ([1.0, 2.0], [0.0], "vectors of one length"),
        ([1.0, 0.0], [0.0, 0.0], "above 0"),
        ([1.0, np.inf], [0.0, 0.0], "finite"),
        ([1.0, np.nan], [0.0, 0.0], "finite"),
        ([1.0, 1.0], [0.0, np.inf], "below infinity"),
        ([1.0, 1.0], [0.0, np.nan], "a number"),
    ],
)
def test_an_adjustment_is_never_half_built(
    scale: list[float], offset: list[float], fault: str
) -> None:
    with pytest.raises(DataError, match=fault):
        Adjustment(np.array(scale), np.array(offset))


def test_an_adjusted_logit_beyond_float64_is_refused() -> None:
    """Its infinity would tie with others, and argmax take the first."""
    adjustment = Adjustment(np.array([1.0, 1e5, 2.0]), np.array([0.0, 3.0, -np.inf]))
    logits = np.ones((4, 3))
    logits[2, 1] = -1e304
    cell = r"class 1; got logit -1e\+304 times scale 100000 plus offset 3, which is beyond float64"
    with pytest.raises(AdjustmentOverflowError, match=f"the logits: .* on row 2, {cell}") as caught:
        adjustment.apply(logits)
    assert caught.value.row == 2
    batch = Batch(logits, np.array([NO_LABEL, 0, 1, 2]), None, 100)
    for rows in (logits, batch.labelled()[0]):
        with pytest.raises(AdjustmentOverflowError, match=f"val.npz: .* on row 102, {cell}"):
            adjustment.apply_to(rows, batch, "val.npz")
    logits[2] = 1.7e308  # of a masked class too: infinity less infinity would be no number
    with pytest.raises(AdjustmentOverflowError, match=r"row 0, class 2; .* scale 2, which"):
        adjustment.apply(logits[2:] * [0, 0, 1])
    largest = np.finfo(np.float64).max
    edge = Adjustment(np.array([1.0, 0.5]), np.zeros(2)).apply(np.full((1, 2), largest))
    np.testing.assert_array_equal(edge, [[largest, largest / 2]])


@pytest.mark.parametrize(
    ("method", "known", "tau", "lost"),
    [
        ("prior-division", {}, 2e3, "class 0 would get scale inf"),
        ("prior-division", {}, -2e3, "class 0 would get scale 0"),
        (
            "weight-norm",
            {"weight_norms": np.array([1.0, 1e-45])},
            9.0,
            "class 1 would get scale inf",
        ),
        (
            "weight-norm",
            {"weight_norms": np.array([1.0, 1e-45]), "bias": np.array([0.0, 1e50])},
            6.0,
            "class 1 would get offset -inf",
        ),
    ],
)
def test_a_tau_that_overflows_is_blamed(
    method: str, known: dict[str, Any], tau: float, lost: str
) -> None:
    """Not the class masked that an offset of -inf would never predict."""
    statistics = ClassStatistics(np.log([0.5, 0.5]), **known)
    with pytest.raises(DataError, match=f"{method} at tau = {tau:g}: {lost}; a tau this large"):
        METHODS[method].adjustment(statistics, tau)


def test_logits_of_another_width_are_refused() -> None:
    with pytest.raises(DataError, match="logits have 3 classes, the adjustment has 2"):
        Adjustment.identity(2).predict(np.zeros((1, 3)))
