"""ONNX models whose head is none that lacal can read: what was found instead is named."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto

from lacal.errors import DataError
from lacal.models.onnx.head import onnx_head
from tests.models.onnx_models import (
    BIAS,
    CLASSES,
    FEATURES,
    WEIGHT,
    Array,
    Built,
    built,
    gemm,
    node,
    numbers,
    of,
)
from tests.models.onnx_softmax import in_branches, in_function


def fused_gemm() -> Built:
    """Gemm and what follows it in one; onnxruntime knows none without an activation."""
    said = {"activation": "Relu", "domain": "com.microsoft", "transB": 1}
    layer = node("FusedGemm", ["features", "w", "b"], "logits", **said)
    return built([layer], {"w": WEIGHT, "b": BIAS})


def ends_in(*nodes: Any, **tensors: Array) -> Built:
    """Gemm gives "g"; these nodes follow."""
    first = node("Gemm", ["features", "w", "b"], "g", transB=1)
    return built([first, *nodes], {"w": WEIGHT, "b": BIAS, **tensors})


def conv(**changes: Any) -> Built:
    said = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], **changes}
    side = said["kernel_shape"][0]
    nodes = [
        node("Conv", ["features", "w"], "maps", **said),
        node("GlobalAveragePool", ["maps"], "pooled"),
        node("Flatten", ["pooled"], "logits"),
    ]
    weight = numbers(CLASSES, FEATURES // said.get("group", 1), side, side)
    return built(nodes, {"w": weight}, features=("N", FEATURES, 3, 3))


def computed_weight() -> Built:
    nodes = [
        node("Identity", ["features"], "other"),
        node("Gemm", ["features", "other"], "logits", transB=1),
    ]
    return built(nodes, {}, outputs=[("logits", TensorProto.FLOAT, ("N", "N"))])


def a_number_a_row() -> Built:
    nodes = [node("MatMul", ["features", "w"], "g"), node("Add", ["g", "b"], "logits")]
    tensors = {"w": WEIGHT.T.copy(), "b": BIAS[:, None]}
    return built(nodes, tensors, features=(CLASSES, FEATURES))


REFUSED: dict[str, tuple[Any, str]] = {
    "Relu": (lambda: ends_in(node("Relu", ["g"], "logits")), "from 'Relu' node 'n_logits', no linear"),
    "Mul": (
        lambda: ends_in(node("Mul", ["g", "m"], "logits"), m=BIAS),
        "from 'Mul' node 'n_logits', no linear",
    ),
    "two heads": (
        lambda: ends_in(node("Add", ["g", "g"], "logits")),
        "from 'Add' node 'n_logits', no linear",
    ),
    "scaled at run time": (
        lambda: ends_in(
            node("ReduceMax", ["g"], "m", keepdims=1, axes=[1]),
            node("Mul", ["g", "m"], "logits"),
        ),
        "from 'Mul' node",
    ),
    "activation": (
        fused_gemm,
        "from 'FusedGemm' node 'n_logits' of 'com.microsoft', no linear",
    ),
    "weight at run time": (computed_weight, "from 'Gemm' node 'n_logits', whose weight is not in the"),
    "Conv 3x3": (conv, "from 'Conv' node 'n_maps', whose weight is not in the file as"),
    "Conv in groups": (
        lambda: conv(kernel_shape=[1, 1], pads=[0, 0, 0, 0], group=2),
        "from 'Conv' node 'n_maps', whose weight is not in the file as",
    ),
    "Conv with a rim": (
        lambda: conv(kernel_shape=[1, 1]),
        "from 'Conv' node 'n_maps', whose weight is not in the file as",
    ),
    "mean over classes": (
        lambda: ends_in(node("ReduceMean", ["g"], "logits", axes=[1])),
        "from 'ReduceMean' node",
    ),
    "mean over places of a Gemm": (
        lambda: ends_in(
            node("Unsqueeze", ["g", "two"], "u"),
            node("ReduceMean", ["u"], "logits", axes=[2], keepdims=0),
            two=of([2], "i8"),
        ),
        "from 'Gemm' node 'n_g', no linear",
    ),
    "a number a row": (a_number_a_row, "'Add' node 'n_logits' behind the head 'MatMul' node 'n_g' adds"),
    "local function": (in_function, "from 'Head' node 'n_logits' of 'mine', no linear"),
    "If": (in_branches, "from 'If' node 'n_logits', no linear"),
    "input": (
        lambda: built([node("Identity", ["features"], "logits")], {}),
        "'logits' are an input or a constant",
    ),
    "circle": (
        lambda: built([node("Add", ["logits", "b"], "a"), node("Add", ["a", "b"], "logits")], {"b": BIAS}),
        "runs in a circle",
    ),
    "replaceable weight": (
        lambda: gemm(also_inputs=["fc.weight"]),
        "tensor 'fc.weight' of the head is an input of the graph as well",
    ),
    "replaceable bias": (
        lambda: gemm(also_inputs=["fc.bias"]),
        "tensor 'fc.bias' of the head is an input of the graph as well",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_anything_else_is_named_and_refused(name: str, tmp_path: Path) -> None:
    build, words = REFUSED[name]
    with pytest.raises(DataError) as caught:
        onnx_head(build().save(tmp_path / "m.onnx"), "logits")
    assert words in str(caught.value)
    assert caught.value.exit_code == 2
    if name != "circle":
        assert "give the head with --head FILE" in str(caught.value)


def typed_wrongly(operator: str, **said: Any) -> Built:
    return ends_in(node(operator, ["g"], "logits", **said))


def shaped_by_itself() -> Built:
    nodes = [
        node("Gemm", ["features", "s", "b"], "logits", transB=1),
        node("Reshape", ["w", "s"], "s"),
    ]
    return built(nodes, {"w": WEIGHT, "b": BIAS})


def named_in_bytes() -> Built:
    model = ends_in(node("Relu", ["g"], "logits"))
    content = model.model.SerializeToString().replace(b"n_logits", b"n_\xff\xfe\xfd\xfcts")
    return Built(onnx.load_from_string(content), model.weight, model.bias)


DAMAGED: dict[str, tuple[Any, str]] = {
    "Cast to a list": (lambda: typed_wrongly("Cast", to=[1]), "from 'Cast' node 'n_logits', no linear"),
    "mean over texts": (lambda: typed_wrongly("ReduceMean", axes=["a"]), "from 'ReduceMean' node"),
    "shaped by itself": (shaped_by_itself, "from 'Gemm' node 'n_logits', whose weight is not in the"),
    "named in bytes": (named_in_bytes, r"come from 'Relu' node 'n_\xff\xfe"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_damaged_is_refused_as_well(name: str, tmp_path: Path) -> None:
    build, words = DAMAGED[name]
    with pytest.raises(DataError) as caught:
        onnx_head(build().save(tmp_path / "m.onnx"), "logits")
    assert words in str(caught.value)


def test_a_weight_that_cannot_be_read(tmp_path: Path) -> None:
    model = gemm()
    model.model.graph.initializer[0].raw_data = b"short"
    with pytest.raises(DataError, match=r"numbers of tensor 'fc\.weight' cannot be read"):
        onnx_head(model.save(tmp_path / "m.onnx"), None)


def test_names_are_shown_safely(tmp_path: Path) -> None:
    model = ends_in(node("Relu", ["g"], "logits"))
    model.model.graph.node[1].name = "\x1b[31mred\u202e"
    with pytest.raises(DataError) as caught:
        onnx_head(model.save(tmp_path / "m.onnx"), None)
    assert "\x1b" not in str(caught.value)
    assert r"\x1b[31mred\u202e" in str(caught.value)
