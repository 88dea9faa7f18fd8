"""ONNX models as they run: against NumPy, and all that they or their inputs may get wrong."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper

from lacal.errors import DataError, MissingExtra, UsageError
from lacal.models import ModelOptions, Port
from lacal.models.onnx.session import open_onnx
from tests.models.onnx_small import WEIGHT, beside, model, node, opened, saved, value
from tests.models.test_onnx_file import linked_cache

X: NDArray[Any] = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
FLOAT, FLOAT16, BFLOAT16 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16


def close(scores: NDArray[Any], expected: NDArray[Any]) -> bool:
    return scores.dtype == np.float32 and np.allclose(scores, expected, rtol=1e-5, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 6),
    width=st.integers(1, 5),
    classes=st.integers(2, 6),
    order=st.sampled_from(["C", "F", "strided", "big-endian"]),
    gap=st.sampled_from([None, 0, 3]),
    threads=st.sampled_from([None, 1, 2]),
    seed=st.integers(0, 999),
)
def test_scores_are_those_of_numpy(
    tmp_path_factory: pytest.TempPathFactory,
    rows: int,
    width: int,
    classes: int,
    order: str,
    gap: int | None,
    threads: int | None,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((width, classes)).astype(np.float32)
    x = rng.standard_normal((2 * rows, width)).astype(np.float32)[::2]
    made = model(inputs=[value("x", ("N", width))], outputs=[value("logits", None)])
    del made.graph.initializer[:]
    made.graph.initializer.append(
        helper.make_tensor("W", FLOAT, weight.shape, weight.tobytes(), raw=True)
    )
    folder = tmp_path_factory.mktemp("run")
    path = saved(made, folder / "m.onnx") if gap is None else beside(made, folder, gap=gap)
    given_as = {
        "C": np.ascontiguousarray(x),
        "F": np.asfortranarray(x),
        "big-endian": x.astype(">f4"),
    }
    scores = open_onnx(path, ModelOptions(threads=threads)).run([given_as.get(order, x)])
    assert scores.flags.writeable
    assert close(scores, x @ weight)


def test_a_model_says_what_it_is(tmp_path: Path) -> None:
    made = model(metadata={"class_names": '["a", "b", "c"]', "lacal.calibration": '{"tau": 1}'})
    found = opened(made, tmp_path)
    assert found.inputs == (Port("x", "float32", (None, 4)),)
    assert (found.kind, found.output, found.batch_size) == ("onnx", "logits", None)
    assert found.class_names == ("a", "b", "c")
    assert found.calibration == '{"tau": 1}'
    where = found.runs_on
    assert (where.device, where.provider, where.precision) == (
        "cpu",
        "CPUExecutionProvider",
        "float32",
    )
    assert where.versions["onnxruntime"]
    assert where.notes == ()


@pytest.mark.parametrize(
    ("key", "text", "names"),
    [
        ("classes", '["a", "b", "c"]', ("a", "b", "c")),
        ("names", '["a", "b"]', None),
        ("class_names", '["a", "b"]', None),
        ("names", "{0: 'a', 1: 'b', 2: 'c'}", None),
        ("class_names", "[1, 2, 3]", None),
    ],
)
def test_names_are_taken_only_where_they_fit(
    tmp_path: Path, key: str, text: str, names: tuple[str, ...] | None
) -> None:
    assert opened(model(metadata={key: text}), tmp_path).class_names == names


def test_several_inputs_go_in_by_order_and_stored_ones_are_not_asked_for(tmp_path: Path) -> None:
    made = model(
        [
            node("Cast", "i", "f", to=FLOAT),
            node("Add", "x f", "s"),
            node("MatMul", "s W", "logits"),
        ],
        [value("x", ("N", 4)), value("W", (4, 3)), value("i", ("N", 4), TensorProto.INT32)],
    )
    found = opened(made, tmp_path)
    assert [(port.name, port.dtype) for port in found.inputs] == [("x", "float32"), ("i", "int32")]
    more = np.arange(20, dtype=np.int32).reshape(5, 4)
    assert close(found.run([X, more]), (X + more) @ WEIGHT)


@pytest.mark.parametrize("kind", [FLOAT16, BFLOAT16])
@pytest.mark.parametrize("inner", [True, False])
def test_short_floats_are_widened(tmp_path: Path, kind: int, inner: bool) -> None:
    nodes = [node("MatMul", "x W", "l"), node("Cast", "l", "short", to=kind)]
    back = node("Cast", "short", "logits", to=FLOAT)
    found = opened(
        model(
            [*nodes, back] if inner else nodes,
            outputs=None if inner else [value("short", kind=kind)],
        ),
        tmp_path,
        output="short",
    )
    assert found.output == "short"
    scores = found.run([X])
    assert scores.dtype == np.float32
    assert np.allclose(scores, X @ WEIGHT, rtol=1e-2, atol=1e-2)


def test_sides_of_one_behind_the_classes_are_dropped(tmp_path: Path) -> None:
    nodes = [node("MatMul", "x W", "l"), node("Reshape", "l shape", "logits")]
    shape = np.array([-1, 3, 1, 1], np.int64)
    found = opened(
        model(nodes, outputs=[value("logits", ("N", 3, 1, 1))], weights={"shape": shape}), tmp_path
    )
    assert close(found.run([X]), X @ WEIGHT)


def test_scores_outlive_the_next_batch(tmp_path: Path) -> None:
    found = opened(model(), tmp_path)
    first = found.run([X])
    kept = first.copy()
    first += 1
    assert close(found.run([X]), kept)
    found.run([-X])
    assert np.array_equal(first, kept + 1)


@pytest.mark.parametrize("cache", [True, False])
def test_an_inner_tensor_is_taken_also_with_weights_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: bool
) -> None:
    path = linked_cache(tmp_path) if cache else None
    if path is None:
        made = model([node("MatMul", "x W", "a/b:0"), node("Relu", "a/b:0", "logits")])
        path = beside(made, tmp_path)
    monkeypatch.chdir(tmp_path.parent)
    found = open_onnx(path, ModelOptions(output=None if cache else "a/b:0"))
    assert close(found.run([X]), X @ WEIGHT)


def test_a_name_that_is_not_utf8_and_a_suffix_that_misleads_do_no_harm(tmp_path: Path) -> None:
    for name in (b"m\xff.onnx", b"m.ort"):
        path = saved(model(), tmp_path / name.decode(errors="surrogateescape"))
        assert close(open_onnx(path, ModelOptions()).run([X]), X @ WEIGHT)


def test_a_fixed_batch_is_declared_and_held_to(tmp_path: Path) -> None:
    found = opened(model(inputs=[value("x", (5, 4))]), tmp_path)
    assert found.batch_size == 5
    assert close(found.run([X]), X @ WEIGHT)
    with pytest.raises(DataError, match=r"takes float32 \(5, 4\); got float32 \(3, 4\)"):
        found.run([X[:3]])
    assert opened(model(inputs=[value("x", (1 << 24, 4))]), tmp_path).batch_size == 1 << 24
    said = r"declares batches of 16,777,217 rows, expected at most 16,777,216; export it with a dynamic"
    with pytest.raises(DataError, match=said):
        opened(model(inputs=[value("x", ((1 << 24) + 1, 4))]), tmp_path)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ([X.astype(np.float64)], r"input 'x' takes float32 \(\?, 4\); got float64 \(5, 4\)"),
        ([X.astype(np.int64)], "got int64"),
        ([X[:, :3]], r"got float32 \(5, 3\)"),
        ([X[None]], r"got float32 \(1, 5, 4\)"),
        ([np.float32(1).reshape(())], "got a single float32"),
        ([X, X], "got 2 arrays, expected one for each of its 1 inputs"),
        ([], "got 0 arrays"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, arrays: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        opened(model(), tmp_path).run(arrays)


def test_inputs_of_unequal_length_are_refused(tmp_path: Path) -> None:
    made = model([node("Add", "x y", "logits")], [value("x", ("N", 3)), value("y", ("N", 3))])
    with pytest.raises(DataError, match=r"input 'y'.*\(1, 3\) in a batch of 5 rows"):
        opened(made, tmp_path).run([X[:, :3], X[:1, :3]])


RESHAPED = [node("MatMul", "x W", "l"), node("Reshape", "l shape", "logits")]


@pytest.mark.parametrize(
    ("shape", "declared", "words"),
    [
        ([-1], None, r"'logits' is float32 \(15,\) for 5 rows"),
        ([-1, 3, 1, 5], None, r"'logits' is float32 \(1, 3, 1, 5\)"),
        ([3, -1], None, r"'logits' is float32 \(3, 5\) for 5 rows; expected .*\(5, classes\)"),
        ([-1, 3], ("N", 7), "declares 7 classes and gives 3"),
        ([-1, 3, 1], ("N", 3, 1, 1), None),
    ],
)
def test_an_output_is_held_to_its_shape_and_a_lie_is_found(
    tmp_path: Path, shape: list[int], declared: Any, words: str | None
) -> None:
    sides = {"shape": np.array(shape, np.int64)}
    found = opened(model(RESHAPED, outputs=[value("logits", declared)], weights=sides), tmp_path)
    if words is None:
        assert close(found.run([X]), X @ WEIGHT)
        return
    with pytest.raises(DataError, match=words):
        found.run([X])


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_the_file_decides_its_precision(tmp_path: Path, precision: str) -> None:
    with pytest.raises(UsageError, match=f"got --precision {precision}"):
        opened(model(), tmp_path, precision=precision)


def test_without_onnxruntime_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"needs onnxruntime.*lacal\[onnx\]"):
        opened(model(), tmp_path)
