"""The rare ways in which a torch model is written, and those in which it is spoilt."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import json
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Dict, List, Tuple  # noqa: UP035 - as TorchScript is written

import numpy as np
import pytest

from lacal.adjustment import Adjustment
from lacal.errors import DataError, UsageError
from lacal.models import AdjustedModel, ModelOptions, model_head, open_model
from lacal.models.model import OutOfMemory
from lacal.models.torch import archive
from lacal.models.torch.export import adjusted_torch
from lacal.models.torch.exported_graph import NotPlain, plain_json
from lacal.models.torch.graph import ScriptGraph, torch_errors
from tests.models.torch_models import (
    CLASSES,
    FEATURES,
    Module,
    exported,
    files_of,
    functional,
    inputs_of,
    packed,
    quietly,
    saved_program,
    saved_script,
    torch,
    traced,
    written,
)

TRUST = ModelOptions(trust=True)
FIRST = ModelOptions(trust=True, output="0")
PLAIN = Adjustment(np.ones(CLASSES), np.zeros(CLASSES))


class Head(Module):
    """A stored weight and bias, to be used in a way of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.arange(30.0).reshape(CLASSES, FEATURES))
        self.bias = torch.nn.Parameter(torch.arange(5.0))
        self.single = torch.nn.Parameter(torch.ones(1))


class Doubled(Head):
    def forward(self, x):
        return torch.add(x @ self.weight.t(), self.bias, alpha=2)


class Computed(Head):
    def forward(self, x):
        return functional.linear(x, self.weight, self.bias * 2)


class Single(Head):
    def forward(self, x):
        return torch.addmm(self.single, x, self.weight.t())


class Retyped(Head):
    def forward(self, x):
        return functional.linear(x, self.weight, self.bias.to(torch.float32))


class Parts(Head):
    def forward(self, x):
        return torch.split(functional.linear(x, self.weight), [3, 2], 1)


class Numbered(Head):
    def forward(self, x) -> Dict[int, torch.Tensor]:  # noqa: UP006
        return {0: functional.linear(x, self.weight, self.bias)}


class Worded(Head):
    def forward(self, x, words: List[str]):  # noqa: UP006
        return functional.linear(x, self.weight, self.bias) + len(words)


class ByName(Head):
    def forward(self, x, *, shift: torch.Tensor):
        return functional.linear(x, self.weight, self.bias) + shift


class Counted(Head):
    def forward(self, x) -> Tuple[torch.Tensor, int]:  # noqa: UP006
        return (functional.linear(x, self.weight) > 0), 3


class Silent(Head):
    @torch.jit.export
    def other(self, x):
        return x


def script(kind: Callable[[], Any], folder: Path) -> Path:
    return written(folder, quietly(torch.jit.script, kind().eval()), "m.pt")


