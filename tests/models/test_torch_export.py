"""An adjusted model gives what NumPy makes of the original's logits."""

import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacal.adjustment import Adjustment
from lacal.errors import DataError, UsageError
from lacal.models.torch.archive import archive_class_names, archive_note, check_exported
from lacal.models.torch.export import adjusted_torch
from tests.models.torch_adjusting import (
    CLASSES,
    MASKED,
    NOTE,
    PLAIN,
    PROGRAM_KINDS,
    SCALED,
    SCRIPT_KINDS,
    adjusted,
    by_numpy,
    fed,
    saved,
    scores,
)

pytest.importorskip("torch")

import torch
from torch import nn

APPENDED = [
    *(("net", kind) for kind in (*SCRIPT_KINDS, *PROGRAM_KINDS)),
    *(("bare", kind) for kind in ("scripted", "frozen", "exported", "decomposed")),
    *(("pair", kind) for kind in ("scripted", "traced", "frozen", "exported")),
    *(("wide", kind) for kind in ("scripted", "exported")),
    *(("bfloat16", kind) for kind in ("scripted", "exported")),
]


@pytest.mark.parametrize(("name", "kind"), APPENDED)
@pytest.mark.parametrize("adjustment", [PLAIN, MASKED], ids=["plain", "masked"])
def test_appended_equals_numpy_to_the_bit(
    name: str, kind: str, adjustment: Adjustment, tmp_path: Path
) -> None:
    original = saved(name, kind)
    made = adjusted(tmp_path, original, adjustment, trust=kind in SCRIPT_KINDS)
    assert made.exact
    for rows in (3,) if kind == "static" else (1, 3, 7):
        inputs = fed(name, rows)
        wanted = by_numpy(scores(original, kind, inputs), adjustment)
        np.testing.assert_array_equal(scores(made.content, kind, inputs), wanted)
    assert bool(made.notes) == (name == "bfloat16")


@pytest.mark.parametrize("kind", ["scripted", "exported"])
@settings(max_examples=6)
@given(
    scale=st.lists(st.floats(0.01, 100), min_size=CLASSES, max_size=CLASSES),
    offset=st.lists(st.floats(-1e4, 1e4) | st.just(-np.inf), min_size=CLASSES, max_size=CLASSES),
)
def test_any_adjustment_is_appended_to_the_bit(
    kind: str,
    scale: list[float],
    offset: list[float],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    adjustment, original = Adjustment(np.array(scale), np.array(offset)), saved("pair", kind)
    made = adjusted(tmp_path_factory.mktemp("any"), original, adjustment)
    inputs = fed("pair", 4)
    wanted = by_numpy(scores(original, kind, inputs), adjustment)
    np.testing.assert_array_equal(scores(made.content, kind, inputs), wanted)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("net", kind) for kind in ("scripted", "traced", "exported", "static", "decomposed")),
        *(("pair", kind) for kind in ("traced", "decomposed")),
    ],
)
@pytest.mark.parametrize("adjustment", [PLAIN, MASKED], ids=["plain", "masked"])
def test_folded_equals_numpy_but_for_rounding(
    name: str, kind: str, adjustment: Adjustment, tmp_path: Path
) -> None:
    original = saved(name, kind)
    made = adjusted(tmp_path, original, adjustment, fold=True, trust=kind in SCRIPT_KINDS)
    assert not made.exact
    assert ("weight and bias" in made.how) == (adjustment is not PLAIN)
    for rows in (3,) if kind == "static" else (1, 3, 7):
        inputs = fed(name, rows)
        wanted = by_numpy(scores(original, kind, inputs), adjustment)
        found = scores(made.content, kind, inputs)
        possible = np.isfinite(adjustment.offset)
        assert np.isneginf(found[:, ~possible]).all()
        found, wanted = found[:, possible], wanted[:, possible]
        assert (np.abs(found - wanted) <= 4e-6 * np.maximum(1, np.abs(wanted))).all()


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "bfloat16 softmax"])
def test_an_exported_softmax_stays_behind_the_adjustment(name: str, tmp_path: Path) -> None:
    original, inputs = saved(name, "exported"), fed(name, 7)
    made = adjusted(tmp_path, original, SCALED, trust=False)
    assert f"in front of aten::{name.split()[-1]}" in made.how
    bare = saved("bfloat16" if "bfloat16" in name else "net", "exported")
    logits = torch.from_numpy(by_numpy(scores(bare, "exported", inputs), SCALED))
    wanted = logits.log_softmax(1) if name == "log_softmax" else logits.softmax(1)
    np.testing.assert_array_equal(scores(made.content, "exported", inputs), wanted.numpy())


