"""Small ONNX classifiers whose last layer is quantised, in each of the ways there are."""

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("onnx")

from onnx import TensorProto

from tests.models.onnx_models import (
    BIAS,
    CLASSES,
    FLOAT_HEADS,
    WEIGHT,
    Array,
    Built,
    built,
    node,
    of,
)


def quantised(*, per_channel: bool) -> tuple[dict[str, Array], Array]:
    """An int8 weight (k, d) with scale and zero point, and what it stands for."""
    scale = np.abs(WEIGHT).max(axis=1 if per_channel else None) / np.float32(100)
    zero = of([0] * CLASSES if per_channel else 3, "i1")
    column = scale[:, None] if per_channel else scale
    integers = of(np.round(WEIGHT / column) + zero.reshape(-1, 1), "i1")
    meant = (of(integers, "f8") - of(zero.reshape(-1, 1), "f8")) * of(column, "f8")
    return {"wq": integers, "ws": of(scale, "f4"), "wz": zero}, meant


IN = {"xs": of(0.04, "f4"), "xz": of(128, "u1")}
OUT = {"ys": of(0.1, "f4"), "yz": of(128, "u1")}


def qdq(*, per_channel: bool = False, around: bool = True) -> Built:
    """QuantizeLinear and DequantizeLinear around input, weight, bias and, where said, output."""
    stored, weight = quantised(per_channel=per_channel)
    product = np.atleast_1d(IN["xs"] * stored["ws"])
    bias = np.round(BIAS / product).astype(np.int32)
    nodes = [
        node("QuantizeLinear", ["features", "xs", "xz"], "xq"),
        node("DequantizeLinear", ["xq", "xs", "xz"], "x"),
        node("DequantizeLinear", ["wq", "ws", "wz"], "w", axis=0),
        node("DequantizeLinear", ["bq", "bs"], "b", axis=0),
        node("Gemm", ["x", "w", "b"], "y" if around else "logits", transB=1),
    ]
    if around:
        nodes += [
            node("QuantizeLinear", ["y", "ys", "yz"], "yq"),
            node("DequantizeLinear", ["yq", "ys", "yz"], "logits"),
        ]
    tensors = {**stored, **IN, **(OUT if around else {}), "bq": bias}
    tensors["bs"] = of(product if per_channel else product[0], "f4")
    return built(nodes, tensors, weight, of(bias, "f8") * product)


def qlinear_matmul() -> Built:
    stored, weight = quantised(per_channel=False)
    stored["wq"] = stored["wq"].T.copy()
    nodes = [
        node("QuantizeLinear", ["features", "xs", "xz"], "xq"),
        node("QLinearMatMul", ["xq", "xs", "xz", "wq", "ws", "wz", "ys", "yz"], "yq"),
        node("DequantizeLinear", ["yq", "ys", "yz"], "logits"),
    ]
    return built(nodes, {**stored, **IN, **OUT}, weight, None)


def qgemm() -> Built:
    stored, weight = quantised(per_channel=True)
    product = IN["xs"] * stored["ws"]
    bias = np.round(BIAS / product).astype(np.int32)
    names = ["xq", "xs", "xz", "wq", "ws", "wz", "bq", "ys", "yz"]
    nodes = [
        node("QuantizeLinear", ["features", "xs", "xz"], "xq"),
        node("QGemm", names, "yq", domain="com.microsoft", transB=1),
        node("DequantizeLinear", ["yq", "ys", "yz"], "logits"),
    ]
    return built(nodes, {**stored, **IN, **OUT, "bq": bias}, weight, of(bias, "f8") * product)


def dynamic() -> Built:
    """What dynamic quantisation makes of MatMul and Add."""
    stored, weight = quantised(per_channel=True)
    stored["wq"] = stored["wq"].T.copy()
    nodes = [
        node("DynamicQuantizeLinear", ["features"], "xq", "xs", "xz"),
        node("MatMulInteger", ["xq", "wq", "xz", "wz"], "integers"),
        node("Cast", ["integers"], "floats", to=TensorProto.FLOAT),
        node("Mul", ["xs", "ws"], "scales"),
        node("Mul", ["floats", "scales"], "product"),
        node("Add", ["product", "b"], "logits"),
    ]
    return built(nodes, {**stored, "b": BIAS}, weight)


QUANTISED_HEADS: dict[str, Callable[[], Built]] = {
    "QDQ": qdq,
    "QDQ per channel": lambda: qdq(per_channel=True),
    "QDQ, float out": lambda: qdq(around=False),
    "QLinearMatMul": qlinear_matmul,
    "QGemm": qgemm,
    "dynamic": dynamic,
}
HEADS = FLOAT_HEADS | QUANTISED_HEADS
