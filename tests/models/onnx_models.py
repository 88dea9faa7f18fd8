"""Small ONNX classifiers, one for each way a last layer is written; built here, never read from a file.

Each comes with the weight (k, d) and bias (k,) that it computes with, as far as whole numbers can tell.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper, numpy_helper

FEATURES, CLASSES = 6, 4
OPSET, IR = 17, 8
Array = NDArray[Any]


def of(values: Any, kind: str) -> Array:
    """An array of this type."""
    return np.asarray(values, kind)


@dataclass(frozen=True)
class Built:
    """A model and the head inside it.

    Attributes:
        model: Takes "features" (N, d), gives "logits" (N, k) unless it says otherwise.
        weight: (k, d) float64.
        bias: (k,) float64, or None.
    """

    model: Any
    weight: Array
    bias: Array | None

    def save(self, path: Any) -> Any:
        onnx.save(self.model, str(path))
        return path


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


WEIGHT, BIAS = numbers(CLASSES, FEATURES), numbers(CLASSES)


def built(
    nodes: Sequence[Any],
    tensors: dict[str, Array],
    weight: Array = WEIGHT,
    bias: Array | None = BIAS,
    *,
    features: Sequence[int | str] = ("N", FEATURES),
    outputs: Sequence[tuple[str, int, Sequence[int | str]]] = (),
    kind: int = TensorProto.FLOAT,
    opset: int = OPSET,
    ir: int = IR,
    also_inputs: Sequence[str] = (),
    functions: Sequence[Any] = (),
) -> Built:
    """A model of these nodes, with metadata and doc strings that must survive."""
    outputs = outputs or [("logits", kind, ("N", CLASSES))]
    stored = [numpy_helper.from_array(array, name) for name, array in tensors.items()]
    inputs = [helper.make_tensor_value_info("features", kind, list(features))]
    inputs += [
        helper.make_tensor_value_info(one.name, one.data_type, list(one.dims))
        for one in stored
        if one.name in also_inputs
    ]
    graph = helper.make_graph(
        list(nodes),
        "small",
        inputs,
        [helper.make_tensor_value_info(one, typed, list(sides)) for one, typed, sides in outputs],
        stored,
        doc_string="a graph of a test",
    )
    domains = {"com.microsoft": 1} if any(one.domain == "com.microsoft" for one in nodes) else {}
    domains |= {one.domain: 1 for one in functions}
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", opset)]
        + [helper.make_opsetid(domain, version) for domain, version in domains.items()],
        ir_version=ir,
        producer_name="tests",
        functions=list(functions),
    )
    model.doc_string = "a model of a test"
    helper.set_model_props(model, {"author": "someone", "license": "none"})
    return Built(model, of(weight, "f8"), None if bias is None else of(bias, "f8"))


def node(operator: str, inputs: Sequence[str], *outputs: str, **attributes: Any) -> Any:
    """A node named after its first output."""
    return helper.make_node(operator, inputs, outputs, name=f"n_{outputs[0]}", **attributes)


def gemm(
    *, trans_b: int = 1, alpha: float = 1.0, beta: float = 1.0, biased: bool = True, **said: Any
) -> Built:
    stored = WEIGHT if trans_b else np.ascontiguousarray(WEIGHT.T)
    names = ["features", "fc.weight"] + ["fc.bias"] * biased
    layer = node("Gemm", names, "logits", transB=trans_b, alpha=alpha, beta=beta)
    tensors = {"fc.weight": stored} | ({"fc.bias": BIAS} if biased else {})
    bias = of(BIAS, "f8") * beta if biased else None
    return built([layer], tensors, of(WEIGHT, "f8") * alpha, bias, **said)


def matmul_add(*, bias_first: bool = False, **said: Any) -> Built:
    added = ["b", "product"] if bias_first else ["product", "b"]
    nodes = [node("MatMul", ["features", "w"], "product"), node("Add", added, "logits")]
    return built(nodes, {"w": WEIGHT.T.copy(), "b": BIAS}, **said)


def matmul() -> Built:
    nodes = [node("MatMul", ["features", "w"], "logits")]
    return built(nodes, {"w": WEIGHT.T.copy()}, bias=None)


def behind_everything() -> Built:
    """Weight behind Transpose and Identity, bias behind Reshape and Cast, logits behind all four."""
    nodes = [
        node("Identity", ["w"], "w1"),
        node("Transpose", ["w1"], "w2", perm=[1, 0]),
        node("Cast", ["b"], "b1", to=TensorProto.FLOAT),
        node("Reshape", ["b1", "flat"], "b2"),
        node("MatMul", ["features", "w2"], "product"),
        node("Add", ["product", "b2"], "sum"),
        node("Unsqueeze", ["sum", "two"], "u"),
        node("Flatten", ["u"], "f", axis=1),
        node("Cast", ["f"], "wide", to=TensorProto.DOUBLE),
        node("Cast", ["wide"], "narrow", to=TensorProto.FLOAT),
        node("Reshape", ["narrow", "shape"], "same"),
        node("Identity", ["same"], "logits"),
    ]
    tensors = {
        "w": WEIGHT,
        "b": of(BIAS, "f8").reshape(1, -1),
        "flat": of([-1], "i8"),
        "two": of([2], "i8"),
        "shape": of([-1, CLASSES], "i8"),
    }
    return built(nodes, tensors)


def constants() -> Built:
    """Weight and bias in Constant nodes."""
    nodes = [
        node("Constant", [], "w", value=numpy_helper.from_array(WEIGHT)),
        node("Constant", [], "b", value_floats=BIAS.tolist()),
        node("Gemm", ["features", "w", "b"], "logits", transB=1),
    ]
    return built(nodes, {})


def conv_pool(*, mean: bool = False) -> Built:
    """Conv 1x1 on (N, d, 3, 3), then global average pooling."""
    pool = (
        node("ReduceMean", ["maps"], "pooled", axes=[-2, 3], keepdims=0)
        if mean
        else node("GlobalAveragePool", ["maps"], "pooled")
    )
    nodes = [
        node("Conv", ["features", "w", "b"], "maps", kernel_shape=[1, 1]),
        pool,
        node("Flatten", ["pooled"], "logits"),
    ]
    tensors = {"w": WEIGHT[:, :, None, None], "b": BIAS}
    return built(nodes, tensors, features=("N", FEATURES, 3, 3))


def conv_maps() -> Built:
    """Conv 1x1 on pooled features; its logits keep two sides of 1."""
    nodes = [node("Conv", ["features", "w", "b"], "logits", kernel_shape=[1, 1])]
    tensors = {"w": WEIGHT[:, :, None, None], "b": BIAS}
    outputs = [("logits", TensorProto.FLOAT, ("N", CLASSES, 1, 1))]
    return built(nodes, tensors, features=("N", FEATURES, 1, 1), outputs=outputs)


def static_batch() -> Built:
    return gemm(features=(3, FEATURES), outputs=[("logits", TensorProto.FLOAT, (3, CLASSES))])


def half() -> Built:
    """A Gemm in float16."""
    layer = node("Gemm", ["features", "w", "b"], "logits", transB=1)
    tensors = {"w": WEIGHT.astype(np.float16), "b": BIAS.astype(np.float16)}
    return built([layer], tensors, tensors["w"], tensors["b"], kind=TensorProto.FLOAT16)


def double() -> Built:
    layer = node("Gemm", ["features", "w", "b"], "logits", transB=1)
    tensors = {"w": of(WEIGHT, "f8"), "b": of(BIAS, "f8")}
    return built([layer], tensors, kind=TensorProto.DOUBLE)


LOGITS = [("logits", TensorProto.FLOAT, ("N", CLASSES))]


def shared() -> Built:
    """The head's weight and bias also serve an output of their own."""
    nodes = [
        node("Gemm", ["features", "w", "b"], "logits", transB=1),
        node("Gemm", ["features", "w", "b"], "twin", transB=1),
    ]
    outputs = [*LOGITS, ("twin", TensorProto.FLOAT, ("N", CLASSES))]
    return built(nodes, {"w": WEIGHT, "b": BIAS}, outputs=outputs)


