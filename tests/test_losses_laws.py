"""What the losses are to each other: members of the pairwise loss, and what the papers say is equivalent."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from lacal import losses
from lacal.adjustment import Adjustment
from lacal.loss_table import LOSSES
from lacal.losses import ClassLoss, make_loss
from lacal.losses.statistics import count_ratios, ldam_margins, log_prior
from lacal.methods import ClassStatistics, logit_adjustment
from tests.loss_oracles import (
    MEMBERS,
    OTHER,
    SCALE,
    Problem,
    defaults,
    oracle_losses,
    pairwise,
    problems,
)
from tests.minimising import one_thread  # noqa: F401

few = settings(max_examples=10)


def tensors(problem: Problem) -> tuple[Any, Any]:
    return torch.tensor(problem.logits), torch.tensor(problem.labels)


def made(name: str, problem: Problem, said: dict[str, Any] | None = None) -> ClassLoss:
    scale = SCALE if LOSSES[name].head == "cosine" else None
    loss = make_loss(name, problem.class_counts, said, scale=scale)
    loss.double()
    return loss


def same(first: Any, second: Any, tolerance: float = 2e-6) -> None:
    np.testing.assert_allclose(first, second, rtol=tolerance, atol=tolerance)


@given(problem=problems(), seed=st.integers(0, 2**32))
@few
def test_the_pairwise_loss_is_equation_11(problem: Problem, seed: int) -> None:
    generator = np.random.default_rng(seed)
    k = problem.class_counts.size
    weights, margins = generator.uniform(0.1, 5, k), generator.normal(0, 4, (k, k))
    logits, labels = tensors(problem)

    found = losses.pairwise_margin(
        logits, labels, margins=torch.tensor(margins), weights=torch.tensor(weights)
    )

    rows = zip(problem.logits, problem.labels, strict=True)
    expected = [pairwise(f, int(y), weights, margins) for f, y in rows]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_the_pairwise_loss_is_stable_and_leaves_rivals_out() -> None:
    none_left = torch.full((2, 2), -torch.inf)
    logits = torch.tensor([[1e4, -1e4], [-1e4, 1e4]], requires_grad=True)
    labels = torch.tensor([0, 0])
    loss = losses.pairwise_margin(logits, labels, margins=torch.zeros(2, 2))
    assert loss.tolist() == [0, 2e4]
    loss = losses.pairwise_margin(logits, labels, margins=none_left)
    loss.sum().backward()
    assert loss.tolist() == [0, 0]
    assert torch.equal(logits.grad, torch.zeros(2, 2))


@pytest.mark.parametrize("other", [False, True], ids=["defaults", "other options"])
@pytest.mark.parametrize("name", MEMBERS)
@given(problem=problems())
@few
def test_members_are_the_pairwise_loss_with_their_own_weights_and_margins(
    name: str, other: bool, problem: Problem
) -> None:
    said = OTHER.get(name, {}) if other else {}
    problem = problem.for_row(name)
    weights, margins = MEMBERS[name](problem.class_counts, defaults(name, **said))
    logits, labels = tensors(problem)
    same(
        made(name, problem, said).unreduced(logits, labels),
        losses.pairwise_margin(
            logits, labels, margins=torch.tensor(margins), weights=torch.tensor(weights)
        ),
        1e-5,
    )


@given(problem=problems())
@few
def test_balanced_softmax_is_logit_adjusted_is_lade_without_its_regulariser(
    problem: Problem,
) -> None:
    logits, labels = tensors(problem)
    counts = torch.tensor(problem.class_counts)
    prior = torch.tensor(log_prior(problem.class_counts))
    adjusted = losses.logit_adjusted(logits, labels, log_prior=prior)
    counted = losses.balanced_softmax(logits, labels, log_counts=counts.log())
    lade = losses.lade(logits, labels, log_prior=prior, alpha=0, regularisation=1)
    np.testing.assert_allclose(counted, adjusted, rtol=1e-9, atol=1e-13)
    assert torch.equal(lade, adjusted)
    same(made("balanced-softmax", problem).unreduced(logits, labels), adjusted)
    same(made("lade", problem, {"alpha": 0}).unreduced(logits, labels), adjusted)


@given(problem=problems())
@few
def test_vector_scaling_contains_logit_adjustment_and_class_dependent_temperatures(
    problem: Problem,
) -> None:
    logits, labels = tensors(problem)
    flat = made("vector-scaling", problem, {"gamma": 0, "tau": 1.3})
    adjusted = made("logit-adjusted", problem, {"tau": 1.3})
    same(flat.unreduced(logits, labels), adjusted.unreduced(logits, labels), 1e-7)

    cooled = made("vector-scaling", problem, {"gamma": 0.4, "tau": 0})
    temperatures = torch.tensor(count_ratios(problem.class_counts, 0.4))
    same(
        cooled.unreduced(logits, labels),
        losses.softmax_cross_entropy(temperatures * logits, labels),
    )

    neither = made("vector-scaling", problem, {"gamma": 0, "tau": 0})
    same(neither.unreduced(logits, labels), losses.softmax_cross_entropy(logits, labels), 1e-12)


@given(problem=problems(), seed=st.integers(0, 2**32))
@few
def test_softmax_equalisation_is_pairwise_with_margins_of_minus_infinity(
    problem: Problem, seed: int
) -> None:
    """One draw for the whole batch, for margins are of classes."""
    k = problem.class_counts.size
    dropped = np.random.default_rng(seed).uniform(size=k) < 0.5
    logits, labels = tensors(problem)
    margins = torch.tensor(np.where(dropped, -np.inf, 0.0)).repeat(k, 1)
    same(
        losses.softmax_equalised(
            logits, labels, dropped=torch.tensor(dropped).expand(len(labels), k)
        ),
        losses.pairwise_margin(logits, labels, margins=margins),
        1e-12,
    )


@given(problem=problems())
@few
def test_ablations_of_ala_are_its_factors(problem: Problem) -> None:
    """At cos_y = -1 difficulty is 1, and the products are their other factor."""
    k = problem.class_counts.size
    labels = torch.tensor(problem.labels)
    cosines = torch.tensor(problem.cosines).scatter(1, labels[:, None], -1.0)
    logits = SCALE * cosines
    same(
        made("ala", problem).unreduced(logits, labels),
        made("ala-quantity", problem).unreduced(logits, labels),
        1e-5,
    )
    same(
        made("ala-difficulty-ldam", problem).unreduced(logits, labels),
        made("ldam", problem).unreduced(logits, labels),
        1e-5,
    )
    ones = losses.target_margin(logits, labels, margins=torch.full((k,), SCALE))
    same(made("ala-difficulty", problem).unreduced(logits, labels), ones)


@given(problem=problems())
@few
def test_neutral_options_are_plain_softmax(problem: Problem) -> None:
    logits, labels = tensors(problem)
    plain = losses.softmax_cross_entropy(logits, labels)
    neutral: dict[str, dict[str, Any]] = {
        "class-balanced": {"beta": 0},
        "equalised": {"tau": 0},
        "softmax-equalised": {"gamma": 0},
        "logit-adjusted": {"tau": 0},
        "focal": {"gamma": 0},
        "ldam": {"max_margin": 0},
    }
    for name, said in neutral.items():
        same(made(name, problem, said).unreduced(logits, labels), plain, 1e-6)
    same(
        made("logit-adjusted-consistent", problem, {"tau": 0}).unreduced(logits, labels),
        made("balanced", problem).unreduced(logits, labels),
    )


@given(problem=problems(), shift=st.floats(-50, 50))
@few
def test_even_counts_and_shifted_logits_change_no_adjusted_loss(
    problem: Problem, shift: float
) -> None:
    logits, labels = tensors(problem)
    even = Problem(problem.logits, problem.labels, np.full_like(problem.class_counts, 7))
    plain = losses.softmax_cross_entropy(logits, labels)
    for name in ("balanced-softmax", "logit-adjusted", "vector-scaling", "class-balanced"):
        same(made(name, even).unreduced(logits + shift, labels), plain, 1e-5)


@given(problem=problems(), tau=st.floats(-2, 4))
@few
def test_training_with_the_prior_added_is_what_adjusting_afterwards_takes_away(
    problem: Problem, tau: float
) -> None:
    """Softmax on g = f + tau v is the logit-adjusted loss of f, and post-hoc tau gives f again."""
    logits, labels = tensors(problem)
    v = log_prior(problem.class_counts)
    g = problem.logits + tau * v
    same(
        losses.softmax_cross_entropy(torch.tensor(g), labels),
        losses.logit_adjusted(logits, labels, log_prior=torch.tensor(v), tau=tau),
        1e-9,
    )
    np.testing.assert_allclose(
        logit_adjustment(ClassStatistics(v), tau).apply(g), problem.logits, atol=1e-12
    )


@given(problem=problems(), temperature=st.floats(0.1, 5), tau=st.floats(0, 4))
@few
def test_temperature_then_tau_is_temperature_times_tau(
    problem: Problem, temperature: float, tau: float
) -> None:
    """A temperature T and then tau is tau T."""
    statistics = ClassStatistics(log_prior(problem.class_counts))
    k = problem.class_counts.size
    cooled = Adjustment(np.full(k, 1 / temperature), np.zeros(k))
    both = cooled.then(logit_adjustment(statistics, tau)).apply(problem.logits)
    alone = logit_adjustment(statistics, temperature * tau).apply(problem.logits)
    np.testing.assert_allclose(temperature * both, alone, rtol=1e-9, atol=1e-9)


def test_ldam_takes_its_scaled_margin_from_the_label() -> None:
    """By hand: counts 16 to 1 halve the margin."""
    np.testing.assert_allclose(ldam_margins(np.array([16.0, 1.0]), 0.5), [0.25, 0.5])
    cosines = torch.tensor([[0.5, 0.1]])
    found = make_loss("ldam", [16, 1], scale=30).unreduced(30 * cosines, torch.tensor([0]))
    by_hand = np.log(1 + np.exp(30 * (0.1 - (0.5 - 0.25))))
    assert found.item() == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "lade"])
def test_rows_do_not_touch_each_other(name: str) -> None:
    problem = Problem(
        np.random.default_rng(5).normal(0, 2, (7, 4)), np.arange(7) % 4, np.array([60.0, 30, 9, 1])
    ).for_row(name)
    logits, labels = tensors(problem)
    loss = made(name, problem, {"gamma": 1} if name == "softmax-equalised" else {})
    alone = torch.cat([loss.unreduced(logits[[i]], labels[[i]]) for i in range(7)])
    same(loss.unreduced(logits, labels), alone, 1e-9)
    if name != "softmax-equalised":
        same(alone, oracle_losses(name, problem, defaults(name)), 1e-5)