@pytest.mark.parametrize("output", [None, "probabilities", "linear"])
def test_a_softmax_among_outputs_follows_its_logits(output: str | None, tmp_path: Path) -> None:
    original, inputs = saved("both", "exported"), fed("both", 7)
    made = adjusted(tmp_path, original, PLAIN, output=output)
    logits = scores(saved("net", "exported"), "exported", inputs)
    wanted = torch.from_numpy(by_numpy(logits, PLAIN)).softmax(1).numpy()
    found = scores(made.content, "exported", inputs, "probabilities")
    np.testing.assert_array_equal(found, wanted)
    for content in (original, made.content):
        means = scores(content, "exported", inputs, "means")
        np.testing.assert_array_equal(means, inputs[0].mean((1, 2, 3)).numpy())
    with pytest.raises(DataError, match=r"'mean_1' has shape .*expected computed logits"):
        adjusted(tmp_path, original, PLAIN, output="means")
    with pytest.raises(UsageError, match="no output 'image'"):
        adjusted(tmp_path, original, PLAIN, output="image")


@pytest.mark.parametrize(("name", "output"), [("tuple", "1"), ("dict", "scores"), ("list", "1")])
@pytest.mark.parametrize("kind", ["scripted", "exported"])
def test_one_of_several_outputs_is_adjusted(
    name: str, output: str, kind: str, tmp_path: Path
) -> None:
    original, inputs = saved(name, kind), fed(name, 7)
    made = adjusted(tmp_path, original, MASKED, output=output)
    key: Any = int(output) if output.isdigit() else output
    wanted = by_numpy(scores(original, kind, inputs, key), MASKED)
    np.testing.assert_array_equal(scores(made.content, kind, inputs, key), wanted)
    other: Any = 0 if isinstance(key, int) else "means"
    means = inputs[0].mean((1, 2, 3)).numpy()
    np.testing.assert_array_equal(scores(made.content, kind, inputs, other), means)
    if kind == "scripted":
        with pytest.raises(UsageError, match=r"several outputs.*--output NAME"):
            adjusted(tmp_path, original, MASKED)
    with pytest.raises(UsageError, match="no output 'image'"):
        adjusted(tmp_path, original, MASKED, output="image")


@pytest.mark.parametrize("kind", ["scripted", "exported"])
def test_other_arguments_are_passed_on(kind: str, tmp_path: Path) -> None:
    if kind == "exported":  # its integer is fixed; it has a constant in front of its inputs
        original = saved("lifted", kind)
        made = adjusted(tmp_path, original, PLAIN, trust=False)
        inputs = fed("net", 3)
        wanted = by_numpy(scores(original, kind, inputs), PLAIN)
        np.testing.assert_array_equal(scores(made.content, kind, inputs), wanted)
        return
    source = "def forward(self, x: Tensor, bias: Optional[Tensor] = None, *, factor: int = 2):\n"
    source += "    y = x * factor\n    return y if bias is None else y + bias\n"
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.jit.script(nn.Module())
        module.define(source)
        torch.jit.save(module, content)
        made = adjusted(tmp_path, content.getvalue(), PLAIN)
        again = torch.jit.load(io.BytesIO(made.content))
    rows, more = torch.randn(2, CLASSES), torch.randn(CLASSES)
    offset = torch.from_numpy(PLAIN.offset).float()
    assert torch.equal(again(rows), rows * 2 + offset)
    assert torch.equal(again(rows, more, factor=3), rows * 3 + more + offset)
    assert not again.training


@pytest.mark.parametrize(
    ("kind", "fold"),
    [("scripted", False), ("exported", False), ("traced", True), ("exported", True)],
)
def test_note_and_names_travel_and_no_model_is_adjusted_twice(
    kind: str, fold: bool, tmp_path: Path
) -> None:
    made = adjusted(tmp_path, saved("net", kind), PLAIN, fold=fold)
    path = tmp_path / "adjusted"
    path.write_bytes(made.content)
    assert archive_note(path) == NOTE
    assert archive_class_names(path) == ("a", "b", "c", "d", "e")
    if kind == "exported":
        check_exported(path, trust=False)
        assert torch.export.load(io.BytesIO(made.content)).graph_signature.user_outputs == (
            "linear",
        )
    with pytest.raises(DataError, match="is adjusted already"):
        adjusted_torch(path, PLAIN, NOTE, fold=fold, trust=True, output=None)


def test_other_extra_files_travel_too(tmp_path: Path) -> None:
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.jit.load(io.BytesIO(saved("net", "scripted")))
        torch.jit.save(module, content, _extra_files={"sub/raw": b"\xff\x00"})
    made = adjusted(tmp_path, content.getvalue(), PLAIN)
    with zipfile.ZipFile(io.BytesIO(made.content)) as archive:
        (name,) = [one for one in archive.namelist() if one.endswith("/extra/sub/raw")]
        assert archive.read(name) == b"\xff\x00"


@pytest.mark.parametrize("kind", ["traced", "exported"])
def test_float64_stays_float64(kind: str, tmp_path: Path) -> None:
    original, inputs = saved("float64", kind), fed("float64", 7)
    made = adjusted(tmp_path, original, SCALED)
    assert not made.exact
    found, logits = scores(made.content, kind, inputs), scores(original, kind, inputs)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, SCALED.apply(logits), rtol=1e-6, atol=1e-6)
