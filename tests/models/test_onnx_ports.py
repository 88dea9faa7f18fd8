"""Which tensor of an ONNX graph is taken for its logits, and which inputs and outputs cannot be."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper

from lacal.errors import DataError, UsageError
from tests.models.onnx_small import model, node, opened, value

FLOAT, BFLOAT16 = TensorProto.FLOAT, TensorProto.BFLOAT16

TWO = [value("logits"), value("other")]
TWICE = [node("MatMul", "x W", "logits"), node("Neg", "logits", "other")]
SOFT = [node("MatMul", "x W", "front"), node("Softmax", "front", "logits")]


@pytest.mark.parametrize(
    ("made", "output", "error", "words"),
    [
        (
            model(TWICE, outputs=TWO),
            None,
            UsageError,
            r"'logits' \(float32 \(\?, 3\)\); 'other'.*--output",
        ),
        (model(), "logit", UsageError, "no output or inner tensor 'logit'.*Did you mean 'logits'"),
        (model(), "x", UsageError, "no output or inner tensor 'x'"),
        (
            model(SOFT),
            None,
            UsageError,
            "'logits' is a softmax or sigmoid of 'front'.*--output 'front'",
        ),
        (model(SOFT), "logits", UsageError, "'logits' is a softmax or sigmoid of 'front'"),
        (model(outputs=[value("logits", ("N",))]), None, DataError, r"no scores.*float32 \(\?,\)"),
        (model(outputs=[value("logits", ("N", 3, 8, 8))]), None, DataError, "no scores"),
        (
            model(outputs=[value("logits", ("N", 3, 8, 8))]),
            "logits",
            DataError,
            "expected floating-point",
        ),
        (
            model(
                [node("MatMul", "x W", "l"), node("ArgMax", "l", "top")],
                outputs=[value("top", ("N", 1), TensorProto.INT64)],
            ),
            None,
            DataError,
            r"no scores; 'top' is int64 \(\?, 1\)",
        ),
        (
            model([node("MatMul", "x W", "logits"), node("ArgMax", "logits", "top")]),
            "top",
            DataError,
            "'top' is int64",
        ),
        (
            model(
                [node("SequenceConstruct", "x", "seq")],
                outputs=[helper.make_tensor_sequence_value_info("seq", FLOAT, None)],
            ),
            None,
            DataError,
            "'seq' is a sequence.*zipmap=False",
        ),
    ],
)
def test_an_output_that_is_no_logits_is_refused(
    tmp_path: Path, made: Any, output: str | None, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as raised:
        opened(made, tmp_path, output=output)
    assert type(raised.value) is error


def test_a_softmax_is_told_among_several(tmp_path: Path) -> None:
    made = model([*SOFT[:1], node("Softmax", "front", "p")], outputs=[value("p"), value("front")])
    with pytest.raises(
        UsageError, match=r"'p' \(float32 \(\?, 3\), a softmax or sigmoid of 'front'\)"
    ):
        opened(made, tmp_path)
    assert opened(made, tmp_path, output="front").output == "front"


@pytest.mark.parametrize(
    "broken",
    [
        node("Softmax", "", "logits"),
        node("Div", "x", "logits"),
        node("If", "x", "logits", then_branch=1.0, else_branch=2.0),
    ],
)
def test_a_malformed_node_is_the_model_s_fault(tmp_path: Path, broken: Any) -> None:
    with pytest.raises(DataError, match=r"malformed|does not take the model"):
        opened(model([broken]), tmp_path)


def test_maps_of_scikit_learn_are_named(tmp_path: Path) -> None:
    nodes = [
        node("MatMul", "x W", "l"),
        node("ZipMap", "l", "p", domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2]),
    ]
    maps = helper.make_value_info(
        "p",
        helper.make_sequence_type_proto(
            helper.make_map_type_proto(7, helper.make_tensor_type_proto(1, []))
        ),
    )
    made = model(nodes, outputs=[maps], imports=(helper.make_opsetid("ai.onnx.ml", 1),))
    with pytest.raises(DataError, match=r"'p' is a sequence of maps.*zipmap=False"):
        opened(made, tmp_path)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ([value("x", ("N", 4), TensorProto.STRING)], r"input 'x' is string \(\?, 4\)"),
        ([value("x", ("N", 4), BFLOAT16)], "input 'x' is bfloat16"),
        ([value("x", ())], "input 'x' is a single float32"),
        ([helper.make_tensor_sequence_value_info("x", FLOAT, None)], "input 'x' is a sequence"),
        ([value("x", (0, 4))], "no batch size in common; got 0 by 'x'"),
        (
            [value("x", (2, 4)), value("y", (3, 4))],
            "no batch size in common; got 2 by 'x', 3 by 'y'",
        ),
        ([value("W", (4, 3))], "takes no inputs"),
    ],
)
def test_inputs_that_cannot_be_given_are_refused(tmp_path: Path, inputs: Any, words: str) -> None:
    nodes = (
        [node("MatMul", "x W", "logits")]
        if inputs[0].name == "x"
        else [node("Identity", "W", "logits")]
    )
    with pytest.raises(DataError, match=words):
        opened(model(nodes, inputs), tmp_path)
