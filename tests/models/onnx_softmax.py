"""Small ONNX classifiers with something behind, or around, their logits."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from onnx import TensorProto, helper

from tests.models.onnx_models import BIAS, CLASSES, LOGITS, OPSET, WEIGHT, Built, built, node, of

PROBABILITIES = [("probabilities", TensorProto.FLOAT, ("N", CLASSES))]


def softmaxed(
    tail: str = "Softmax", *, listed: bool = False, also: Sequence[Any] = (), outputs: Any = None
) -> Built:
    """Logits behind a softmax, spelled in one of many ways; `listed` makes the logits an output, too."""
    tails = {
        "Softmax": [node("Softmax", ["logits"], "probabilities", axis=-1)],
        "LogSoftmax": [node("LogSoftmax", ["logits"], "probabilities", axis=1)],
        "Sigmoid": [node("Sigmoid", ["logits"], "probabilities")],
        "Log": [
            node("Softmax", ["logits"], "p"),
            node("Log", ["p"], "probabilities"),
        ],
        "Identity": [
            node("Softmax", ["logits"], "p"),
            node("Identity", ["p"], "p1"),
            node("Dropout", ["p1"], "p2"),
            node("Cast", ["p2"], "p3", to=TensorProto.DOUBLE),
            node("Cast", ["p3"], "probabilities", to=TensorProto.FLOAT),
        ],
        "Exp": [
            node("Exp", ["logits"], "e"),
            node("ReduceSum", ["e", "last"], "s"),
            node("Div", ["e", "s"], "probabilities"),
        ],
        "broadcast Exp": [  # as jax writes it
            node("ReduceMax", ["logits"], "top", axes=[-1], keepdims=0),
            node("Max", ["least", "top"], "most"),
            node("Unsqueeze", ["most", "last"], "column"),
            node("Shape", ["logits"], "sides"),
            node("Expand", ["column", "sides"], "wide"),
            node("Sub", ["logits", "wide"], "less"),
            node("Exp", ["less"], "e"),
            node("ReduceSum", ["e", "last"], "s"),
            node("Expand", ["s", "sides"], "s1"),
            node("Div", ["e", "s1"], "probabilities"),
        ],
        "shifted Exp": [
            node("ReduceMax", ["logits"], "largest", axes=[-1], keepdims=1),
            node("Sub", ["logits", "largest"], "less"),
            node("Exp", ["less"], "e"),
            node("ReduceSum", ["e", "last"], "s"),
            node("Identity", ["s"], "s1"),
            node("Div", ["e", "s1"], "probabilities"),
        ],
    }
    head = node("Gemm", ["features", "w", "b"], "logits", transB=1)
    tensors = {"w": WEIGHT, "b": BIAS}
    if "Exp" in tail:
        tensors |= {"last": of([-1], "i8"), "least": of(-np.inf, "f4")}
    outputs = outputs or PROBABILITIES + LOGITS * listed
    return built([head, *tails[tail], *also], tensors, outputs=outputs)


def in_function() -> Built:
    """The head lies in a local function."""
    body = helper.make_function(
        "mine",
        "Head",
        ["x", "w", "b"],
        ["y"],
        [helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)],
        [helper.make_opsetid("", OPSET)],
    )
    call = node("Head", ["features", "w", "b"], "logits", domain="mine")
    return built([call], {"w": WEIGHT, "b": BIAS}, functions=[body])


def softmax_in_function() -> Built:
    body = helper.make_function(
        "mine",
        "Probabilities",
        ["x"],
        ["y"],
        [helper.make_node("Identity", ["x"], ["i"]), helper.make_node("Softmax", ["i"], ["y"])],
        [helper.make_opsetid("", OPSET)],
    )
    nodes = [
        node("Gemm", ["features", "w", "b"], "logits", transB=1),
        node("Probabilities", ["logits"], "probabilities", domain="mine"),
    ]
    tensors = {"w": WEIGHT, "b": BIAS}
    return built(nodes, tensors, outputs=PROBABILITIES, functions=[body])


def in_branches(operator: str = "Identity") -> Built:
    """An If whose branches both do the same to a tensor from outside."""

    def branch(name: str) -> Any:
        value = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", CLASSES])
        return helper.make_graph([helper.make_node(operator, ["inner"], [name])], name, [], [value])

    nodes = [
        node("Gemm", ["features", "w", "b"], "inner", transB=1),
        node("If", ["yes"], "logits", then_branch=branch("one"), else_branch=branch("other")),
    ]
    return built(nodes, {"w": WEIGHT, "b": BIAS, "yes": of(True, "?")})


def with_label() -> Built:
    """Logits, their softmax and a label, all of them outputs."""
    label = node("ArgMax", ["logits"], "label", axis=1, keepdims=0)
    outputs = [*PROBABILITIES, ("label", TensorProto.INT64, ("N",)), *LOGITS]
    return softmaxed("Softmax", also=[label], outputs=outputs)
