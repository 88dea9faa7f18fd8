"""The rare ways in which an ONNX model is written, and those in which it is spoilt."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper, numpy_helper

from lacal.adjustment import Adjustment
from lacal.errors import DataError, RunError
from lacal.models import ModelOptions, model_head, model_kind
from lacal.models.onnx import external, file
from lacal.models.onnx.faults import load_fault
from lacal.models.onnx.file import load_onnx
from lacal.models.onnx.head import onnx_head
from tests.models.onnx_adjusting import SHIFT, adjusted
from tests.models.onnx_models import (
    BIAS,
    CLASSES,
    FEATURES,
    WEIGHT,
    Built,
    built,
    gemm,
    node,
    of,
)
from tests.models.onnx_small import beside, model, opened, saved, value
from tests.models.onnx_small import node as small

TURNED = WEIGHT.T.copy()
INTEGERS = of(np.arange(CLASSES * FEATURES).reshape(FEATURES, CLASSES) - 9, "i1")
OWN = "com.microsoft"
ONE, NONE = of(1.0, "f4"), of(0, "i1")


def behind(*steps: Any, weight: Any = WEIGHT, opset: int = 17, **tensors: Any) -> Built:
    """Gemm whose weight (k, d) comes as "v" out of these steps."""
    layer = node("Gemm", ["features", "v", "b"], "logits", transB=1)
    return built([*steps, layer], {"w": weight, "b": BIAS, **tensors}, WEIGHT, BIAS, opset=opset)


def step(operator: str, *inputs: str, **said: Any) -> Any:
    return node(operator, ["w", *inputs], "v", **said)


def int64(*values: int) -> Any:
    return of(values, "i8")


WHOLE: dict[str, Built] = {
    "squeezed by an input": behind(step("Squeeze", "a"), weight=WEIGHT[None], a=int64(0)),
    "squeezed everywhere": behind(step("Squeeze"), weight=WEIGHT[None, :, None]),
    "squeezed by an attribute": behind(step("Squeeze", axes=[0]), weight=WEIGHT[None], opset=12),
    "widened and squeezed": behind(
        node("Unsqueeze", ["w", "a"], "u"), node("Squeeze", ["u", "a"], "v"), a=int64(1)
    ),
    "reshaped, nought being nought": behind(step("Reshape", "s", allowzero=1), s=int64(CLASSES, FEATURES)),
    "flattened": behind(step("Flatten"), weight=WEIGHT[..., None]),
    "a conv without bias": built(
        [
            node("Conv", ["features", "w"], "maps", kernel_shape=[1, 1]),
            node("ReduceMean", ["maps", "a"], "pooled", keepdims=0),
            node("Identity", ["pooled"], "logits"),
        ],
        {"w": WEIGHT[..., None, None], "a": int64(2, 3)}, WEIGHT, None,
        features=("N", FEATURES, 3, 3), opset=18,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_a_rare_head_is_read(name: str, tmp_path: Path) -> None:
    made = WHOLE[name]
    head = onnx_head(made.save(tmp_path / "m.onnx"), None)
    assert np.allclose(head.weight, made.weight)
    assert (head.bias is None) == (made.bias is None)


def test_a_weight_rounded_to_bfloat16_is_read_as_rounded(tmp_path: Path) -> None:
    nodes = [node("Cast", ["w"], "h", to=TensorProto.BFLOAT16), node("Cast", ["h"], "v", to=1)]
    head = onnx_head(behind(*nodes).save(tmp_path / "m.onnx"), None)
    assert np.allclose(head.weight, WEIGHT, rtol=2**-8)
    assert not np.array_equal(head.weight, WEIGHT)


def dequantised(axis: int, scale: Any) -> Built:
    return behind(step("DequantizeLinear", "s", axis=axis), weight=INTEGERS.T.copy(), s=scale)


def quantised_gemm(inputs: list[str], **tensors: Any) -> Built:
    """QGemm that takes these, behind the quantised features."""
    layer = node("QGemm", inputs, "logits", domain=OWN)
    stored = {"w": INTEGERS, "s": ONE, "z": NONE, **tensors}
    return built([node("QuantizeLinear", ["features", "s", "z"], "q"), layer], stored)


def integer_product(*nodes: Any, inputs: tuple[str, ...] = ("q", "w"), **tensors: Any) -> Built:
    first = node("DynamicQuantizeLinear", ["features"], "q", "fs", "fz")
    return built(
        [first, node("MatMulInteger", list(inputs), "i"), *nodes], {"w": INTEGERS, **tensors}
    )


def constant(**said: Any) -> Built:
    layer = node("Gemm", ["features", "v", "b"], "logits", transB=1)
    return built([node("Constant", [], "v", **said), layer], {"b": BIAS})


QUANTITIES = ["q", "s", "z", "w", "s", "z"]
CAST = node("Cast", ["i"], "c", to=1)
REFUSED: dict[str, Built] = {
    "scales along no axis": dequantised(7, of(np.ones(FEATURES), "f4")),
    "scales that do not fit": dequantised(0, of(np.ones(3), "f4")),
    "scales of other sides": dequantised(0, of(np.ones((CLASSES, 5)), "f4")),
    "a step that takes nothing": behind(node("Identity", [""], "v")),
    "turned in no way": behind(step("Transpose", perm=[0, 5])),
    "squeezed by what is computed": behind(step("Squeeze", "features")),
    "unsqueezed without saying where": behind(step("Unsqueeze")),
    "a text as weight": constant(value_string="weights"),
    "turned by onnxruntime": built([node("FusedMatMul", ["features", "w"], "logits", domain=OWN, transBatchB=1)], {"w": TURNED}),
    "no matrix": built([node("MatMul", ["features", "w"], "logits")], {"w": TURNED[None].repeat(2, 0)}),
    "a conv with a computed bias": built([node("Identity", ["b"], "c"), node("Sin", ["b"], "d"), node("Conv", ["features", "w", "d"], "logits")], {"w": WEIGHT[..., None, None], "b": BIAS}, features=("N", FEATURES, 1, 1)),
    "QGemm by a computed weight": quantised_gemm(["q", "s", "z", "features", "s", "z"]),
    "QGemm with a computed bias": quantised_gemm([*QUANTITIES, "features"]),
    "QGemm with too short a bias": quantised_gemm([*QUANTITIES, "short"], short=of(np.ones(CLASSES - 1), "i4")),
    "QGemm with scales of two lengths": quantised_gemm(["q", "two", "z", "w", "three", "z", "b"], two=of(np.ones(2), "f4"), three=of(np.ones(CLASSES), "f4"), b=of(np.ones(CLASSES), "i4")),
    "no integers": built([node("Mul", ["a", "a"], "logits")], {"a": BIAS[None]}),
    "integers by a computed weight": integer_product(CAST, node("Mul", ["c", "fs"], "logits"), inputs=("q", "q")),
    "integers without a zero": integer_product(CAST, node("Mul", ["c", "odd"], "logits"), odd=of(np.ones(3), "f4")),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_head_that_cannot_be_read_is_named(name: str, tmp_path: Path) -> None:
    made = REFUSED[name]
    with pytest.raises(
        DataError, match=r"the logits come from|numbers of tensor 'v' cannot be read"
    ):
        onnx_head(made.save(tmp_path / "m.onnx"), None)


def test_an_attribute_of_no_type_is_none(tmp_path: Path) -> None:
    made = behind(node("Transpose", ["w"], "v"), weight=TURNED)
    made.model.graph.node[0].attribute.add(name="perm", type=0)
    assert np.array_equal(onnx_head(made.save(tmp_path / "m.onnx"), None).weight, WEIGHT)


def test_a_bias_is_the_integers_own(tmp_path: Path) -> None:
    """QGemm and the fused products without a bias, and integers without a zero point."""
    for made in (
        quantised_gemm(QUANTITIES),
        integer_product(CAST, node("Mul", ["c", "fs"], "logits")),
        built(
            [
                node("DynamicQuantizeLinear", ["features"], "q", "fs", "fz"),
                node("MatMulIntegerToFloat", ["q", "w", "fs", "s", "fz"], "logits", domain=OWN),
            ],
            {"w": INTEGERS, "s": ONE},
        ),
    ):
        head = onnx_head(made.save(tmp_path / "m.onnx"), None)
        assert head.bias is None
        assert np.array_equal(head.weight, INTEGERS.T)


SMALL: dict[str, tuple[Any, str]] = {
    "no type": (model(inputs=[value("x", ("N", 4), 0)]), "input 'x' is of no declared type|None"),
    "an unknown type": (model(outputs=[value("logits", ("N", 3), 99)]), "is of unknown type 99"),
    "a logarithm of an input": (
        model([small("Log", "x", "logits")], outputs=[value("logits", ("N", 4))]),
        "",
    ),
    "an input as output": (
        model([small("Identity", "x", "y")], outputs=[value("x", ("N", 4))]),
        "",
    ),
    "probabilities of another sum": (
        model(
            [
                small("Exp", "x", "e"),
                small("Relu", "x", "r"),
                small("ReduceSum", "r", "s"),
                small("Relu", "e", "t"),
                small("Div", "e t", "logits"),
            ],
            outputs=[value("logits", ("N", 4))],
        ),
        "",
    ),
}


@pytest.mark.parametrize("name", SMALL)
def test_rare_graphs(name: str, tmp_path: Path) -> None:
    made, words = SMALL[name]
    if not words:
        assert opened(made, tmp_path).run([np.ones((2, 4), np.float32)]).shape == (2, 4)
        return
    with pytest.raises(DataError, match=words):
        opened(made, tmp_path)


def test_an_input_without_a_shape(tmp_path: Path) -> None:
    made = model()
    made.graph.input[0].type.tensor_type.ClearField("shape")
    found = opened(made, tmp_path)
    with pytest.raises(
        DataError, match=r"input 'x' takes float32, of no declared shape; got float64"
    ):
        found.run([np.ones((2, 4))])


def test_outputs_that_are_left_out_and_graphs_in_lists(tmp_path: Path) -> None:
    made = model([small("MatMul", "x W", "l"), helper.make_node("Dropout", ["l"], ["logits", ""])])
    assert opened(made, tmp_path).run([np.ones((2, 4), np.float32)]).shape == (2, 3)
    inner = helper.make_graph([small("Foo", "x", "y", domain="my.ops")], "g", [], [])
    made.graph.node.append(helper.make_node("Bar", [], ["z"], graphs=[inner], domain="own"))
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(of([1.0], "f4"), "S"), numpy_helper.from_array(int64(2)), [4]
    )
    made.graph.sparse_initializer.append(sparse)
    path = saved(made, tmp_path / "wide.onnx")
    assert file.foreign_operators(load_onnx(path)) == {"own": "Bar", "my.ops": "Foo"}
    assert {one.name for one in file.all_tensors(made)} >= {"W", "S"}


@pytest.mark.parametrize(
    "content",
    [b"\x08", b"\x08\x8a", b"\x3a\x05abc", b"\x08\x0a\x50\x00", b"\x08\x0a" + b"\xff" * 12, b"\x08\x0a\x3a"],
)  # fmt: skip
def test_what_is_no_model(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    assert model_kind(path) is None
    with pytest.raises(DataError, match="is no model"):
        model_head(path, ModelOptions())


def test_too_large_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "SIZE_LIMIT", 100)
    with pytest.raises(DataError, match="more than an ONNX file can hold"):
        load_onnx(saved(model(), tmp_path / "m.onnx"))


@pytest.mark.parametrize(
    ("fault", "words"),
    [(MemoryError(), "do not fit into memory"), (OSError(5, "Input/output error"), "could not be read")],
)  # fmt: skip
def test_a_read_that_fails(
    fault: Exception, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = beside(model(), tmp_path)

    def fail(*_: Any) -> Any:
        raise fault

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", fail)
        with pytest.raises(RunError, match=words):
            load_onnx(path)
    real = Path.open

    def opens(one: Path, mode: str = "r", **more: Any) -> Any:
        return fail() if one.suffix == ".bin" else real(one, mode, **more)

    monkeypatch.setattr(Path, "open", opens)
    with pytest.raises(RunError, match=f"external data {words}"):
        load_onnx(path)


def test_data_that_shrink_while_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = beside(model(), tmp_path)
    real = external._checked

    def checked(*given: Any) -> Any:
        found = real(*given)
        (tmp_path / "weights.bin").write_bytes(b"")
        return found

    monkeypatch.setattr(external, "_checked", checked)
    with pytest.raises(RunError, match="were shortened while they were read"):
        load_onnx(path)


def test_an_operator_without_a_name_is_the_models_fault() -> None:
    fault = load_fault(Path("m"), Exception("No opset import for domain ''"), "1.0", {}, cuda=False)
    assert isinstance(fault, DataError)
    assert "does not take the model" in str(fault)


def test_folding_into_a_head_of_another_width(tmp_path: Path) -> None:
    other = Adjustment(np.ones(CLASSES + 1), np.zeros(CLASSES + 1))
    made = gemm()
    made.model.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "k"
    with pytest.raises(DataError, match="its head has 4 classes, the adjustment has 5"):
        adjusted(made, tmp_path, other, fold=True)


def test_folding_leaves_what_others_take(tmp_path: Path) -> None:
    """Of IR 3, where every weight is listed among the inputs: the old one stays there, the new one stands beside it."""
    layer = node("Gemm", ["features", "w", "v"], "logits", transB=1)
    again = node("Identity", ["v"], "spare")
    shown = [("logits", 1, ("N", CLASSES)), ("spare", 1, (CLASSES,))]
    for nodes, bias in (([layer], BIAS), ([layer, again], BIAS), ([layer], BIAS[:1])):
        outputs = shown[: len(nodes)]
        made = built(nodes, {"w": WEIGHT, "v": bias}, outputs=outputs, ir=3, also_inputs=["w", "v"])
        found = onnx.load_from_string(adjusted(made, tmp_path, SHIFT, fold=True).content)
        assert [one.name for one in found.graph.input] == ["features", "w", "v"]
        assert [one.name for one in found.graph.initializer] == ["w", "v"]


def test_a_name_that_is_taken_is_not_taken_again(tmp_path: Path) -> None:
    layer = node("Gemm", ["features", "w"], "logits", transB=1)
    taken = node("Identity", ["features"], "logits/lacal_bias")
    made = built([taken, layer], {"w": WEIGHT}, WEIGHT, None)
    found = onnx.load_from_string(adjusted(made, tmp_path, SHIFT, fold=True).content)
    assert "logits/lacal_bias_" in found.graph.node[-1].input


def test_an_output_of_no_declared_type(tmp_path: Path) -> None:
    """Nothing says what the logits are, and nothing can be worked out: they are taken for float32."""
    made = gemm()
    made.model.graph.output[0].type.ClearField("value")
    made.model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = FEATURES + 1
    content = adjusted(made, tmp_path, SHIFT).content
    assert "Add" in {one.op_type for one in onnx.load_from_string(content).graph.node}
    made.model.graph.node.append(node("Foo", ["features"], "other", domain="imported.by.none"))
    adjusted(made, tmp_path, SHIFT)
