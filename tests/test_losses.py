"""Every loss against its formula in NumPy, its gradient against differences, and extreme logits."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

torch = pytest.importorskip("torch")

from lacal import losses
from lacal.loss_table import LOSSES
from lacal.losses import ClassLoss, make_loss
from lacal.losses.statistics import log_prior, quantity_factors
from tests.loss_oracles import (
    ORACLES,
    OTHER,
    SCALE,
    Problem,
    defaults,
    lade,
    oracle_gradient,
    oracle_losses,
    problems,
    softmax_equalised,
)
from tests.minimising import one_thread  # noqa: F401

VARIANTS: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in LOSSES] + list(OTHER.items())
OF_EXAMPLES = [(name, said) for name, said in VARIANTS if name in ORACLES]


def made(name: str, problem: Problem, said: dict[str, Any]) -> ClassLoss:
    """In float64; its statistics are float32's."""
    scale = SCALE if LOSSES[name].head == "cosine" else None
    loss = make_loss(name, problem.class_counts, said, scale=scale)
    loss.double()
    return loss


def tensors(problem: Problem) -> tuple[Any, Any]:
    return torch.tensor(problem.logits, requires_grad=True), torch.tensor(problem.labels)


def test_every_row_has_an_oracle() -> None:
    assert ORACLES.keys() | {"lade", "softmax-equalised"} == LOSSES.keys()


@pytest.mark.parametrize(("name", "said"), OF_EXAMPLES)
@given(problem=problems())
@settings(max_examples=10)
def test_losses_and_gradients_are_the_formulas(
    name: str, said: dict[str, Any], problem: Problem
) -> None:
    problem, options = problem.for_row(name), defaults(name, **said)
    logits, labels = tensors(problem)

    found = made(name, problem, said).unreduced(logits, labels)
    found.sum().backward()

    np.testing.assert_allclose(
        found.detach(), oracle_losses(name, problem, options), rtol=2e-5, atol=1e-8
    )
    expected = oracle_gradient(name, problem, options)
    np.testing.assert_allclose(
        logits.grad, expected, rtol=2e-5, atol=2e-5 * (1 + abs(expected).max())
    )


@pytest.mark.parametrize("said", [{}, OTHER["lade"], {"alpha": 0.0}])
@given(problem=problems())
@settings(max_examples=10)
def test_lade_is_its_formula(said: dict[str, Any], problem: Problem) -> None:
    found = made("lade", problem, said)(*tensors(problem)).item()
    expected = lade(problem.logits, problem.labels, problem.class_counts, defaults("lade", **said))
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-7)


@given(problem=problems())
@settings(max_examples=10)
def test_softmax_equalisation_is_its_formula_with_its_draws(problem: Problem) -> None:
    said = OTHER["softmax-equalised"]
    torch.manual_seed(3)
    draws = (torch.rand(problem.logits.shape) < said["gamma"]).numpy()
    rare = problem.class_counts / problem.class_counts.sum() < said["lambda"]

    torch.manual_seed(3)
    found = made("softmax-equalised", problem, said).unreduced(*tensors(problem))

    rows = zip(problem.logits, problem.labels, rare & draws, strict=True)
    expected = [softmax_equalised(f, int(y), dropped) for f, y, dropped in rows]
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-6, atol=1e-12)


def test_draws_differ_from_step_to_step_and_follow_the_seed() -> None:
    loss = make_loss("softmax-equalised", [100, 1, 1], {"gamma": 0.5, "lambda": 0.1})
    logits, labels = torch.zeros(50, 3), torch.zeros(50, dtype=torch.int64)
    torch.manual_seed(0)
    first, second = loss.unreduced(logits, labels), loss.unreduced(logits, labels)
    torch.manual_seed(0)
    again = loss.unreduced(logits, labels)
    assert not torch.equal(first, second)
    assert torch.equal(first, again)


