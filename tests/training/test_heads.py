"""Heads against their formulas written out in NumPy, part by part."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from lacal.errors import UsageError
from lacal.training.head_table import HEADS
from lacal.training.heads import CausalNormHead, CosineHead, LinearHead, make_head

Array = NDArray[np.float64]
few = settings(max_examples=25, deadline=None)
sizes = st.tuples(st.integers(1, 9), st.integers(1, 6), st.integers(2, 7), st.integers(0, 2**31))


def normal(seed: int, *shape: int) -> Any:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def of(tensor: Any) -> Array:
    array: Array = tensor.detach().double().numpy()
    return array


def causal_logits(head: Any, features: Array, mean: Array | None) -> Array:
    """The formula of Tang et al. 2020 by loops; `mean` takes its direction off the features."""
    weight, parts = of(head.weight), head.parts
    t, width = head.part_scale * parts, weight.shape[1] // parts
    logits = np.zeros((len(features), len(weight)))
    for i, row in enumerate(features):
        for j, of_class in enumerate(weight):
            for part in range(parts):
                at = slice(part * width, (part + 1) * width)
                x, w = row[at], of_class[at]
                shrunk = w / (np.linalg.norm(w) + head.gamma)
                logits[i, j] += t / parts * (w @ x) / (np.linalg.norm(w) + head.gamma) / np.linalg.norm(x)  # fmt: skip
                if mean is not None:
                    d = mean[at] / np.linalg.norm(mean[at])
                    cosine = x @ d / np.linalg.norm(x)
                    logits[i, j] -= t / parts * head.alpha * cosine * (d @ shrunk)
    return logits


@few
@given(sizes)
def test_linear_is_a_product_and_a_bias(size: tuple[int, int, int, int]) -> None:
    n, d, k, seed = size
    head, features = LinearHead(d, k), normal(seed, n, d)
    expected = of(features) @ of(head.weight).T + of(head.bias)
    np.testing.assert_allclose(of(head(features)), expected, rtol=1e-5, atol=1e-5)


@few
@given(sizes, st.floats(0.5, 64))
def test_cosine_is_the_scaled_cosine(size: tuple[int, int, int, int], scale: float) -> None:
    n, d, k, seed = size
    head, features = CosineHead(d, k, scale), normal(seed, n, d)
    with torch.no_grad():
        head.weight.mul_(normal(seed + 1, k, 1).exp())  # rows of any length
    x, w = of(features), of(head.weight)
    expected = (x @ w.T) / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(w, axis=1)
    np.testing.assert_allclose(of(head(features)), scale * expected, atol=1e-5 * scale)
    assert np.abs(of(head(features))).max() <= scale * (1 + 1e-6)


def test_cosine_does_not_see_lengths_and_takes_zeros() -> None:
    head, features = CosineHead(6, 4, 30.0), normal(1, 5, 6)
    longer = features * torch.tensor([[1e-3], [0.1], [1.0], [7.0], [1e4]])
    np.testing.assert_allclose(of(head(longer)), of(head(features)), rtol=1e-4, atol=1e-5)
    assert (head(torch.zeros(2, 6)) == 0).all()
    np.testing.assert_allclose(np.linalg.norm(of(head.weight), axis=1), 1, rtol=1e-6)


@few
@given(st.integers(1, 3), st.integers(1, 4), st.integers(2, 5), st.integers(0, 2**31))
def test_causal_norm_in_training_is_the_formula(
    parts: int, width: int, classes: int, seed: int
) -> None:
    head = CausalNormHead(parts * width, classes, parts=parts, scale=7.0, gamma=0.25)
    features = normal(seed, 4, parts * width) + 0.01
    expected = causal_logits(head, of(features), None)
    np.testing.assert_allclose(of(head.train()(features)), expected, rtol=1e-4, atol=1e-4)


@few
@given(st.integers(1, 3), st.integers(1, 4), st.floats(0, 3), st.integers(0, 2**31))
def test_causal_norm_predicts_without_the_mean_direction(
    parts: int, width: int, alpha: float, seed: int
) -> None:
    d = parts * width
    head = CausalNormHead(d, 5, parts=parts, alpha=alpha)
    batches = [normal(seed + step, 3 + step, d) + 1 for step in range(4)]
    mean = np.zeros(d)
    for batch in batches:
        head.train()(batch)
        mean = 0.9 * mean + of(batch).mean(axis=0)
    np.testing.assert_allclose(of(head.direction), mean, rtol=1e-5, atol=1e-6)
    expected = causal_logits(head, of(batches[0]), mean)
    np.testing.assert_allclose(of(head.eval()(batches[0])), expected, rtol=1e-4, atol=1e-4)


def trained_causal(alpha: float, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    head = CausalNormHead(8, 5, alpha=alpha)
    head.train()(normal(3, 6, 8) + 1)
    return head


def test_causal_norm_with_alpha_0_predicts_as_it_trains() -> None:
    head, features = trained_causal(0.0), normal(4, 6, 8)
    np.testing.assert_allclose(of(head.eval()(features)), of(head.train()(features)), atol=1e-6)
    head, features = trained_causal(1.5), normal(4, 6, 8)
    assert np.abs(of(head.eval()(features)) - of(head.train()(features))).max() > 0.1


def test_before_training_there_is_no_direction_to_take_off() -> None:
    head, features = CausalNormHead(8, 5), normal(4, 6, 8)
    plain = of(head.eval()(features))
    np.testing.assert_allclose(plain, of(head.train()(features)), atol=1e-6)


def test_prediction_neither_moves_the_average_nor_depends_on_its_length() -> None:
    head, features = trained_causal(1.5).eval(), normal(4, 6, 8)
    direction, logits = head.direction.clone(), of(head(features))
    assert torch.equal(head.direction, direction)
    head.direction.mul_(1000)
    np.testing.assert_allclose(of(head(features)), logits, rtol=1e-5, atol=1e-5)


def test_what_points_along_the_mean_is_taken_off_whole() -> None:
    head = trained_causal(1.0).eval()
    along = head.direction.reshape(2, 4) * torch.tensor([[3.0], [0.2]])
    assert head(along.reshape(1, 8)).abs().max() < 1e-5


def test_the_average_is_stored_with_the_weights_and_takes_no_gradient() -> None:
    head, other = trained_causal(1.5), trained_causal(1.5, seed=9)
    assert [name for name, _ in head.named_parameters()] == ["weight"]
    other.load_state_dict(head.state_dict())
    features = normal(4, 6, 8)
    assert torch.equal(head.eval()(features), other.eval()(features))
    features.requires_grad_()
    head.train()(features).sum().backward()
    assert not head.direction.requires_grad
    assert features.grad.isfinite().all()


def test_parts_of_zeros_add_nothing() -> None:
    head, features = trained_causal(1.5), normal(4, 1, 8)
    features[:, :4] = 0
    for mode in (True, False):
        assert head.train(mode)(features).isfinite().all()
        assert (head(torch.zeros(1, 8)) == 0).all()


@pytest.mark.parametrize("kind", HEADS)
def test_a_head_says_what_it_is(kind: str) -> None:
    head = make_head(kind, 8, 3)
    assert (head.kind, head.features, head.classes) == (kind, 8, 3)
    assert head.scale == (30.0 if kind == "cosine" else None)
    assert head(normal(0, 5, 8)).shape == (5, 3)


@pytest.mark.parametrize("kind", HEADS)
def test_weights_come_from_the_seed(kind: str) -> None:
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(make_head(kind, 8, 3).weight)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_options_reach_the_head() -> None:
    assert make_head("cosine", 8, 3, {"scale": 16.0}).scale == 16.0
    head = make_head("causal-norm", 9, 3, {"parts": 3.0, "scale": 6.0, "alpha": 0.5, "gamma": 0.0})
    assert (head.parts, head.part_scale, head.alpha, head.gamma) == (3, 2.0, 0.5, 0.0)
    assert head.momentum == 0.9


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        (
            "cosin",
            {},
            "there is no head 'cosin'; expected one of: linear, cosine, causal-norm. Did",
        ),
        ("linear", {"scale": 3.0}, "(linear): there is no option 'scale'; it has none"),
        ("cosine", {"scal": 3.0}, "Did you mean 'scale'?"),
        ("cosine", {"scale": 0.0}, "(cosine): scale: got '0.0', expected a number, at least 0.001"),
        ("causal-norm", {"parts": 3.0}, "parts: got 3, expected a whole number that divides the 8"),
        ("causal-norm", {"parts": 1.6}, "parts: got 1.6, expected a whole number"),
        ("causal-norm", {"parts": 16.0}, "parts: got 16, expected a whole number"),
        ("causal-norm", {"momentum": 1.5}, "momentum: got '1.5', expected a number"),
    ],
)
def test_heads_that_cannot_be(kind: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as error:
        make_head(kind, 8, 3, options)
    assert said in str(error.value)
