"""What each loss converges to, where that is known: Fisher consistency on a small table, two Gaussians.

The expected loss over the whole population is minimised, so nothing here is a sample: the balanced errors are
those of the table to the digits it prints.
"""

from math import erf
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lacal.losses import make_loss
from lacal.losses.statistics import log_prior
from lacal.methods import ClassStatistics, logit_adjustment
from tests.minimising import minimised, one_thread  # noqa: F401

# --- a table of P(x, y): 6 values of x, 3 classes, one logit for each pair ---

JOINT = np.random.default_rng(7).dirichlet(np.full(18, 0.7)).reshape(6, 3) * [60, 8, 1]
JOINT /= JOINT.sum()
PRIOR = JOINT.sum(0)
BAYES = (JOINT / PRIOR).argmax(1)  # of the balanced error


def predictions(name: str, said: dict[str, Any], joint: Any = JOINT, counts: Any = PRIOR) -> Any:
    loss = make_loss(name, counts, said).double()
    logits = torch.zeros(6, 3, dtype=torch.float64, requires_grad=True)
    mass, labels = torch.tensor(joint).reshape(-1), torch.arange(3).repeat(6)

    def risk() -> Any:
        return (mass * loss.unreduced(logits.repeat_interleave(3, 0), labels)).sum()

    minimised([logits], risk)
    return logits.detach().numpy()


CONSISTENT: list[tuple[str, dict[str, Any]]] = [
    ("balanced", {}),
    ("class-balanced", {"beta": 1}),
    ("logit-adjusted", {}),
    ("balanced-softmax", {}),
    ("logit-adjusted-consistent", {"tau": 0}),
    ("logit-adjusted-consistent", {"tau": 0.5}),
    ("logit-adjusted-consistent", {"tau": 2}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "said"), CONSISTENT)
def test_consistent_losses_find_the_bayes_rule_of_the_balanced_error(
    name: str, said: dict[str, Any]
) -> None:
    """And its scores: log P(x | y) up to a constant in every row."""
    logits = predictions(name, said)
    assert (logits.argmax(1) == BAYES).all()
    expected = np.log(JOINT / PRIOR)
    np.testing.assert_allclose(
        logits - logits.mean(1, keepdims=True),
        expected - expected.mean(1, keepdims=True),
        atol=2e-4,
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [("softmax", {}), ("adaptive", {}), ("logit-adjusted", {"tau": 2}), ("class-balanced", {"beta": 0})],
)  # fmt: skip
def test_the_others_do_not(name: str, said: dict[str, Any]) -> None:
    assert (predictions(name, said).argmax(1) != BAYES).any()


def test_a_class_balanced_stream_needs_no_correction() -> None:
    """Class-balanced draws: softmax on them is consistent, and their own prior makes logit adjustment a no-op."""
    balanced = JOINT / PRIOR / 3
    for name in ("softmax", "logit-adjusted"):
        logits = predictions(name, {}, balanced, [1 / 3] * 3)
        assert (logits.argmax(1) == BAYES).all()


# --- two Gaussians: means (1, 1) and -(1, 1), unit variance, P(+) = 0.05 ---
# Along t = (x1 + x2) / sqrt 2 they are N(+-sqrt 2, 1), and an affine scorer is a t + b.

RARE = 0.05
NODES, MASS = np.polynomial.hermite_e.hermegauss(120)
MASS = MASS / MASS.sum()
POINTS = torch.tensor(np.concatenate([NODES - np.sqrt(2), NODES + np.sqrt(2)]))
POINT_MASS = torch.tensor(np.concatenate([(1 - RARE) * MASS, RARE * MASS]))
POINT_LABELS = torch.arange(2).repeat_interleave(NODES.size)


