"""Small torch models to adjust, the adjustments, and what torch and NumPy make of them."""

import functools
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lacal.adjustment import Adjustment
from lacal.models.model import AdjustedModel
from lacal.models.torch.export import adjusted_torch

pytest.importorskip("torch")

import torch
from torch import nn

CLASSES, NOTE, NAMES = 5, '{"tau": 1.0}', '["a", "b", "c", "d", "e"]'
SHAPES: dict[str, list[tuple[int, ...]]] = {"net": [(3, 6, 6)], "pair": [(4,), (2,)]}
PLAIN = Adjustment(np.ones(CLASSES), np.array([0.0, -0.1, 2.2, 3.3, 9.7]))
SCALED = Adjustment(np.array([1, 0.5, 1.7, 3, 0.1]), np.array([0.1, 0, 2.2, -3.3, 9.7]))
MASKED = Adjustment(np.array([1, 0.5, 1.7, 3, 0.1]), np.array([0.1, -np.inf, 2.2, -3.3, 9.7]))


class Net(nn.Module):
    """A convolution and a head, and what comes after it."""

    def __init__(self, bias: bool = True, end: Any = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, CLASSES, bias=bias)
        self.end = end or nn.Identity()

    def logits(self, image: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.relu(self.conv(image)).mean((2, 3)))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.end(self.logits(image))


class Pair(nn.Module):
    """Two inputs, a matmul and a sum."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.right = nn.Linear(2, 4)
        self.weight = nn.Parameter(torch.randn(4, CLASSES))
        self.bias = nn.Parameter(torch.randn(CLASSES))

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return (left + self.right(right)) @ self.weight + self.bias


class Both(Net):
    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = self.logits(image)
        return {"probabilities": logits.softmax(1), "means": image.mean((1, 2, 3))}


class Several(Net):
    """The means of the image, and scores (n, k) or (n, k, 1, 1) beside them, in a container."""

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return image.mean((1, 2, 3)), self.logits(image)


class InDict(Net):
    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"means": image.mean((1, 2, 3)), "scores": self.logits(image)}


class InList(Net):
    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        return [image.mean((1, 2, 3)), self.logits(image)]


class Wide(Net):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.logits(image).unsqueeze(2).unsqueeze(3)


class Twice(Net):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.fc(self.logits(image)[:, :4])


class Tied(Net):
    """The head's weight under another name, in a layer in front of it."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Linear(4, CLASSES)
        self.before.weight = self.fc.weight

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.fc(self.before(torch.relu(self.conv(image)).mean((2, 3)))[:, :4])


class Lifted(Net):
    """A constant and an integer input, which stand between the weights and the tensors fed."""

    def forward(self, image: torch.Tensor, factor: int = 2) -> torch.Tensor:
        return self.logits(image * torch.tensor([0.5]) * factor)


MODELS: dict[str, Callable[[], Any]] = {
    "net": Net,
    "bare": lambda: Net(bias=False),
    "pair": Pair,
    "softmax": lambda: Net(end=nn.Softmax(1)),
    "log_softmax": lambda: Net(end=nn.LogSoftmax(1)),
    "bfloat16": lambda: Net().bfloat16(),
    "bfloat16 softmax": lambda: Net(end=nn.Softmax(1)).bfloat16(),
    "float64": lambda: Net().double(),
    "both": Both,
    "tuple": Several,
    "dict": InDict,
    "list": InList,
    "wide": Wide,
    "twice": Twice,
    "tied": Tied,
    "lifted": Lifted,
}
SCRIPT_KINDS = ("scripted", "traced", "frozen")
PROGRAM_KINDS = ("exported", "static", "decomposed")


@functools.cache
def saved(name: str, kind: str) -> bytes:
    """A small model as the bytes of a file, class names beside it."""
    content, model = io.BytesIO(), MODELS[name]().eval()
    inputs = fed(name, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        if kind in PROGRAM_KINDS:
            batch: Any = None if kind == "static" else {0: torch.export.Dim("batch", max=64)}
            shapes = tuple(batch for _ in inputs)
            program = torch.export.export(model, inputs, dynamic_shapes=shapes)
            if kind == "decomposed":
                program = program.run_decompositions()
            torch.export.save(program, content, extra_files={"class_names.json": NAMES})
            return content.getvalue()
        script = torch.jit.trace(model, inputs) if kind == "traced" else torch.jit.script(model)
        script = torch.jit.freeze(script) if kind == "frozen" else script
        torch.jit.save(script, content, _extra_files={"class_names.json": NAMES})
    return content.getvalue()


def fed(name: str, rows: int) -> tuple[Any, ...]:
    dtypes = {"bfloat16": torch.bfloat16, "float64": torch.float64}
    dtype = dtypes.get(name.partition(" ")[0], torch.float32)
    shapes = SHAPES.get(name, SHAPES["net"])
    generator = torch.Generator().manual_seed(rows)
    return tuple(torch.randn(rows, *one, generator=generator).to(dtype) for one in shapes)


def scores(content: bytes, kind: str, inputs: tuple[Any, ...], key: Any = None) -> NDArray[Any]:
    """What a model file gives, run by torch alone."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        stream = io.BytesIO(content)
        if kind in PROGRAM_KINDS:
            returned = torch.export.load(stream).module()(*inputs)
        else:
            returned = torch.jit.load(stream)(*inputs)
    tensor = returned if key is None else returned[key]
    wide = tensor.float() if tensor.element_size() < 4 else tensor
    array: NDArray[Any] = wide.numpy()
    return array


def adjusted(
    folder: Path, content: bytes, adjustment: Adjustment, *, fold: bool = False, **options: Any
) -> AdjustedModel:
    path = folder / "model"
    path.write_bytes(content)
    asked: dict[str, Any] = {"trust": True, "output": None} | options
    made = adjusted_torch(path, adjustment, NOTE, fold=fold, **asked)
    assert path.read_bytes() == content
    return made


def by_numpy(logits: NDArray[Any], adjustment: Adjustment) -> NDArray[Any]:
    shape = (CLASSES, *logits.shape[2:])  # (n, k), or (n, k, 1, 1)
    scaled = logits * adjustment.scale.astype(logits.dtype).reshape(shape)
    array: NDArray[Any] = scaled + adjustment.offset.astype(logits.dtype).reshape(shape)
    return array
