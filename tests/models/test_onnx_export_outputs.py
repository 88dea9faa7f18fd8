"""Which outputs of an ONNX model an adjustment changes: those asked for, and what the notes say."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from onnx import TensorProto, helper

from tests.models.onnx_adjusting import SCALE, adjusted, by_numpy, listing
from tests.models.onnx_models import (
    BIAS,
    CLASSES,
    WEIGHT,
    Array,
    Built,
    built,
    features_for,
    node,
    of,
    outputs_of,
)
from tests.models.onnx_softmax import in_branches, softmaxed, with_label


def softmax(logits: Array) -> Array:
    shifted = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    normal: Array = shifted / shifted.sum(1, keepdims=True)
    return normal


@pytest.mark.parametrize(
    "tail", ["Softmax", "Log", "Identity", "Exp", "shifted Exp", "broadcast Exp"]
)
@pytest.mark.parametrize("output", ["probabilities", "logits", None])
def test_it_goes_in_front_of_a_softmax(tail: str, output: str | None, tmp_path: Path) -> None:
    model = softmaxed(tail)
    made = adjusted(model, tmp_path, SCALE, output)
    assert made.output == (None if output == "logits" else "logits")
    assert bool(made.notes) == (output == "logits")
    features = features_for(model.model)
    expected = by_numpy(outputs_of(gemm_alone(), features)[0], SCALE)
    probabilities = outputs_of(made.content, features)[0]
    as_said = np.exp(probabilities) if tail == "Log" else probabilities
    np.testing.assert_allclose(as_said, softmax(expected), rtol=1e-4, atol=1e-7)
    (seen,) = outputs_of(listing(made.content, "logits"), features, "logits")
    assert np.array_equal(seen, expected)


def gemm_alone() -> bytes:
    layer = node("Gemm", ["features", "w", "b"], "logits", transB=1)
    content: bytes = built([layer], {"w": WEIGHT, "b": BIAS}).model.SerializeToString()
    return content


def test_of_several_outputs_the_chosen_logits_and_their_softmax_change(tmp_path: Path) -> None:
    model = with_label()
    features = features_for(model.model)
    _, label, logits = outputs_of(model.model.SerializeToString(), features)
    made = adjusted(model, tmp_path, SCALE, "logits")
    new_probabilities, new_label, new_logits = outputs_of(made.content, features)
    assert np.array_equal(new_logits, by_numpy(logits, SCALE))
    np.testing.assert_allclose(new_probabilities, softmax(new_logits), rtol=1e-5)
    assert np.array_equal(new_label, label)
    assert made.notes == (
        "Output 'probabilities' is computed from the same logits and adjusted with them.",
        "Output 'label' is not adjusted, though the same logits lead there.",
    )


def test_of_several_outputs_only_the_chosen_softmax_changes(tmp_path: Path) -> None:
    model = with_label()
    features = features_for(model.model)
    _, label, logits = outputs_of(model.model.SerializeToString(), features)
    made = adjusted(model, tmp_path, SCALE, "probabilities")
    new_probabilities, new_label, new_logits = outputs_of(made.content, features)
    assert np.array_equal(new_logits, logits)
    assert np.array_equal(new_label, label)
    np.testing.assert_allclose(new_probabilities, softmax(by_numpy(logits, SCALE)), rtol=1e-5)
    assert made.notes == (
        "Outputs 'label', 'logits' are not adjusted, though the same logits lead there.",
    )
    assert made.output == "logits/lacal_adjusted"
    (seen,) = outputs_of(listing(made.content, made.output), features, made.output)
    assert np.array_equal(seen, by_numpy(logits, SCALE))


def test_an_inner_tensor_carries_all_that_follows_with_it(tmp_path: Path) -> None:
    model = in_branches("Relu")
    features = features_for(model.model)
    (logits,) = outputs_of(listing(model.model.SerializeToString(), "inner"), features, "inner")
    made = adjusted(model, tmp_path, SCALE, "inner")
    assert np.array_equal(
        outputs_of(made.content, features)[0], np.maximum(by_numpy(logits, SCALE), 0)
    )
    assert made.notes == (
        "The logits 'inner' are no output of the model. Output 'logits' is computed from them and "
        "adjusted with them.",
    )


def test_a_branch_inside_a_node_goes_on_with_the_original(tmp_path: Path) -> None:
    model = in_branches("Relu")
    listed = helper.make_tensor_value_info("inner", TensorProto.FLOAT, ["N", CLASSES])
    model.model.graph.output.append(listed)
    features = features_for(model.model)
    before, logits = outputs_of(model.model.SerializeToString(), features)
    made = adjusted(model, tmp_path, SCALE, "inner")
    after, changed = outputs_of(made.content, features)
    assert np.array_equal(changed, by_numpy(logits, SCALE))
    assert np.array_equal(after, before)
    assert made.notes == ("Output 'logits' is not adjusted, though the same logits lead there.",)


def halves(*, listed: bool) -> Built:
    nodes = [
        node("Gemm", ["features", "w", "b"], "logits", transB=1),
        node("Softmax", ["logits"], "probabilities"),
    ]
    half = TensorProto.FLOAT16
    outputs = [("probabilities", half, ("N", CLASSES))]
    outputs += [("logits", half, ("N", CLASSES))] * listed
    tensors = {"w": of(WEIGHT, "f2"), "b": of(BIAS, "f2")}
    return built(nodes, tensors, outputs=outputs, kind=half)


@pytest.mark.parametrize("listed", [False, True])
def test_half_precision_is_adjusted_in_float32(listed: bool, tmp_path: Path) -> None:
    model = halves(listed=listed)
    features = features_for(model.model)
    original = model.model.SerializeToString()
    before = listing(original, "logits")
    (logits,) = outputs_of(before, features, "logits")
    made = adjusted(model, tmp_path, SCALE, "logits")
    name = made.output or "logits"
    assert name == ("logits" if listed else "logits/lacal_adjusted")
    probabilities, seen = outputs_of(listing(made.content, name), features, "probabilities", name)
    assert seen.dtype == np.float32
    assert np.array_equal(seen, by_numpy(logits, SCALE))
    assert probabilities.dtype == np.float16
    np.testing.assert_allclose(probabilities, softmax(seen), atol=0.01)
    assert "output 'logits' is float32 now" in made.notes[-1] or not listed
    assert "rounded to float16 again" in made.notes[-1] or listed