def scorer(name: str, said: dict[str, Any]) -> tuple[float, float]:
    """(a, b) of f_+ - f_- that minimise the expected loss; counts are shares, which is all that matters here."""
    loss = make_loss(name, [1 - RARE, RARE], said).double()
    weights = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)

    def risk() -> Any:
        score = (weights[0] * POINTS + weights[1]) / 2
        logits = torch.stack([-score, score], 1)
        return (POINT_MASS * loss.unreduced(logits, POINT_LABELS)).sum()

    minimised([weights], risk)
    a, b = weights.tolist()
    return a, b


def balanced_error(a: float, b: float, tau: float = 0.0) -> float:
    """In percent, of predicting + where a t + b - tau log(prior_+ / prior_-) > 0."""
    threshold = (tau * np.log(RARE / (1 - RARE)) - b) / a
    normal = [(1 + erf((threshold + side) / np.sqrt(2))) / 2 for side in (-np.sqrt(2), np.sqrt(2))]
    return 100 * (normal[0] + 1 - normal[1]) / 2


TWO_GAUSSIANS: list[tuple[str, dict[str, Any], float]] = [
    ("softmax", {}, 18.08),
    ("adaptive", {}, 16.21),
    ("equalised", {}, 8.71),
    ("logit-adjusted", {}, 7.865),
    ("balanced", {}, 7.865),
    ("balanced-softmax", {}, 7.865),
    ("logit-adjusted-adaptive", {}, 8.42),
    ("logit-adjusted", {"tau": 0.5}, 10.61),
    ("logit-adjusted", {"tau": 1.5}, 10.61),
    ("logit-adjusted", {"tau": 2.0}, 18.08),
    ("logit-adjusted-consistent", {"tau": 0.5}, 7.865),
    ("logit-adjusted-consistent", {"tau": 1.5}, 7.865),
    ("logit-adjusted-consistent", {"tau": 2.0}, 7.865),
]  # fmt: skip


@pytest.mark.parametrize(("name", "said", "percent"), TWO_GAUSSIANS)
def test_the_population_errors_of_the_two_gaussians(
    name: str, said: dict[str, Any], percent: float
) -> None:
    assert balanced_error(*scorer(name, said)) == pytest.approx(percent, abs=0.0051)


@pytest.mark.parametrize(
    ("name", "tau", "percent"),
    [("softmax", 1, 7.865), ("softmax", 0.5, 10.61), ("softmax", 0.75, 8.56), ("softmax", 1.25, 8.56),
     ("softmax", 2, 18.08), ("logit-adjusted", 1, 18.08)],
)  # fmt: skip
def test_adjusting_afterwards_once_helps_and_twice_harms(
    name: str, tau: float, percent: float
) -> None:
    assert balanced_error(*scorer(name, {}), tau) == pytest.approx(percent, abs=0.0051)


# --- two routes to one classifier ---


def trained_scores(name: str, said: dict[str, Any], x: Any, y: Any, counts: Any) -> Any:
    """(n, k) of a linear head at the minimum of its loss, each row less its mean."""
    loss, head = make_loss(name, counts, said).double(), torch.nn.Linear(2, 3).double()
    minimised(head.parameters(), lambda: loss(head(x), y))
    scores = head(x).detach().numpy()
    return scores - scores.mean(1, keepdims=True)


def test_both_routes_train_one_linear_classifier() -> None:
    """A convex head with a free bias, softmax and then post-hoc tau, or the logit-adjusted loss."""
    counts, tau = np.array([120, 30, 10]), 1.5
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), counts)
    features = generator.normal(size=(labels.size, 2)) + np.array([[0, 0], [1, 1], [1, -1]])[labels]
    x, y = torch.tensor(features), torch.tensor(labels)
    plain = trained_scores("softmax", {}, x, y, counts)
    adjusted = trained_scores("logit-adjusted", {"tau": tau}, x, y, counts)
    v = log_prior(counts.astype(np.float64))
    after = logit_adjustment(ClassStatistics(v), tau).apply(plain)
    np.testing.assert_allclose(after - after.mean(1, keepdims=True), adjusted, atol=1e-3)
    assert np.ptp(adjusted) > 1
