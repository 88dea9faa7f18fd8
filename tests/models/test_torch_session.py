"""TorchScript and exported programs, run: the same scores as the module itself, and every fault named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacal.errors import DataError, RunError, UsageError
from lacal.models import Model, ModelOptions, Port, open_model
from tests.models.torch_models import (
    CLASSES,
    FEATURES,
    IMAGE,
    Module,
    exported,
    inputs_of,
    logits_of,
    module,
    quietly,
    saved_program,
    scripted,
    torch,
    traced,
    written,
)

KINDS: dict[str, Callable[[str], bytes]] = {
    "exported": exported,
    "scripted": scripted,
    "traced": traced,
}
TRUST = ModelOptions(trust=True, device="cpu")


def opened(folder: Path, content: bytes, **options: Any) -> Model:
    return open_model(written(folder, content), ModelOptions(**{"trust": True, **options}))


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> list[Model]:
    folder = tmp_path_factory.mktemp("linear")
    return [
        open_model(written(folder, build("linear"), kind), TRUST) for kind, build in KINDS.items()
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["linear", "bias-free", "conv", "dropout", "two inputs", "wide"])
def test_scores_are_the_modules_own(kind: str, name: str, tmp_path: Path) -> None:
    model = opened(tmp_path, KINDS[kind](name), trust=kind != "exported")
    for rows in (1, 2, 7):
        inputs = inputs_of(name, rows, seed=rows)
        scores = model.run(inputs)
        assert scores.dtype == np.float32
        expected = logits_of(name, inputs).reshape(rows, CLASSES)
        np.testing.assert_allclose(scores, expected, rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(scores, model.run(inputs))
        np.testing.assert_array_equal(scores, model.run_on_device(inputs).numpy())  # type: ignore[attr-defined]


@given(rows=st.integers(1, 40), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_any_batch_in_every_kind(linear: list[Model], rows: int, seed: int) -> None:
    inputs = inputs_of("linear", rows, seed)
    scores = [model.run(inputs) for model in linear]
    for other in scores[1:]:
        np.testing.assert_array_equal(scores[0], other)


def test_ports(tmp_path: Path) -> None:
    two = opened(tmp_path, exported("two inputs"))
    assert two.inputs == (
        Port("features", "float32", (None, FEATURES)),
        Port("offset", "float32", (None, CLASSES)),
    )
    assert (two.kind, two.batch_size, two.output) == ("exported", None, "output")
    fixed = opened(tmp_path, exported("conv", batch=4))
    assert fixed.inputs == (Port("input", "float32", (4, *IMAGE)),)
    assert fixed.batch_size == 4
    script = opened(tmp_path, scripted("two inputs"))
    assert script.inputs == (Port("features", None, None), Port("offset", None, None))
    assert (script.kind, script.batch_size) == ("torchscript", None)


def test_where_it_runs(tmp_path: Path) -> None:
    runs_on = opened(tmp_path, exported("linear"), device="cpu", threads=1).runs_on
    assert (runs_on.device, runs_on.provider, runs_on.precision) == ("cpu", "torch", "float32")
    assert runs_on.versions == {"torch": torch.__version__}
    assert runs_on.notes == ()
    assert torch.get_num_threads() == 1


def test_scores_belong_to_the_caller(linear: list[Model], tmp_path: Path) -> None:
    inputs = inputs_of("linear", 3)
    before = inputs[0].copy()
    inputs[0].flags.writeable = False  # torch warns of such memory, and warnings are errors here
    for model in linear:
        first = model.run(inputs)
        again = first.copy()
        first[:] = np.nan
        np.testing.assert_array_equal(model.run(inputs), again)
    np.testing.assert_array_equal(inputs[0], before)
    identity = opened(tmp_path, quietly(torch.jit.script, torch.nn.Identity()))
    given = inputs_of("linear", 3)
    identity.run(given)[:] = np.nan
    np.testing.assert_array_equal(given[0], before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "output"), [("several", "1"), ("named", "scores")])
def test_one_of_several_outputs(kind: str, name: str, output: str, tmp_path: Path) -> None:
    inputs = inputs_of(name, 3)
    with pytest.raises(
        UsageError, match=rf"2 outputs that may be the scores: .*{output}.*--output"
    ):
        opened(tmp_path, KINDS[kind](name)).run(inputs)
    model = opened(tmp_path, KINDS[kind](name), output=output)
    np.testing.assert_array_equal(model.run(inputs), logits_of("log-linear", inputs))
    assert model.output == output
    wrong = {"several": "2", "named": "probabilities"}[name]
    with pytest.raises(UsageError, match=f"output '{wrong}' is a softmax"):
        opened(tmp_path, KINDS[kind](name), output=wrong).run(inputs)
    with pytest.raises(UsageError, match=r"has no output 'score'; its outputs are "):
        opened(tmp_path, KINDS[kind](name), output="score").run(inputs)
    if name == "several":
        with pytest.raises(DataError, match=r"output '0' is float32 \(3,\) for a batch of 3 rows"):
            opened(tmp_path, KINDS[kind](name), output="0").run(inputs)


@pytest.mark.parametrize("name", ["softmax", "log-softmax"])
def test_probabilities_are_refused(name: str, tmp_path: Path) -> None:
    for build in (scripted, traced):
        with pytest.raises(
            UsageError, match=f"its output is a {name}, .*save the model without it"
        ):
            opened(tmp_path, build(name))
    with pytest.raises(UsageError, match=f"is a {name} of 'linear', .*--output linear"):
        opened(tmp_path, exported(name))
    model = opened(tmp_path, exported(name), output="linear")
    inputs = inputs_of(name, 3)
    np.testing.assert_array_equal(model.run(inputs), logits_of("log-linear", inputs))
    assert model.output == "linear"


def test_a_single_output_of_that_name_only(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no output 'logits'; its outputs are output"):
        opened(tmp_path, exported("linear"), output="logits")
    with pytest.raises(UsageError, match="has no output 'logits'; its outputs are output"):
        opened(tmp_path, scripted("linear"), output="logits").run(inputs_of("linear", 2))


@pytest.mark.parametrize("kind", KINDS)
def test_no_scores(kind: str, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"gives no scores; 'output' is float32 \((3|\?),\); expected"
    ):
        opened(tmp_path, KINDS[kind]("flat")).run(inputs_of("flat", 3))


def test_dropout_left_on_shows(tmp_path: Path) -> None:
    """Traced or exported in training mode it stays random, so that two runs differ."""
    inputs = inputs_of("dropout", 16)
    for content in (traced("dropout", training=True), exported("dropout", training=True)):
        model = opened(tmp_path, content)
        assert not np.array_equal(model.run(inputs), model.run(inputs))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("kind", KINDS)
def test_precision(kind: str, precision: Any, tmp_path: Path) -> None:
    model = opened(tmp_path, KINDS[kind]("conv"), precision=precision)
    inputs = inputs_of("conv", 4)
    scores = model.run(inputs)
    assert scores.dtype == np.float32
    expected = logits_of("conv", inputs)
    assert 0 < np.abs(scores - expected).max() < 0.05
    assert model.runs_on.precision == precision
    assert f"stored in float32, were converted to {precision}" in model.runs_on.notes[0]


def test_inputs_in_a_dict(tmp_path: Path) -> None:
    class Nested(Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = module("two inputs")

        def forward(self, batch, *, offset):  # type: ignore[no-untyped-def]
            return self.model(batch["x"], offset)

    first, second = (torch.from_numpy(array) for array in inputs_of("two inputs", 4))
    program = torch.export.export(Nested(), ({"x": first},), {"offset": second})
    model = opened(tmp_path, saved_program(program))
    assert [port.name for port in model.inputs] == ["batch_x", "offset"]
    inputs = inputs_of("two inputs", 4)
    np.testing.assert_array_equal(model.run(inputs), logits_of("two inputs", inputs))


def test_precision_that_cannot_be_had(tmp_path: Path) -> None:
    frozen = quietly(lambda: torch.jit.freeze(torch.jit.script(module("linear"))))
    model = opened(tmp_path, frozen, precision="bfloat16")
    with pytest.raises(RunError, match=r"cannot be computed in bfloat16 \(.*leave --precision out"):
        model.run(inputs_of("linear", 3))


def test_models_of_other_precision(tmp_path: Path) -> None:
    inputs = inputs_of("linear", 3)
    expected = logits_of("linear", inputs)
    for dtype, kind in ((torch.float16, np.float32), (torch.float64, np.float64)):
        example = torch.ones(2, FEATURES, dtype=dtype)
        program = torch.export.export(module("linear").to(dtype), (example,))
        script = quietly(torch.jit.script, module("linear").to(dtype))
        for content in (saved_program(program), script):
            model = opened(tmp_path, content)
            rows = model.batch_size or 3
            scores = model.run([inputs[0][:rows]])
            assert scores.dtype == kind
            np.testing.assert_allclose(scores, expected[:rows], atol=2e-3)
            assert dtype is torch.float64 or "were converted to float32" in model.runs_on.notes[0]


def test_metadata(tmp_path: Path) -> None:
    program = torch.export.export(module("linear"), (torch.ones(2, FEATURES),))
    model = opened(tmp_path, saved_program(program, lacal_calibration="{}", class_names='["a"]'))
    assert (model.calibration, model.class_names) == ("{}", ("a",))
    assert opened(tmp_path, scripted("linear")).calibration is None