def _batch() -> tuple[Any, Any, Any]:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(6, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    v = torch.tensor(log_prior(np.array([500.0, 60, 7, 1])))
    return logits, torch.tensor([0, 1, 2, 3, 0, 0]), v


FUNCTIONS: dict[str, Any] = {
    "softmax": lambda f, y, v: losses.softmax_cross_entropy(f, y),
    "pairwise": lambda f, y, v: losses.pairwise_margin(
        f, y, margins=v[:, None] - v[None, :].sin(), weights=-v
    ),
    "logit-adjusted": lambda f, y, v: losses.logit_adjusted(f, y, log_prior=v, tau=1.5),
    "balanced-softmax": lambda f, y, v: losses.balanced_softmax(f, y, log_counts=v + 3),
    "adaptive": lambda f, y, v: losses.target_margin(f, y, margins=-v),
    "both": lambda f, y, v: losses.logit_adjusted_adaptive(f, y, log_prior=v, margins=-v.sin()),
    "vector-scaling": lambda f, y, v: losses.vector_scaling(
        f, y, log_prior=v, multipliers=v.exp() ** 0.3, tau=0.7
    ),
    "equalised": lambda f, y, v: losses.equalised(f, y, log_prior=v, tau=0.7),
    "softmax-equalised": lambda f, y, v: losses.softmax_equalised(f, y, dropped=f.detach() < 0.3),
    "lade": lambda f, y, v: losses.lade(f, y, log_prior=v, alpha=0.3, regularisation=0.2),
    "lade as coded": lambda f, y, v: losses.lade(
        f[:3], y[:3], log_prior=v, alpha=0.3, regularisation=0.2, as_coded=True
    ),
    "focal": lambda f, y, v: losses.focal(f, y, gamma=0.5),
    "sigmoid focal": lambda f, y, v: losses.sigmoid_focal(f, y, gamma=0.5),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_by_torchs_own_check(name: str) -> None:
    logits, labels, v = _batch()
    assert torch.autograd.gradcheck(
        lambda f: FUNCTIONS[name](f, labels, v), (logits,), fast_mode=True
    )


def test_difficulty_lets_no_gradient_through() -> None:
    """With it, the label's gradient would be larger by half its factor."""
    cosines = torch.tensor([[0.2, -0.4, 0.1]], dtype=torch.float64)
    logits = (SCALE * cosines).requires_grad_()
    labels = torch.tensor([2])
    factors = torch.tensor(quantity_factors(np.array([90.0, 9, 1])))
    losses.ala(logits, labels, factors=factors, scale=SCALE).sum().backward()
    margin = SCALE * (1 - 0.1) / 2 * factors[2]
    p = (logits.detach() - margin * torch.tensor([0, 0, 1])).softmax(1)
    np.testing.assert_allclose(logits.grad, p - torch.tensor([[0, 0, 1.0]]), rtol=1e-12)


EXTREMES = [
    [1e4, -1e4, 0],
    [-1e4, 1e4, 0],
    [0, 0, 0],
    [1e4, 1e4, 1e4],
    [-1e4, -1e4, 6e4],
    [1e-8, 0, 30],
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize(("name", "said"), VARIANTS)
def test_extreme_logits_give_finite_losses_and_gradients(
    name: str, said: dict[str, Any], dtype: Any
) -> None:
    """Every label with every extreme; counts as far apart as iNaturalist's and beyond."""
    scale = SCALE if LOSSES[name].head == "cosine" else None
    loss = make_loss(name, [500_000, 1000, 1], said, scale=scale)
    logits = torch.tensor(EXTREMES * 3, dtype=dtype, requires_grad=True)
    labels = torch.arange(3).repeat_interleave(len(EXTREMES))
    found = loss(logits, labels)
    found.backward()
    assert found.dtype == torch.float32
    assert torch.isfinite(found)
    assert logits.grad.dtype == dtype
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_of_a_sure_example_is_nothing_and_no_nan(gamma: float) -> None:
    for function in (losses.focal, losses.sigmoid_focal):
        logits = torch.tensor([[300.0, -300.0]], requires_grad=True)
        loss = function(logits, torch.tensor([0]), gamma=gamma)
        loss.sum().backward()
        assert loss.item() == 0
        assert torch.equal(logits.grad, torch.zeros(1, 2))


@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_logits_are_computed_in_float32(name: str) -> None:
    scale = SCALE if LOSSES[name].head == "cosine" else None
    loss = make_loss(name, [900, 90, 9], scale=scale)
    logits, labels = torch.randn(8, 3).bfloat16(), torch.arange(8) % 3
    torch.manual_seed(0)
    low = loss.unreduced(logits, labels)
    torch.manual_seed(0)
    assert torch.equal(low, loss.unreduced(logits.float(), labels))
