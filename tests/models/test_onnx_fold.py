"""An adjustment folded into the heads of ONNX models: no node is added, and nothing else changes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto

from lacal.adjustment import Adjustment
from lacal.errors import DataError, LacalError, UsageError
from tests.models.onnx_adjusting import SCALE, SHIFT, adjusted, by_numpy, check_close
from tests.models.onnx_models import (
    BIAS,
    CLASSES,
    FLOAT_HEADS,
    WEIGHT,
    Array,
    Built,
    built,
    features_for,
    gemm,
    node,
    of,
    outputs_of,
    shared,
)
from tests.models.onnx_quantised import QUANTISED_HEADS
from tests.models.onnx_softmax import in_function, softmaxed, with_label


def ends_in(*nodes: Any, **tensors: Array) -> Built:
    """Gemm gives "g"; these nodes follow."""
    first = node("Gemm", ["features", "w", "b"], "g", transB=1)
    return built([first, *nodes], {"w": WEIGHT, "b": BIAS, **tensors})


def same_weight_elsewhere() -> Built:
    """The head's weight also makes its features."""
    nodes = [
        node("Gemm", ["features", "w"], "h", transB=1),
        node("Gemm", ["h", "w"], "h1"),
        node("Gemm", ["h1", "w", "b"], "logits", transB=1),
    ]
    return built(nodes, {"w": WEIGHT, "b": BIAS})


FOLDABLE = {
    name: build
    for name, build in FLOAT_HEADS.items()
    if name not in ("MatMul", "half") and "Conv" not in name
} | {
    "beta of 0": lambda: gemm(beta=0.0),
    "one bias for all": lambda: built(
        [node("Gemm", ["features", "w", "b"], "logits", transB=1)], {"w": WEIGHT, "b": of([0.5], "f4")}
    ),
    "one weight twice": same_weight_elsewhere,
    "softmax listed": lambda: softmaxed("Softmax", listed=True),
}  # fmt: skip


@pytest.mark.parametrize("by", [SHIFT, SCALE], ids=["shift", "scale"])
@pytest.mark.parametrize("name", FOLDABLE)
def test_folded_is_what_numpy_gives(name: str, by: Adjustment, tmp_path: Path) -> None:
    model = FOLDABLE[name]()
    original = model.model.SerializeToString()
    made = adjusted(model, tmp_path, by, fold=True)
    assert not made.exact
    assert made.output is None
    features = features_for(model.model)
    (logits,) = outputs_of(original, features, "logits")
    (got,) = outputs_of(made.content, features, "logits")
    check_close(got, by_numpy(logits, by))
    new = onnx.load_from_string(made.content)
    working = [[one.name for one in of_graph.node if one.op_type not in ("Constant", "Transpose",
        "Identity", "Cast", "Reshape")] for of_graph in (new.graph, model.model.graph)]  # fmt: skip
    assert working[0] == working[1]
    read = {name for one in new.graph.node for name in one.input}
    stored = {one.name for one in new.graph.initializer}
    stored |= {one.output[0] for one in new.graph.node if one.op_type == "Constant"}
    assert stored <= read  # no weight of old is left behind


@pytest.mark.parametrize("by", [SHIFT, SCALE], ids=["shift", "scale"])
def test_a_head_stored_twice_over_is_copied(by: Adjustment, tmp_path: Path) -> None:
    model = shared()
    features = features_for(model.model)
    _, twin = outputs_of(model.model.SerializeToString(), features)
    made = adjusted(model, tmp_path, by, fold=True)
    assert np.array_equal(outputs_of(made.content, features, "twin")[0], twin)
    new, old = onnx.load_from_string(made.content).graph, model.model.graph
    assert list(new.initializer) == list(old.initializer)


def test_a_head_stored_once_is_edited_where_it_is(tmp_path: Path) -> None:
    model = gemm(beta=-2.0)
    made = adjusted(model, tmp_path, SCALE, fold=True)
    assert made.how == "weight and bias edited in 'Gemm' node 'n_logits'"
    new, old = onnx.load_from_string(made.content).graph, model.model.graph
    assert list(new.node) == list(old.node)
    weight, bias = (onnx.numpy_helper.to_array(one) for one in new.initializer)
    expected = of(WEIGHT, "f8") * SCALE.scale[:, None]
    assert np.array_equal(weight, expected.astype(np.float32))
    meant = of(BIAS, "f8") * SCALE.scale + SCALE.offset / -2.0
    assert np.array_equal(bias, meant.astype(np.float32))
    only = adjusted(model, tmp_path, SHIFT, fold=True)
    assert only.how == "bias edited in 'Gemm' node 'n_logits'"
    assert onnx.load_from_string(only.content).graph.initializer[0] == old.initializer[0]