# Every float head that is recognised, by name.
FLOAT_HEADS: dict[str, Callable[[], Built]] = {
    "Gemm": gemm,
    "Gemm of (d, k)": lambda: gemm(trans_b=0),
    "Gemm with alpha, beta": lambda: gemm(alpha=0.7, beta=-1.3),
    "Gemm without bias": lambda: gemm(biased=False),
    "MatMul + Add": matmul_add,
    "Add + MatMul": lambda: matmul_add(bias_first=True),
    "MatMul": matmul,
    "behind everything": behind_everything,
    "Constant nodes": constants,
    "Conv before pooling": conv_pool,
    "Conv before a mean": lambda: conv_pool(mean=True),
    "Conv on pooled": conv_maps,
    "double": double,
    "half": half,
    "batch of 3": static_batch,
    "shared, twice an output": shared,
    "IR 3, weights listed as inputs": lambda: gemm(
        opset=8, ir=3, also_inputs=["fc.weight", "fc.bias"]
    ),
}


def outputs_of(content: Any, features: Array, *names: str, optimised: bool = True) -> list[Array]:
    """What onnxruntime makes of a model, a path or bytes; of all its outputs where none is named."""
    runtime = pytest.importorskip("onnxruntime")
    runtime.set_default_logger_severity(4)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    if not optimised:
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    found: list[Array] = session.run(list(names) or None, {"features": features})
    return found


def features_for(model: Any, rows: int = 64, seed: int = 1) -> Array:
    """Inputs of a model built here."""
    given = model.graph.input[0].type.tensor_type
    sides = [side.dim_value for side in given.shape.dim]
    values = np.random.default_rng(seed).standard_normal((sides[0] or rows, *sides[1:]))
    return values.astype(helper.tensor_dtype_to_np_dtype(given.elem_type))
