"""Heads of second stages against NumPy in float64, and against the post-hoc methods that they contain."""

import io
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from safetensors.torch import load, save

from lacal.classes.prior import LabelPrior
from lacal.methods import METHODS, ClassStatistics
from lacal.training.aligned_heads import (
    DisAlignHead,
    LearnedScaleHead,
    NearestMeanHead,
    fresh,
    generalised_weights,
)
from lacal.training.head_table import HEADS
from lacal.training.heads import make_head

# CIFAR-10-LT, exp 100.
CIFAR = np.array([5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50])
REFERENCE = [0.0183, 0.0338, 0.0624, 0.1153, 0.2134, 0.3939, 0.7278, 1.3459, 2.4988, 4.5905]

FEATURES, CLASSES = 6, 4
COUNTS = np.array([400, 90, 30, 8])
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=25, deadline=None)


def rows(seed: int, n: int = 5) -> NDArray[np.float64]:
    values: NDArray[np.float64] = np.random.default_rng(seed).normal(size=(n, FEATURES))
    return values


def head_of(kind: str, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    options = {"alpha": 0.7} if kind == "causal-norm" else {}
    return make_head(kind, FEATURES, CLASSES, options).double()


def drawn(head: Any, seed: int) -> Any:
    """Whatever the second stage learned."""
    random = np.random.default_rng(seed)
    with torch.no_grad():
        for one in head.parameters():
            if one.requires_grad:
                one.copy_(torch.from_numpy(random.normal(size=tuple(one.shape))))
    return head.double().eval()


def logits(head: Any, x: NDArray[np.float64]) -> NDArray[np.float64]:
    with torch.no_grad():
        values: NDArray[np.float64] = head(torch.from_numpy(x)).numpy()
    return values


def array(tensor: Any) -> NDArray[np.float64]:
    values: NDArray[np.float64] = tensor.detach().numpy()
    return values


def around(kind: str, inner: str = "linear", seed: int = 0) -> Any:
    if kind == "ncm":
        x = torch.from_numpy(rows(seed, 40))
        return NearestMeanHead.of(x, torch.arange(40) % CLASSES, CLASSES)
    made = {"lws": LearnedScaleHead, "disalign": DisAlignHead}[kind](head_of(inner, seed))
    return drawn(made, seed)


ALL = [(kind, inner) for kind in ("lws", "disalign") for inner in HEADS] + [("ncm", "linear")]


@few
@given(seeds, st.sampled_from(list(HEADS)))
def test_scales_multiply_the_old_logits(seed: int, inner: str) -> None:
    head, x = around("lws", inner, seed), rows(seed)
    np.testing.assert_allclose(
        logits(head, x), array(head.factors) * logits(head.head, x), rtol=1e-12
    )


@few
@given(seeds, st.sampled_from(list(HEADS)))
def test_alignment_is_its_formula(seed: int, inner: str) -> None:
    head, x = around("disalign", inner, seed), rows(seed)
    u, v = array(head.confidence.weight)[0], array(head.confidence.bias)[0]
    z = logits(head.head, x)
    expected = np.empty_like(z)
    for i, j in itertools.product(range(len(x)), range(CLASSES)):
        confidence = 1 / (1 + np.exp(-(x[i] @ u + v)))
        scale = 1 + confidence * array(head.magnitude)[j]
        expected[i, j] = scale * z[i, j] + confidence * array(head.margin)[j]
    np.testing.assert_allclose(logits(head, x), expected, rtol=1e-12, atol=1e-12)


@few
@given(seeds)
def test_the_nearest_mean_wins(seed: int) -> None:
    random = np.random.default_rng(seed)
    x, labels = random.normal(size=(30, FEATURES)), random.permutation(np.arange(30) % CLASSES)
    head = NearestMeanHead.of(torch.from_numpy(x), torch.from_numpy(labels), CLASSES)
    centre = x.mean(0)
    units = [(one - centre) / np.linalg.norm(one - centre) for one in x]
    means = [
        np.mean([u for u, y in zip(units, labels, strict=True) if y == j], 0)
        for j in range(CLASSES)
    ]
    for new in random.normal(size=(5, FEATURES)):
        unit = (new - centre) / np.linalg.norm(new - centre)
        distances = np.array([np.linalg.norm(unit - mean) for mean in means])
        given_logits = logits(head, new[None])[0]
        # Squared distances but for one number a row.
        np.testing.assert_allclose(np.ptp(given_logits + distances**2), 0, atol=1e-12)
        assert given_logits.argmax() == distances.argmin()


def test_both_start_where_their_code_does() -> None:
    x, plain = rows(0), head_of("linear")
    lws, disalign = LearnedScaleHead(plain).double(), DisAlignHead(plain).double()
    np.testing.assert_array_equal(logits(lws, x), logits(plain, x))
    confidence = array(disalign.confidences(torch.from_numpy(x)))
    assert (array(disalign.confidence.weight) == np.float32(0.1)).all()
    np.testing.assert_allclose(logits(disalign, x), (1 + confidence) * logits(plain, x), rtol=1e-12)
    assert {name for name, one in lws.named_parameters() if one.requires_grad} == {"factors"}
    aligned = {name for name, one in disalign.named_parameters() if one.requires_grad}
    assert aligned == {"magnitude", "margin", "confidence.weight", "confidence.bias"}


@pytest.mark.parametrize("made", [LearnedScaleHead, DisAlignHead])
def test_the_head_inside_stays_in_eval_mode(made: Any) -> None:
    head = made(head_of("causal-norm")).double()
    head.head.direction += 1
    before = head.head.direction.clone()
    head.train()
    head(torch.from_numpy(rows(1)))
    assert head.training
    assert torch.equal(head.head.direction, before)


def statistics(head: Any, bias_rule: str) -> ClassStatistics:
    norms = np.linalg.norm(array(head.weight), axis=1)
    return ClassStatistics(LabelPrior(COUNTS).log_prior, norms, array(head.bias), bias_rule)


@few
@given(seeds, st.floats(-1, 3))
def test_scales_of_inverse_norms_are_weight_normalisation(seed: int, tau: float) -> None:
    plain, x = head_of("linear", seed), rows(seed)
    known = statistics(plain, "scale")
    assert known.weight_norms is not None
    head = LearnedScaleHead(plain).double()
    with torch.no_grad():
        head.factors.copy_(torch.from_numpy(known.weight_norms**-tau))
    expected = METHODS["weight-norm"].adjustment(known, tau).apply(logits(plain, x))
    np.testing.assert_allclose(logits(head, x), expected, rtol=1e-12)
    np.testing.assert_allclose(logits(head.merged(), x), expected, rtol=1e-12)
    norms = np.linalg.norm(array(head.merged().weight), axis=1)
    np.testing.assert_allclose(norms, known.weight_norms ** (1 - tau), rtol=1e-12)


def constant(plain: Any, confidence: float) -> Any:
    """An aligned head of one confidence for all rows."""
    head = DisAlignHead(plain).double()
    with torch.no_grad():
        head.confidence.weight.zero_()
        head.confidence.bias.fill_(np.log(confidence / (1 - confidence)))
    return head


@few
@given(seeds, st.floats(0.05, 0.95), st.floats(-1, 3), st.sampled_from(["drop", "scale", "keep"]))
def test_constant_confidence_holds_every_affine_method(
    seed: int, confidence: float, tau: float, bias_rule: str
) -> None:
    plain, x = head_of("linear", seed), rows(seed)
    known = statistics(plain, bias_rule)
    for method in METHODS.values():
        adjustment = method.adjustment(known, tau)
        head = constant(plain, confidence)
        with torch.no_grad():
            head.magnitude.copy_(torch.from_numpy((adjustment.scale - 1) / confidence))
            head.margin.copy_(torch.from_numpy(adjustment.offset / confidence))
        expected = adjustment.apply(logits(plain, x))
        np.testing.assert_allclose(logits(head, x), expected, rtol=1e-9, atol=1e-9)


@few
@given(seeds, st.floats(0.05, 0.95))
def test_alignment_without_margins_is_scaling(seed: int, confidence: float) -> None:
    plain, x = head_of("linear", seed), rows(seed)
    lws = drawn(LearnedScaleHead(plain), seed)
    head = constant(plain, confidence)
    with torch.no_grad():
        head.magnitude.copy_((lws.factors - 1) / confidence)
    np.testing.assert_allclose(logits(head, x), logits(lws, x), rtol=1e-9, atol=1e-12)


def test_only_a_linear_head_can_be_merged_into() -> None:
    merged = around("lws").merged()
    assert (merged.kind, merged.features, merged.classes) == ("linear", FEATURES, CLASSES)
    for kind in ("cosine", "causal-norm"):
        head = around("lws", kind)
        assert head.merged() is head


def test_weights_are_the_reference_vector() -> None:
    weights = generalised_weights(CIFAR, 1.2)
    np.testing.assert_allclose(weights, REFERENCE, atol=5e-5)
    assert weights.sum() == pytest.approx(10)


@few
@given(
    st.lists(st.integers(1, 10**7), min_size=2, max_size=20),
    st.floats(0, 3),
    st.floats(0.01, 100),
)
def test_weights_are_of_ratios_alone(counts: list[int], rho: float, factor: float) -> None:
    n = np.array(counts)
    weights = generalised_weights(n, rho)
    np.testing.assert_allclose(weights, generalised_weights(n * factor, rho), rtol=1e-9)
    expected = 1 / n.astype(float) ** rho
    np.testing.assert_allclose(weights, expected * n.size / expected.sum(), rtol=1e-9)
    assert (generalised_weights(n, 0) == 1).all()


@pytest.mark.parametrize("kind", list(HEADS))
def test_a_fresh_head_has_the_old_ones_options_and_new_weights(kind: str) -> None:
    known = HEADS[kind]
    options = {name: 2 * float(one.default) for name, one in known.items() if name != "parts"}
    options |= {"parts": 3.0} if "parts" in known else {}
    options |= {"momentum": 0.5} if "momentum" in known else {}
    old = make_head(kind, FEATURES, CLASSES, options)
    new = fresh(old)
    assert not torch.equal(old.weight, new.weight)
    state = old.state_dict()
    assert state.keys() == new.state_dict().keys()
    new.load_state_dict(state)
    x = torch.from_numpy(rows(0)).float()
    assert torch.equal(new.eval()(x), old.eval()(x))
    assert new.scale == old.scale
    if kind == "causal-norm":
        assert (new.part_scale, new.momentum) == (old.part_scale, old.momentum)


@pytest.mark.parametrize(("kind", "inner"), ALL)
def test_heads_are_stored_and_exported(kind: str, inner: str) -> None:
    head = around(kind, inner).float().eval()
    assert (head.kind, head.scale, head.features, head.classes) == (kind, None, FEATURES, CLASSES)
    other = around(kind, inner, seed=1).float().eval()
    other.load_state_dict(load(save(head.state_dict())))
    x = torch.from_numpy(rows(2, 7)).float()
    assert torch.equal(other(x), head(x))
    sides = {"features": {0: torch.export.Dim("rows")}}
    program = torch.export.export(head, (x,), dynamic_shapes=sides).module()
    for n in (1, 7):
        torch.testing.assert_close(program(x[:n]), head(x[:n]))


@pytest.mark.parametrize(("kind", "inner"), ALL)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the exporter, to itself
def test_heads_go_into_onnx(kind: str, inner: str) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    head, buffer = around(kind, inner).float().eval(), io.BytesIO()
    x = torch.from_numpy(rows(2, 7)).float()
    torch.onnx.export(
        head,
        (x,),
        buffer,
        dynamo=False,
        input_names=["features"],
        output_names=["logits"],
        dynamic_axes={"features": {0: "rows"}, "logits": {0: "rows"}},
    )
    session = runtime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])
    for n in (1, 7):
        (found,) = session.run(None, {"features": x[:n].numpy()})
        np.testing.assert_allclose(found, array(head(x[:n])), rtol=1e-4, atol=1e-5)
