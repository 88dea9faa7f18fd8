"""ONNX models that cannot be adjusted: the exit class, and the words that matter."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("onnx")

from onnx import helper

from lacal.adjustment import Adjustment
from lacal.errors import DataError, LacalError, RunError, UsageError
from lacal.models.onnx import export as onnx_export
from lacal.models.onnx.export import adjusted_onnx
from lacal.models.onnx.head import onnx_head
from tests.models.onnx_adjusting import NOTE, SCALE, SHIFT, adjusted
from tests.models.onnx_models import BIAS, FEATURES, FLOAT_HEADS, WEIGHT, Built, built, gemm, node
from tests.models.onnx_quantised import HEADS
from tests.models.onnx_softmax import with_label


@pytest.mark.parametrize("fold", [False, True])
def test_adjusted_twice_is_refused(fold: bool, tmp_path: Path) -> None:
    path = tmp_path / "adjusted.onnx"
    path.write_bytes(adjusted(gemm(), tmp_path, SHIFT, fold=fold).content)
    with pytest.raises(DataError, match=r"adjusted\.onnx: is adjusted already"):
        adjusted_onnx(path, None, SHIFT, NOTE, fold=fold)


def dead_end() -> Built:
    layer = node("Gemm", ["features", "w", "b"], "logits", transB=1)
    other = node("Relu", ["logits"], "nothing")
    return built([layer, other], {"w": WEIGHT, "b": BIAS})


REFUSED: dict[str, tuple[Any, str | None, Adjustment, type[LacalError], str]] = {
    "width": (gemm, None, Adjustment.identity(3), DataError, "logits 'logits' have shape (?, 4), the adj"),
    "name": (gemm, "logit", SHIFT, UsageError, "no output or inner tensor 'logit'"),
    "several": (FLOAT_HEADS["shared, twice an output"], None, SHIFT, DataError, "choose one with --output"),
    "integers": (with_label, "label", SHIFT, DataError, "tensor 'label' holds no floats"),
    "input": (
        lambda: built([node("Identity", ["features"], "logits")], {}, outputs=[("features", 1, ("N", 4))]),
        "features", SHIFT, DataError, "'features' are not computed in the graph",
    ),
    "dead end": (dead_end, "nothing", SHIFT, UsageError, "no output depends on 'nothing'"),
    "range": (gemm, None, Adjustment(np.full(4, 1e300), np.zeros(4)), DataError, "outside the range of float32"),
    "old": (lambda: gemm(opset=6, ir=3), None, SHIFT, DataError, "is of opset 6; expected 7 or later"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_adjusted(name: str, tmp_path: Path) -> None:
    build, output, by, kind, words = REFUSED[name]
    with pytest.raises(kind) as caught:
        adjusted(build(), tmp_path, by, output)
    assert words in str(caught.value)
    assert caught.value.exit_code == 2


@settings(max_examples=150)
@given(
    st.sampled_from(sorted(HEADS)),
    st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=4),
    st.booleans(),
)
def test_no_changed_byte_leads_to_anything_but_an_error_of_lacals(
    tmp_path_factory: pytest.TempPathFactory, name: str, changes: list[tuple[int, int]], fold: bool
) -> None:
    content = bytearray(HEADS[name]().model.SerializeToString())
    for at, byte in changes:
        content[at % len(content)] = byte
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    path.write_bytes(content)
    for work in (
        lambda: onnx_head(path, "logits"),
        lambda: adjusted_onnx(path, "logits", SCALE, NOTE, fold=fold),
    ):
        with contextlib.suppress(LacalError):  # anything else fails the test
            work()


def test_too_large_for_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "SIZE_LIMIT", 100)
    with pytest.raises(UsageError, match=r"GiB of weights; .* one file of at most"):
        adjusted(gemm(), tmp_path, SHIFT)


def test_what_the_checker_says_is_a_note_where_the_original_fails_too(tmp_path: Path) -> None:
    model = built(
        [node("Relu", ["features"], "h"), node("Gemm", ["h", "w", "b"], "logits", transB=1)],
        {"w": WEIGHT, "b": BIAS},
    )
    model.model.graph.value_info.append(helper.make_tensor_value_info("h", 1, ["N", FEATURES + 1]))
    made = adjusted(model, tmp_path, SHIFT)
    assert made.notes[0].startswith("The ONNX checker objects to the original model already: ")
    assert len(made.notes[0]) < 200


def test_what_the_checker_says_of_the_adjusted_model_alone_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objections = iter([ValueError("bad\x1b"), None])
    monkeypatch.setattr(onnx_export, "_objection", lambda model: next(objections))
    with pytest.raises(RunError, match=r"does not pass the ONNX checker \(bad\\x1b\); nothing was"):
        adjusted(gemm(), tmp_path, SHIFT)