@pytest.mark.parametrize(
    ("by", "how"), [(SHIFT, "bias added"), (SCALE, "weight edited and bias added")]
)
def test_a_gemm_without_bias_gets_one(by: Adjustment, how: str, tmp_path: Path) -> None:
    made = adjusted(gemm(biased=False), tmp_path, by, fold=True)
    assert made.how == f"{how} in 'Gemm' node 'n_logits'"
    layer = onnx.load_from_string(made.content).graph.node[-1]
    assert len(layer.input) == 3


def test_folded_in_front_of_a_softmax(tmp_path: Path) -> None:
    model = softmaxed("Softmax")
    features = features_for(model.model)
    made = adjusted(model, tmp_path, SHIFT, "probabilities", fold=True)
    assert made.output == "logits"
    before = outputs_of(model.model.SerializeToString(), features)[0]
    shifted = before * np.exp(SHIFT.offset)
    expected = shifted / shifted.sum(1, keepdims=True)
    np.testing.assert_allclose(outputs_of(made.content, features)[0], expected, rtol=1e-4)


MASKED = Adjustment(np.ones(CLASSES), np.array([0, -np.inf, 0, 0]))
HUGE = Adjustment(np.full(CLASSES, 3e38), np.zeros(CLASSES))
HALF = [
    node("Cast", ["g"], "h", to=TensorProto.FLOAT16),
    node("Cast", ["h"], "logits", to=TensorProto.FLOAT),
]
REFUSED: dict[str, tuple[Any, Adjustment, str]] = {
    "no bias": (FLOAT_HEADS["MatMul"], SHIFT, "the head is 'MatMul' node 'n_logits' without a bias to fold"),
    "half": (FLOAT_HEADS["half"], SHIFT, "its weight stored as float16"),
    "Conv": (FLOAT_HEADS["Conv before pooling"], SHIFT, "the head is 'Conv' node 'n_maps', expected Gemm"),
    "Gemm and Add": (
        lambda: ends_in(node("Add", ["g", "b"], "logits")), SHIFT, "'Gemm' node 'n_g' and 1 Add, expected"
    ),
    "rounding": (lambda: ends_in(*HALF), SHIFT, "followed by steps that round more than float32"),
    "masked": (gemm, MASKED, "a class that is never to be predicted has no bias that says so"),
    "no head": (lambda: ends_in(node("Relu", ["g"], "logits")), SHIFT, "come from 'Relu' node 'n_logits'"),
    "function": (in_function, SHIFT, "come from 'Head' node 'n_logits' of 'mine'"),
    "replaceable": (lambda: gemm(also_inputs=["fc.bias"]), SHIFT, "is an input of the graph as well"),
    "label": (with_label, SHIFT, "'logits', which comes out of the head, is used by 'ArgMax' node 'n_label'"),
    **{
        name: (build, SHIFT, "its weight stored as int8")
        for name, build in QUANTISED_HEADS.items()
    },
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_folded_into(name: str, tmp_path: Path) -> None:
    build, by, words = REFUSED[name]
    with pytest.raises(UsageError) as caught:
        adjusted(build(), tmp_path, by, fold=True)
    assert words in str(caught.value)
    assert "leave --fold out" in str(caught.value)


def check_refused(kind: type[LacalError], words: str, *given: Any) -> None:
    with pytest.raises(kind, match=words):
        adjusted(*given, fold=True)


def test_logits_that_are_an_output_beside_the_chosen_one(tmp_path: Path) -> None:
    model = softmaxed("Softmax", listed=True)
    words = "'logits', which comes out of the head, is an output of its own as well; leave --fold"
    check_refused(UsageError, words, model, tmp_path, SHIFT, "probabilities")
    model = ends_in(node("Identity", ["g"], "logits"), node("Relu", ["g"], "more"))
    words = "'g', which comes out of the head, is used by 'Relu' node 'n_more' as well"
    check_refused(UsageError, words, model, tmp_path, SHIFT)


def test_a_sum_beyond_float32(tmp_path: Path) -> None:
    check_refused(
        DataError, "adjusted head is outside the range of float32", gemm(), tmp_path, HUGE
    )
