"""The head found in a model is the head it was built with, whatever form it was saved in."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lacal.errors import DataError, UsageError
from lacal.models.torch.head import torch_head

pytest.importorskip("torch")

import torch
from torch import nn

functional = nn.functional

CLASSES, FEATURES = 5, 12
SCRIPT_KINDS = ("scripted", "traced", "frozen")
PROGRAM_KINDS = ("exported", "decomposed")


class Headed(nn.Module):
    """A body, then what `ending` makes of its features, `self.weight` and `self.bias`."""

    def __init__(self, dtype: Any = None, transposed: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Linear(FEATURES, FEATURES, dtype=dtype)
        shape = (FEATURES, CLASSES) if transposed else (CLASSES, FEATURES)
        self.weight = nn.Parameter(torch.randn(shape, dtype=dtype))
        self.bias = nn.Parameter(torch.randn(CLASSES, dtype=dtype))

    def features(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(rows.flatten(1)))


class Linear(Headed):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return functional.linear(self.features(rows), self.weight, self.bias)


class Bare(Headed):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return functional.linear(self.features(rows), self.weight)


class Product(Headed):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.features(rows) @ self.weight


class ProductSum(Headed):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.bias + torch.matmul(self.features(rows), self.weight.t())


class Addmm(Headed):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.addmm(self.bias, self.features(rows), self.weight.t())


class Reshaped(Headed):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        logits = functional.linear(self.features(rows), self.weight, self.bias)
        return logits.to(torch.float64).reshape(-1, 5).contiguous()


class LogSoftmax(Headed):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        logits = functional.linear(self.features(rows), self.weight, self.bias)
        return functional.log_softmax(logits, dim=1)


class Scaled(Headed):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.addmm(self.bias, self.features(rows), self.weight.t(), alpha=2.0)


class Relu(Headed):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.relu(functional.linear(self.features(rows), self.weight, self.bias))


class Committee(Headed):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        features = self.features(rows)
        return functional.linear(features, self.weight) + functional.linear(rows, self.weight)


class Branches(Headed):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        if rows.shape[0] > 2:
            return functional.linear(rows, self.weight, self.bias)
        return functional.linear(rows, self.weight * 2.0, self.bias)


class Two(Headed):
    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.features(rows)
        return functional.linear(features, self.weight, self.bias), features


class Quantised(nn.Module):
    def __init__(self, weight: Any, bias: Any) -> None:
        super().__init__()
        stored = torch.quantize_per_tensor(weight, 0.02, 0, torch.qint8)
        self.packed = torch.ops.quantized.linear_prepack(stored, bias)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.ops.quantized.linear_dynamic(rows, self.packed)


def saved(model: Any, kind: str) -> bytes:
    """A model (n, 12) -> (n, 5) as the bytes of a file."""
    content, rows = io.BytesIO(), torch.randn(3, FEATURES, dtype=dtype_of(model))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        if kind in PROGRAM_KINDS:
            batch = {0: torch.export.Dim("batch", max=64)}
            program = torch.export.export(model.eval(), (rows,), dynamic_shapes=(batch,))
            if kind == "decomposed":
                program = program.run_decompositions()
            torch.export.save(program, content)
            return content.getvalue()
        if kind == "traced":
            script = torch.jit.trace(model.eval(), rows)
        else:
            script = torch.jit.script(model.eval())
        torch.jit.save(torch.jit.freeze(script) if kind == "frozen" else script, content)
    return content.getvalue()


def dtype_of(model: Any) -> Any:
    return next((one.dtype for one in model.parameters()), torch.float32)


FORMS: dict[str, Callable[[], Any]] = {
    "linear": Linear,
    "bare": Bare,
    "product": lambda: Product(transposed=True),
    "product and sum": ProductSum,
    "addmm": Addmm,
    "reshaped": Reshaped,
    "log_softmax": LogSoftmax,
    "bfloat16": lambda: Linear(dtype=torch.bfloat16),
}


# Decomposing changes what linear is made of; the other forms are made of those parts already.
BUILT = [(form, kind) for form in FORMS for kind in (*SCRIPT_KINDS, "exported")]
BUILT += [(form, "decomposed") for form in ("linear", "bare", "log_softmax")]


@pytest.mark.parametrize(("form", "kind"), BUILT)
def test_it_is_the_head_that_was_built(form: str, kind: str, tmp_path: Path) -> None:
    model = FORMS[form]()
    path = tmp_path / "model"
    path.write_bytes(saved(model, kind))
    head = torch_head(path, trust=kind in SCRIPT_KINDS)
    weight, bias = model.weight.detach().double().numpy(), model.bias.detach().double().numpy()
    np.testing.assert_array_equal(head.weight, weight.T if form == "product" else weight)
    assert head.weight.dtype == np.float64
    if form in ("bare", "product"):
        assert head.bias is None
        assert "no bias" in head.found
    else:
        assert head.bias is not None
        np.testing.assert_array_equal(head.bias, bias)
    assert ("'weight'" in head.found) == (kind != "frozen")
    assert "(5, 12)" in head.found
    assert ("bfloat16" in head.found) == (form == "bfloat16")


def test_a_quantised_head_is_dequantised(tmp_path: Path) -> None:
    torch.manual_seed(1)
    weight, bias = torch.randn(CLASSES, FEATURES), torch.randn(CLASSES)
    path = tmp_path / "model"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch is about to drop quantised tensors
        path.write_bytes(saved(Quantised(weight, bias), "scripted"))
    head = torch_head(path, trust=True)
    wanted = np.clip(np.rint(weight.numpy() / np.float32(0.02)), -128, 127) * 0.02
    np.testing.assert_allclose(head.weight, wanted, atol=1e-6)
    np.testing.assert_array_equal(head.bias, bias.double().numpy())
    assert "quantized::linear_dynamic" in head.found
    assert "qint8" in head.found
    assert "with bias" in head.found


@pytest.mark.parametrize(
    ("model", "kind", "words"),
    [
        (Relu, "scripted", "found aten::relu"),
        (Relu, "exported", "found aten::relu"),
        (Scaled, "traced", "found aten::addmm"),
        (Scaled, "exported", "found aten::addmm"),
        (Committee, "scripted", "found aten::add"),
        (Committee, "exported", "found aten::add"),
        (Branches, "scripted", "found aten::linear"),
        (Branches, "frozen", "found aten::linear"),
    ],
)
def test_another_ending_is_named(model: Any, kind: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(saved(model(), kind))
    with pytest.raises(DataError) as refused:
        torch_head(path, trust=True)
    assert words in str(refused.value)


@pytest.mark.parametrize("kind", ["scripted", "traced", "exported"])
def test_one_of_several_outputs_is_named(kind: str, tmp_path: Path) -> None:
    path, model = tmp_path / "model", Two()
    path.write_bytes(saved(model, kind))
    with pytest.raises(UsageError, match=r"outputs.* 0, 1.*--output"):
        torch_head(path, trust=True)
    with pytest.raises(UsageError, match="no output 'nope'"):
        torch_head(path, trust=True, output="nope")
    head = torch_head(path, trust=True, output="0")
    np.testing.assert_array_equal(head.weight, model.weight.detach().double().numpy())
    if kind == "exported":
        assert torch_head(path, trust=False, output="linear_1").found == head.found


def test_torchscript_needs_trust(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(saved(Linear(), "traced"))
    with pytest.raises(UsageError, match="--trust-model"):
        torch_head(path, trust=False)


class Nothing(nn.Module):
    """Has no forward."""


def test_a_module_without_forward_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Nothing()), path)
    with pytest.raises(DataError, match="no forward method"):
        torch_head(path, trust=True)
