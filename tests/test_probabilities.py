"""`Probabilities`: the posterior by hand, under any prior; tau and temperature as one knob; no overflow."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import softmax

from lacal.adjustment import Adjustment
from lacal.probabilities import Probabilities
from tests.small_world import lacal, refusal


def problem(seed: int, rows: int = 7, classes: int = 5) -> tuple[NDArray[np.float64], ...]:
    """Logits (n, k), a training prior and a target prior."""
    generator = np.random.default_rng(seed)
    logits = 4 * generator.normal(size=(rows, classes))
    source, target = generator.dirichlet(np.ones(classes), 2)
    return logits, source, target


@given(st.integers(0, 999), st.floats(0.05, 20))
def test_rows_are_the_softmax_of_the_formula(seed: int, temperature: float) -> None:
    adjusted, _, target = problem(seed)
    found = Probabilities(temperature, np.log(target)).of(adjusted)
    expected = softmax(adjusted / temperature + np.log(target), axis=1)
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-300)
    assert found.sum(axis=1) == pytest.approx(1)


@given(st.integers(0, 999))
def test_bayes_rule(seed: int) -> None:
    """A posterior under one prior becomes the posterior under another: p(y | x) q_y / pi_y, normalised."""
    logits, source, target = problem(seed)
    adjusted = Adjustment(np.ones(source.size), -np.log(source)).apply(logits)  # tau = 1
    joint = softmax(logits, axis=1) * target / source
    found = Probabilities(log_target=np.log(target)).of(adjusted)
    assert found == pytest.approx(joint / joint.sum(axis=1, keepdims=True), rel=1e-10)


@given(st.integers(0, 999), st.floats(0.2, 4))
def test_tau_is_a_temperature(seed: int, tau: float) -> None:
    """`(logits - tau v) / tau` is `logits / tau - v`: a temperature, and then the whole correction."""
    logits, source, _ = problem(seed)
    adjusted = Adjustment(np.ones(source.size), -tau * np.log(source)).apply(logits)
    found = Probabilities(tau).of(adjusted)
    assert found == pytest.approx(softmax(logits / tau - np.log(source), axis=1), rel=1e-10)


@given(st.integers(0, 999), st.floats(0.05, 20), st.floats(-1e3, 1e3))
def test_a_constant_a_row_and_equal_shares_change_nothing(
    seed: int, temperature: float, constant: float
) -> None:
    adjusted, _, _ = problem(seed)
    plain = Probabilities(temperature).of(adjusted)
    assert Probabilities(temperature).of(adjusted + constant) == pytest.approx(plain, rel=1e-8)
    uniform = np.full(5, -np.log(5))
    assert Probabilities(temperature, uniform).of(adjusted) == pytest.approx(plain, rel=1e-12)
    assert (plain.argmax(axis=1) == adjusted.argmax(axis=1)).all()


def test_the_input_stays_as_it_is() -> None:
    adjusted, _, target = problem(0)
    before = adjusted.copy()
    Probabilities(2.0, np.log(target)).of(adjusted)
    assert np.array_equal(adjusted, before)


def test_large_scores_and_cold_temperatures_do_not_overflow() -> None:
    adjusted = np.array([[1e300, -1e300, 0.0], [-1e4, -2e4, -3e4]])
    for temperature in (1e-3, 1.0, 1e3):
        found = Probabilities(temperature, np.log([0.2, 0.3, 0.5])).of(adjusted)
        assert np.isfinite(found).all()
        assert found.sum(axis=1) == pytest.approx(1)


def test_classes_that_cannot_be_have_probability_0() -> None:
    adjusted = np.array([[5.0, -np.inf, 0.0], [0.0, -np.inf, 9.0]])
    with np.errstate(divide="ignore"):
        never = np.log([0.0, 0.5, 0.5])
    assert Probabilities(2.0).of(adjusted)[:, 1].tolist() == [0, 0]
    assert Probabilities(2.0, never).of(adjusted).tolist() == [[0, 0, 1], [0, 0, 1]]


def test_float32_is_kept_where_it_holds_every_probability() -> None:
    adjusted, _, target = problem(2)
    short = adjusted.astype(np.float32)
    for probabilities in (Probabilities(), Probabilities(0.5, np.log(target))):
        found = probabilities.of(short)
        assert found.dtype == np.float32
        assert found == pytest.approx(probabilities.of(short.astype(np.float64)), rel=1e-5)


def test_no_probability_vanishes_that_a_float64_can_hold() -> None:
    """Log loss would be infinite, though no logit is."""
    short = np.array([[0.0, -200.0, 3.0]], np.float32)
    assert Probabilities().of(short)[0, 1] == pytest.approx(np.exp(-203.0), rel=1e-3)
    steep = np.array([[0.0, -20.0, 3.0]], np.float32)
    assert Probabilities(0.1).of(steep)[0, 1] == pytest.approx(np.exp(-230.0), rel=1e-3)
    rare = np.log([1 - 1e-60, 1e-60])
    assert Probabilities(1.0, rare).of(steep[:, :2])[0, 1] == pytest.approx(1e-60 * np.exp(-20))


def test_logits_that_float32_does_not_hold_are_not_stored_as_infinite(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logits = np.random.default_rng(0).normal(size=(9, 2))
    logits[4] = [1e308, -1e308]
    np.savez(tmp_path / "a.npz", logits=logits)
    (tmp_path / "c.csv").write_text("class,count\n0,9\n1,3\n")
    out = tmp_path / "p.parquet"
    line = ("adjust", tmp_path / "a.npz", "--counts", tmp_path / "c.csv", "--tau", 1, "-o", out)
    message = refusal(capfd, *line, "--write-scores", "logits")
    assert "row 4 has an adjusted logit beyond float32" in message
    assert not out.exists()
    assert lacal(*line, "--write-scores", "probs") == 0
    assert pq.read_table(out)["adjusted_probs"][4].as_py() == [1, 0]


def test_a_log_that_no_sum_of_squares_holds_is_infinite() -> None:
    adjusted = np.array([[1e308, -1e308], [1e40, 0], [0, 0]])
    plain, labels = Probabilities(), np.array([1, 1, 1])
    found = plain.log_of_own(adjusted, plain.of(adjusted), labels, np.array([0, 0, 0]))
    np.testing.assert_allclose(found, [-np.inf, -1e40, -np.log(2)])