@pytest.mark.parametrize("kind", [Doubled, Computed, Single])
def test_a_head_that_cannot_be_read_is_named(kind: type, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected"):
        model_head(script(kind, tmp_path), TRUST)


def test_a_retyped_bias_is_read(tmp_path: Path) -> None:
    head = model_head(script(Retyped, tmp_path), TRUST)
    assert head.bias is not None
    assert np.array_equal(head.bias, np.arange(5.0))


def test_tensors_that_come_out_in_pieces(tmp_path: Path) -> None:
    """No graph says what stands at a place of a list that an operator makes; running the model does."""
    path = script(Parts, tmp_path)
    (x,) = inputs_of("linear", 4)
    assert open_model(path, FIRST).run([x]).shape == (4, 3)
    with pytest.raises(UsageError, match="has no output '0'"):
        model_head(path, FIRST)


def test_outputs_that_are_no_scores(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gives no scores; '0' is bool \(4, 5\), '1' is int"):
        open_model(script(Counted, tmp_path), TRUST).run(inputs_of("linear", 4))


def test_a_script_without_forward(tmp_path: Path) -> None:
    path = script(Silent, tmp_path)
    for look in (open_model, model_head):
        with pytest.raises(DataError, match="has no forward method"):
            look(path, TRUST)


def adjusted(path: Path, output: str | None = None) -> AdjustedModel:
    return adjusted_torch(path, PLAIN, "{}", fold=False, trust=True, output=output)


def test_what_an_adjusted_script_cannot_pass_on(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gives Dict\[int, Tensor\]; expected a tensor"):
        adjusted(script(Numbered, tmp_path), "0")
    with pytest.raises(DataError, match=r"input 'words' is of type List\[str\]"):
        adjusted(script(Worded, tmp_path))


def test_arguments_by_name_stay_so(tmp_path: Path) -> None:
    content = adjusted(script(ByName, tmp_path)).content
    path = written(tmp_path, content, "a.pt")
    (x,) = inputs_of("linear", 4)
    with torch.no_grad():
        tensor, shift = torch.from_numpy(x), torch.ones(CLASSES)
        got = quiet_load(path)(tensor, shift=shift)
        assert torch.equal(got, ByName()(tensor, shift=shift))


def quiet_load(path: Path) -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.load(str(path))


def test_an_extra_file_that_is_no_text(tmp_path: Path) -> None:
    """Torch itself takes none in a .pt2."""
    files = files_of(exported("linear")) | {"archive/extra/note.bin": b"\xff\xfe"}
    with pytest.raises(DataError, match="cannot be loaded as a model"):
        adjusted(written(tmp_path, packed(files)))


def test_an_extra_file_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class_names = json.dumps(["a", "b"])
    path = written(tmp_path, saved_script(quiet_load(written(tmp_path, traced("linear"), "m.pt")), class_names=class_names), "n.pt")  # fmt: skip
    assert archive.archive_class_names(path) == ("a", "b")
    monkeypatch.setattr(archive, "EXTRA_LIMIT", 3)
    with pytest.raises(
        DataError, match=r"'extra/class_names.json' has 10 bytes; expected at most 3"
    ):
        archive.archive_class_names(path)


def test_two_inputs_of_other_batches(tmp_path: Path) -> None:
    class Two(Head):
        def forward(self, x, y):
            return functional.linear(x, self.weight) + y.sum()

    program = torch.export.export(Two().eval(), (torch.ones(3, FEATURES), torch.ones(4, 2)))
    with pytest.raises(DataError, match="no batch size in common; got 3 by 'x', 4 by 'y'"):
        open_model(written(tmp_path, saved_program(program)), ModelOptions())


def test_sizes_without_a_hint(tmp_path: Path) -> None:
    """Then no inputs of the traced sizes can be made up, and torch checks no guards."""
    files = files_of(exported("linear"))
    graph = json.loads(files["archive/models/model.json"])
    sizes = graph["graph_module"]["graph"]["tensor_values"]["input"]["sizes"]
    sizes[0]["as_expr"]["hint"] = None
    files["archive/models/model.json"] = json.dumps(graph).encode()
    (x,) = inputs_of("linear", 7)
    found = open_model(written(tmp_path, packed(files)), ModelOptions())
    expected = open_model(written(tmp_path, exported("linear"), "b.pt2"), ModelOptions())
    assert np.array_equal(found.run([x]), expected.run([x]))


def test_weights_that_do_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(torch.jit, "load", full)
    with pytest.raises(OutOfMemory, match="its weights do not fit into memory"):
        open_model(written(tmp_path, traced("linear"), "m.pt"), TRUST)


def test_what_torch_raises_is_a_sentence() -> None:
    with pytest.raises(DataError, match=r"m\.pt: reading it failed in torch \(boom\)"):  # noqa: SIM117
        with torch_errors(Path("m.pt"), "reading it"):
            raise RuntimeError("boom")


def test_an_attribute_that_python_cannot_hold_is_not_stored(tmp_path: Path) -> None:
    module = quiet_load(script(Retyped, tmp_path))
    graph = ScriptGraph(Path("m.pt"), types.SimpleNamespace(), module.inlined_graph)
    (end,) = module.inlined_graph.outputs()
    assert graph.stored(list(end.node().inputs())[1]) is None


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"as_custom_obj": {"name": "x"}}, "a custom object"),
        ({"custom_obj_values": {"x": 1}}, "a custom object"),
        ({"target": 3}, "an unknown form of 'target'"),
        ({"guards_code": [["s0 == 1"]]}, "an unknown form of 'guards_code'"),
        ({"in_spec": '[1, {"type": null, "children_spec": ["text"]}]'}, "the text 'text' among"),
        ({"in_spec": '[1, {"type": "builtins.dict", "context": "[1.5]"}]'}, "keys of inputs|1.5"),
        ({"expr_str": "Pow(s0)"}, "the expression"),
    ],
)
def test_what_is_not_plain(entry: dict[str, Any], words: str) -> None:
    with pytest.raises(NotPlain, match=words):
        plain_json(json.dumps(entry).encode())


@pytest.mark.parametrize("expression", ["s0 == None", "Mul(0.5, s0)"])
def test_what_is_plain(expression: str) -> None:
    assert plain_json(json.dumps({"expr_str": expression}).encode())
