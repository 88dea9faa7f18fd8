"""Walking an ONNX graph: a softmax is seen however it is written, and nothing else is taken for one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("onnx")

from onnx import TensorProto, helper

from lacal.errors import DataError
from lacal.models.onnx.graph import Graph, expose
from tests.models.onnx_models import (
    BIAS,
    WEIGHT,
    built,
    features_for,
    gemm,
    node,
    of,
    outputs_of,
    shared,
)
from tests.models.onnx_softmax import (
    PROBABILITIES,
    in_branches,
    softmax_in_function,
    softmaxed,
)

TAILS = [
    "Softmax",
    "LogSoftmax",
    "Sigmoid",
    "Log",
    "Identity",
    "Exp",
    "shifted Exp",
    "broadcast Exp",
]
QUANTUM = {"s": of(1 / 255, "f4"), "z": of(0, "u1")}
PASSING: dict[str, list[tuple[str, list[str], dict[str, Any]]]] = {
    "identity": [("Identity", [], {})],
    "reshape": [("Reshape", ["shape"], {})],
    "flatten": [("Flatten", [], {"axis": 1})],
    "there and back": [("Unsqueeze", ["one"], {}), ("Squeeze", ["one"], {})],
    "cast": [("Cast", [], {"to": TensorProto.FLOAT16}), ("Cast", [], {"to": TensorProto.FLOAT})],
    "dropout": [("Dropout", [], {})],
    "dropout off": [("Dropout", ["ratio", "off"], {})],
    "quantised": [("QuantizeLinear", ["s", "z"], {}), ("DequantizeLinear", ["s", "z"], {})],
}
STORED = {
    **{"w": WEIGHT, "b": BIAS, "shape": of([0, -1], "i8"), "one": of([1], "i8")},
    **{"ratio": of(0.5, "f4"), "off": of(False, "?"), "on": of(True, "?")},
    **QUANTUM,
}


def behind(*steps: tuple[str, list[str], dict[str, Any]]) -> Any:
    """A ModelProto: Gemm, then these operators in a row."""
    nodes, at = [node("Gemm", ["features", "w", "b"], "logits", transB=1)], "logits"
    for number, (operator, more, said) in enumerate(steps):
        nodes.append(node(operator, [at, *more], f"t{number}", **said))
        at = f"t{number}"
    nodes.append(node("Identity", [at], "probabilities"))
    return built(nodes, STORED, outputs=PROBABILITIES).model


@pytest.mark.parametrize("tail", TAILS)
def test_every_spelling_of_a_softmax_is_seen(tail: str) -> None:
    graph = Graph(softmaxed(tail).model)
    assert graph.probabilities_of("probabilities") == "logits"
    assert graph.logits_of("probabilities") == "logits"
    assert graph.probabilities_of("logits") is None
    assert graph.logits_of("logits") == "logits"


@given(st.lists(st.sampled_from(sorted(PASSING)), max_size=6))
def test_it_is_seen_through_whatever_keeps_values(names: list[str]) -> None:
    steps = [step for name in names for step in PASSING[name]]
    seen = Graph(behind(("Softmax", [], {"axis": -1}), *steps))
    assert seen.probabilities_of("probabilities") == "logits"
    assert list(Graph(behind(*steps)).sources("probabilities"))[-1] == "logits"


@pytest.mark.parametrize(
    "step",
    [
        ("Relu", [], {}),
        ("Clip", [], {}),
        ("Neg", [], {}),
        ("Softmax", [], {"axis": 0}),
        ("Dropout", ["ratio", "on"], {}),
        ("QuantizeLinear", ["s", "z"], {}),
        ("Cast", [], {"to": TensorProto.INT64}),
    ],
)
def test_nothing_else_is_taken_for_one(step: tuple[str, list[str], dict[str, Any]]) -> None:
    changed = Graph(behind(step))
    assert changed.probabilities_of("probabilities") is None
    assert "logits" not in list(changed.sources("probabilities"))
    if step[0] != "Softmax":
        hidden = Graph(behind(("Softmax", [], {}), step))
        assert hidden.probabilities_of("probabilities") is None


def test_a_division_by_another_sum_is_no_softmax() -> None:
    made = softmaxed("Exp").model
    made.graph.node[2].input[0] = "logits"
    assert Graph(made).probabilities_of("probabilities") is None


def test_softmax_in_a_local_function_or_in_both_branches_of_an_if() -> None:
    assert Graph(softmax_in_function().model).probabilities_of("probabilities") == "logits"
    assert Graph(in_branches("Softmax").model).probabilities_of("logits") == "inner"
    assert Graph(in_branches("Relu").model).probabilities_of("logits") is None
    one_sided = in_branches("Softmax").model
    one_sided.graph.node[1].attribute[1].g.node[0].op_type = "Relu"
    assert Graph(one_sided).probabilities_of("logits") is None


def test_walks_end_where_a_graph_runs_in_a_circle() -> None:
    circle = [node("Identity", ["b"], "a"), node("Log", ["a"], "b"), node("Identity", ["b"], "c")]
    circle += [node("Max", ["e"], "d"), node("Reshape", ["d"], "e"), node("Div", ["f", "e"], "g")]
    graph = Graph(built([*circle, node("Exp", ["a"], "f")], {}).model)
    assert [graph.probabilities_of(name) for name in "abcdefg"] == [None] * 7
    assert {one.output[0] for one in graph.ancestors("c")} == {"a", "b", "c"}
    assert list(graph.sources("c")) == ["c", "b"]


def test_walks_end_where_a_function_calls_itself() -> None:
    made = softmax_in_function().model
    body = made.functions[0].node
    del body[:]
    body.append(helper.make_node("Probabilities", ["x"], ["y"], domain="mine"))
    assert Graph(made).probabilities_of("probabilities") is None


def test_what_a_graph_holds() -> None:
    graph = Graph(in_branches().model)
    assert graph.has_tensor("inner")
    assert graph.has_tensor("w")
    assert graph.has_tensor("features")
    assert not graph.has_tensor("one")  # inside a branch
    assert [one.op_type for one in graph.consumers["inner"]] == ["If"]
    assert graph.opset == 17
    assert graph.overridable == set()
    assert graph.type_of("logits") == "float32"
    assert graph.type_of("inner") is None
    labels = [("logits", TensorProto.INT64, ("N",))]
    assert Graph(built([], {}, outputs=labels).model).type_of("logits") == "other"


def test_initialisers_listed_as_inputs_may_be_replaced_since_ir_4() -> None:
    listed = ["fc.weight"]
    assert Graph(gemm(also_inputs=listed).model).overridable == set(listed)
    assert Graph(gemm(also_inputs=listed, opset=8, ir=3).model).overridable == set()


def test_expose_lists_an_inner_tensor_in_a_copy(tmp_path: Path) -> None:
    whole = softmaxed("Softmax")
    original = whole.model.SerializeToString()
    wider = expose(whole.model, "logits")
    assert whole.model.SerializeToString() == original
    assert [one.name for one in wider.graph.output] == ["probabilities", "logits"]
    features = features_for(whole.model)
    (before,) = outputs_of(original, features)
    same, logits = outputs_of(wider.SerializeToString(), features)
    assert np.array_equal(before, same)
    exponential = np.exp(np.float64(logits))
    np.testing.assert_allclose(same, exponential / exponential.sum(1, keepdims=True), rtol=1e-5)


def test_expose_says_the_type_where_it_is_known_and_adds_nothing_twice() -> None:
    whole = softmaxed("Softmax").model
    whole.graph.value_info.append(helper.make_tensor_value_info("logits", 1, ["N", 4]))
    assert expose(whole, "logits").graph.output[1] == whole.graph.value_info[0]
    twice = shared().model
    assert expose(twice, "twin") == twice


@pytest.mark.parametrize("name", ["nothing", "features", "w", ""])
def test_expose_refuses_what_no_node_makes(name: str) -> None:
    with pytest.raises(DataError, match="no inner tensor"):
        expose(softmaxed("Softmax").model, name)
