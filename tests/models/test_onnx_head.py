"""The head of an ONNX model: what is found computes what the model computes; all else is named and refused."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from onnx import TensorProto

from lacal.errors import DataError, UsageError
from lacal.models.onnx.head import onnx_head
from tests.models.onnx_models import (
    BIAS,
    CLASSES,
    FEATURES,
    FLOAT_HEADS,
    WEIGHT,
    Built,
    built,
    features_for,
    gemm,
    node,
    numbers,
    of,
    outputs_of,
    shared,
)
from tests.models.onnx_quantised import IN, OUT, QUANTISED_HEADS, quantised
from tests.models.onnx_softmax import softmaxed

FUSED = "com.microsoft"


def fused_matmul() -> Built:
    layer = node("FusedMatMul", ["features", "w"], "logits", domain=FUSED, alpha=0.5, transB=1)
    return built([layer], {"w": WEIGHT}, of(WEIGHT, "f8") / 2, None)


def added_twice() -> Built:
    nodes = [
        node("Gemm", ["features", "w", "b"], "g", transB=1),
        node("Add", ["g", "row"], "h"),
        node("Add", ["one", "h"], "logits"),
    ]
    row = numbers(1, CLASSES)
    tensors = {"w": WEIGHT, "b": BIAS, "row": row, "one": of(0.5, "f4")}
    return built(nodes, tensors, WEIGHT, of(BIAS, "f8") + row[0] + 0.5)


def integer_to_float() -> Built:
    stored, weight = quantised(per_channel=False)
    stored["wq"] = stored["wq"].T.copy()
    nodes = [
        node("DynamicQuantizeLinear", ["features"], "xq", "xs", "xz"),
        node(
            "MatMulIntegerToFloat",
            ["xq", "wq", "xs", "ws", "xz", "wz", "b"],
            "logits",
            domain=FUSED,
        ),
    ]
    return built(nodes, {**stored, "b": BIAS}, weight)


def dynamic_matmul() -> Built:
    stored, weight = quantised(per_channel=True)
    stored["wq"] = stored["wq"].T.copy()
    names = ["features", "wq", "ws", "wz", "b"]
    return built(
        [node("DynamicQuantizeMatMul", names, "logits", domain=FUSED)],
        {**stored, "b": BIAS},
        weight,
    )


def quantised_add() -> Built:
    stored, weight = quantised(per_channel=False)
    stored["wq"] = stored["wq"].T.copy()
    names = ["yq", "ys", "yz", "bq", "bs", "bz", "ys", "yz"]
    nodes = [
        node("QuantizeLinear", ["features", "xs", "xz"], "xq"),
        node("QLinearMatMul", ["xq", "xs", "xz", "wq", "ws", "wz", "ys", "yz"], "yq"),
        node("QLinearAdd", names, "zq", domain=FUSED),
        node("DequantizeLinear", ["zq", "ys", "yz"], "logits"),
    ]
    bias = {"bq": of([100, 130, 128, 150], "u1"), "bs": of(0.05, "f4"), "bz": of(128, "u1")}
    meant = (of(bias["bq"], "f8") - 128) * float(bias["bs"])
    return built(nodes, {**stored, **IN, **OUT, **bias}, weight, meant)


MORE_HEADS = {
    "FusedMatMul": fused_matmul,
    "added twice": added_twice,
    "MatMulIntegerToFloat": integer_to_float,
    "DynamicQuantizeMatMul": dynamic_matmul,
    "QLinearAdd": quantised_add,
}
HEADS = FLOAT_HEADS | QUANTISED_HEADS | MORE_HEADS


@pytest.mark.parametrize("name", HEADS)
def test_a_head_computes_what_its_model_computes(name: str, tmp_path: Path) -> None:
    model = HEADS[name]()
    head = onnx_head(model.save(tmp_path / "m.onnx"), "logits")
    assert head.weight.dtype == np.float64
    np.testing.assert_allclose(head.weight, model.weight, rtol=1e-6)
    assert (head.bias is None) == (model.bias is None)
    if head.bias is not None and model.bias is not None:
        np.testing.assert_allclose(head.bias, model.bias, rtol=1e-6, atol=1e-7)
    features = features_for(model.model)
    (logits,) = outputs_of(model.model.SerializeToString(), features, "logits")
    flat = features.mean((2, 3)) if features.ndim == 4 else features
    expected = of(flat, "f8") @ head.weight.T + (0 if head.bias is None else head.bias)
    coarse = "Q" in name or "dynamic" in name.lower() or "Integer" in name
    worst = np.abs(logits.reshape(expected.shape) - expected).max()
    assert worst < (0.2 if coarse else 4e-3 if name == "half" else 2e-6)


def test_what_was_found_is_said(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    found = onnx_head(gemm().save(path), None).found
    assert found == "Gemm 'n_logits', weight 'fc.weight' (4, 6), with bias"
    found = onnx_head(QUANTISED_HEADS["QGemm"]().save(path), None).found
    assert found == "QGemm 'n_yq', weight 'wq' (4, 6), stored as int8, with bias"
    found = onnx_head(FLOAT_HEADS["MatMul"]().save(path), None).found
    assert found == "MatMul 'n_logits', weight 'w' (4, 6), no bias"


@pytest.mark.parametrize("output", [None, "probabilities", "logits"])
def test_a_head_behind_a_softmax_is_found(output: str | None, tmp_path: Path) -> None:
    for listed in (False, True):
        model = softmaxed("Softmax", listed=listed)
        head = onnx_head(model.save(tmp_path / "m.onnx"), output)
        assert np.array_equal(head.weight, model.weight)


def test_one_of_several_outputs_must_be_named(tmp_path: Path) -> None:
    path = shared().save(tmp_path / "m.onnx")
    with pytest.raises(
        DataError, match=r"several outputs .* logits, twin; choose one with --output"
    ):
        onnx_head(path, None)
    assert onnx_head(path, "twin").found.startswith("Gemm 'n_twin'")
    with pytest.raises(
        UsageError, match=r"no output or inner tensor 'logit'.*Did you mean 'logits'"
    ):
        onnx_head(path, "logit")


def test_a_model_without_scores(tmp_path: Path) -> None:
    labels = [("logits", TensorProto.INT64, ("N",))]
    nodes = [
        node("Gemm", ["features", "w"], "g", transB=1),
        node("ArgMax", ["g"], "logits", axis=1, keepdims=0),
    ]
    path = built(nodes, {"w": WEIGHT}, outputs=labels).save(tmp_path / "m.onnx")
    with pytest.raises(
        DataError, match="no floating-point output, logits; choose one with --output"
    ):
        onnx_head(path, None)
    assert onnx_head(path, "g").bias is None


@pytest.mark.parametrize("axis", [0, 1])
def test_weights_quantised_in_blocks(axis: int, tmp_path: Path) -> None:
    integers = np.random.default_rng(3).integers(-9, 9, (CLASSES, FEATURES)).astype(np.int8)
    blocks = (CLASSES // 2, FEATURES) if axis == 0 else (CLASSES, FEATURES // 2)
    scale = np.abs(numbers(*blocks))
    nodes = [
        node("DequantizeLinear", ["wq", "ws"], "w", axis=axis, block_size=2),
        node("Gemm", ["features", "w", "b"], "logits", transB=1),
    ]
    weight = integers * scale.repeat(2, axis)
    model = built(nodes, {"wq": integers, "ws": scale, "b": BIAS}, weight, opset=21, ir=10)
    head = onnx_head(model.save(tmp_path / "m.onnx"), None)
    np.testing.assert_allclose(head.weight, model.weight, rtol=1e-6)
    features = features_for(model.model)
    (logits,) = outputs_of(model.model.SerializeToString(), features)
    np.testing.assert_allclose(logits, features @ head.weight.T + BIAS, atol=1e-4)
