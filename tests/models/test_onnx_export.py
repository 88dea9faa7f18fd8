"""An adjustment appended to ONNX models: what NumPy makes of their logits, to the bit, and all else as it was."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("onnx")

import onnx

from lacal.adjustment import Adjustment
from lacal.models.onnx.export import adjusted_onnx
from lacal.models.onnx.session import CALIBRATION_KEY
from tests.models.onnx_adjusting import (
    NOTE,
    SCALE,
    SHIFT,
    adjusted,
    by_numpy,
    check_close,
)
from tests.models.onnx_models import (
    CLASSES,
    FLOAT_HEADS,
    built,
    features_for,
    gemm,
    node,
    numbers,
    outputs_of,
)
from tests.models.onnx_quantised import HEADS
from tests.models.onnx_softmax import in_branches, in_function, softmaxed

# Of those in HEADS whose sum need not be NumPy's to the bit.
INEXACT = {name for name in HEADS if "Q" in name or "Conv" in name} | {"dynamic", "half"}


@pytest.mark.parametrize("by", [SHIFT, SCALE], ids=["shift", "scale"])
@pytest.mark.parametrize("name", HEADS)
def test_appended_is_what_numpy_gives(name: str, by: Adjustment, tmp_path: Path) -> None:
    model = HEADS[name]()
    made = adjusted(model, tmp_path, by)
    assert made.exact == (name not in INEXACT)
    assert made.output is None
    assert (
        made.how == f"{'Mul and Add' if by is SCALE else 'Add'} appended behind the logits 'logits'"
    )
    features, original = features_for(model.model), model.model.SerializeToString()
    for optimised in (True, False):
        (logits,) = outputs_of(original, features, "logits", optimised=optimised)
        (got,) = outputs_of(made.content, features, "logits", optimised=optimised)
        expected = by_numpy(logits, by)
        assert got.dtype == expected.dtype
        check_close(got, expected)
        if made.exact:
            assert np.array_equal(got, expected)


def test_a_matmul_of_many_features_is_exact_and_so_is_one_with_large_scales(tmp_path: Path) -> None:
    weight = numbers(CLASSES, 2048)
    layer = node("MatMul", ["features", "w"], "logits")
    model = built([layer], {"w": weight.T.copy()}, weight, None, features=("N", 2048))
    features = features_for(model.model)
    (logits,) = outputs_of(model.model.SerializeToString(), features)
    for by in (SHIFT, Adjustment(SCALE.scale * 1e3, SCALE.offset * 1e3)):
        made = adjusted(model, tmp_path, by)
        assert np.array_equal(outputs_of(made.content, features)[0], by_numpy(logits, by))


WHOLE = {name: HEADS[name] for name in ("Gemm", "batch of 3", "QGemm", "Constant nodes")} | {
    "IR 3": FLOAT_HEADS["IR 3, weights listed as inputs"],
    "softmax": lambda: softmaxed("Softmax", listed=True),
    "local function": in_function,
    "branches": in_branches,
}
FOLDED = ("Gemm", "batch of 3", "IR 3", "softmax")


@pytest.mark.parametrize(
    ("name", "fold"),
    [(name, fold) for fold in (False, True) for name in WHOLE if not fold or name in FOLDED],
)
def test_all_but_the_logits_stays_as_it_was(name: str, fold: bool, tmp_path: Path) -> None:
    model = WHOLE[name]()
    path = model.save(tmp_path / "m.onnx")
    before = path.read_bytes()
    new = onnx.load_from_string(adjusted_onnx(path, "logits", SCALE, NOTE, fold=fold).content)
    old = onnx.load_from_string(before)
    assert path.read_bytes() == before
    assert list(new.graph.input) == list(old.graph.input)
    assert list(new.graph.output) == list(old.graph.output)
    said = {entry.key: entry.value for entry in new.metadata_props}
    assert said.pop(CALIBRATION_KEY) == NOTE
    assert said == {entry.key: entry.value for entry in old.metadata_props}
    assert new.graph.name == old.graph.name
    assert new.graph.doc_string == old.graph.doc_string
    names = {one.name for one in new.graph.node}
    assert {one.name for one in old.graph.node} <= names
    assert len(names) == len(new.graph.node)
    for one in (new, old):
        del one.metadata_props[:]
        one.ClearField("graph")
    assert new == old  # opset, IR, producer, doc string, functions


@given(
    st.lists(st.floats(-40, 40), min_size=CLASSES, max_size=CLASSES),
    st.lists(st.floats(-5, 5), min_size=CLASSES, max_size=CLASSES),
)
def test_any_adjustment_is_exact(
    tmp_path_factory: pytest.TempPathFactory, offsets: list[float], logs: list[float]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    model, by = gemm(), Adjustment(np.exp(logs), np.array(offsets))
    features = features_for(model.model)
    (logits,) = outputs_of(model.model.SerializeToString(), features)
    (got,) = outputs_of(adjusted(model, folder, by).content, features)
    assert np.array_equal(got, by_numpy(logits, by))


@pytest.mark.parametrize("name", ["Gemm", "MatMul", "dynamic", "half"])
def test_a_masked_class_is_never_predicted(name: str, tmp_path: Path) -> None:
    by = Adjustment(SCALE.scale, np.array([-np.inf, 0.5, -np.inf, 0.0]))
    model = HEADS[name]()
    features = features_for(model.model)
    (logits,) = outputs_of(model.model.SerializeToString(), features)
    (got,) = outputs_of(adjusted(model, tmp_path, by).content, features)
    assert np.array_equal(got, by_numpy(logits, by))
    assert set(got.argmax(1)) == {1, 3}


def test_external_data_come_into_the_file(tmp_path: Path) -> None:
    model, path = gemm(), tmp_path / "outside.onnx"
    onnx.save_model(
        onnx.load_from_string(model.model.SerializeToString()),
        str(path),
        save_as_external_data=True,
        size_threshold=0,
        location="outside.data",
    )
    content = adjusted_onnx(path, None, SCALE, NOTE, fold=False).content
    assert not any(one.external_data for one in onnx.load_from_string(content).graph.initializer)
    features = features_for(model.model)
    same = adjusted(model, tmp_path, SCALE).content
    assert np.array_equal(outputs_of(content, features), outputs_of(same, features))
