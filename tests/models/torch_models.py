"""Small torch models for tests, as TorchScript and as exported programs; each is built once a session."""

import functools
import io
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch: Any = pytest.importorskip("torch")
functional = torch.nn.functional
Module: Any = torch.nn.Module

FEATURES, CLASSES = 6, 5
IMAGE = (3, 8, 8)


class TwoInputs(Module):
    """Takes features and an offset of the scores, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(FEATURES, CLASSES)

    def forward(self, features, offset):  # type: ignore[no-untyped-def]
        return self.fc(features) + offset


class LogSoftmax(Module):
    """Ends in the functional log-softmax, which TorchScript wraps in an `if`."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(FEATURES, CLASSES)

    def forward(self, x):  # type: ignore[no-untyped-def]
        return functional.log_softmax(self.fc(x), dim=1)


class LogLinear(LogSoftmax):
    """The scores in front of the log-softmax, and of all classes below."""

    def forward(self, x):  # type: ignore[no-untyped-def]
        return self.fc(x)


class Several(LogSoftmax):
    """Gives features, scores and probabilities as a tuple."""

    def forward(self, x):  # type: ignore[no-untyped-def]
        scores = self.fc(x)
        return x.sum(1), scores, scores.softmax(1)


class Named(LogSoftmax):
    """Gives scores and probabilities as a dict."""

    def forward(self, x):  # type: ignore[no-untyped-def]
        scores = self.fc(x)
        return {"scores": scores, "probabilities": scores.softmax(1)}


class Wide(LogSoftmax):
    """Gives (n, k, 1, 1)."""

    def forward(self, x):  # type: ignore[no-untyped-def]
        return self.fc(x).unsqueeze(2).unsqueeze(3)


class Flat(LogSoftmax):
    """Gives (n,), which are no scores."""

    def forward(self, x):  # type: ignore[no-untyped-def]
        return self.fc(x).sum(1)


class OwnDevice(LogSoftmax):
    """Makes a tensor on a device of its own; TorchScript's tracer writes that device into the code."""

    def forward(self, x):  # type: ignore[no-untyped-def]
        return self.fc(x) + torch.zeros(CLASSES)


class Hungry(LogSoftmax):
    """Wants more memory than there is on any machine."""

    def forward(self, x):  # type: ignore[no-untyped-def]
        return self.fc(x) + torch.zeros(1 << 46).sum()


class Pairs(TwoInputs):
    """Takes two inputs of as many rows, which an exported program guards."""

    def forward(self, features, offset):  # type: ignore[no-untyped-def]
        return self.fc(features) + self.fc(offset)


def module(name: str) -> Any:
    """A model by name, in eval mode, its weights the same at every call.

    Args:
        name: "linear", "bias-free", "conv", "softmax", "dropout", "two inputs" or a class above.
    """
    nn = torch.nn
    built = {
        "linear": lambda: nn.Linear(FEATURES, CLASSES),
        "bias-free": lambda: nn.Linear(FEATURES, CLASSES, bias=False),
        "conv": lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, CLASSES)
        ),
        "softmax": lambda: nn.Sequential(nn.Linear(FEATURES, CLASSES), nn.Softmax(1)),
        "dropout": lambda: nn.Sequential(nn.Linear(FEATURES, CLASSES), nn.Dropout(0.5)),
        "two inputs": TwoInputs,
        "log-softmax": LogSoftmax,
        "log-linear": LogLinear,
        "several": Several,
        "named": Named,
        "wide": Wide,
        "flat": Flat,
        "pairs": Pairs,
        "device": OwnDevice,
        "hungry": Hungry,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return built[name]().eval()


def inputs_of(name: str, rows: int, seed: int = 0) -> list[NDArray[np.float32]]:
    """Random inputs of a model, one array for each."""
    random = np.random.default_rng(seed)
    known: dict[str, list[tuple[int, ...]]] = {
        "conv": [IMAGE],
        "two inputs": [(FEATURES,), (CLASSES,)],
        "pairs": [(FEATURES,), (FEATURES,)],
    }
    sides = known.get(name, [(FEATURES,)])
    return [random.standard_normal((rows, *side)).astype(np.float32) for side in sides]


def logits_of(name: str, inputs: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """What the model itself gives, run by hand: (n, k)."""
    with torch.no_grad():
        scores: NDArray[np.float32] = module(name)(*map(torch.from_numpy, inputs)).numpy()
    return scores


@functools.cache
def exported(name: str, batch: int | None = None, training: bool = False) -> bytes:
    """A model as .pt2, batches of any size or of just `batch` rows."""
    example = tuple(torch.from_numpy(array) for array in inputs_of(name, batch or 4))
    rows = torch.export.Dim("rows")
    shapes = None if batch else tuple({0: rows} for _ in example)
    program = torch.export.export(module(name).train(training), example, dynamic_shapes=shapes)
    return saved_program(program)


def saved_program(program: Any, **extra: str) -> bytes:
    """An exported program's bytes, with extra files by name."""
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={f"{key}.json": extra[key] for key in extra})
    return buffer.getvalue()


@functools.cache
def scripted(name: str) -> bytes:
    """A model as TorchScript, compiled from its source."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return saved_script(torch.jit.script(module(name)))


@functools.cache
def traced(name: str, training: bool = False) -> bytes:
    """A model as TorchScript, recorded from a run; in training mode its dropout stays on for ever."""
    example = tuple(torch.from_numpy(array) for array in inputs_of(name, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = module(name).train(training)
        return saved_script(torch.jit.trace(model, example, check_trace=False, strict=False))


def saved_script(script: Any, **extra: str) -> bytes:
    """A TorchScript module's bytes, with extra files by name."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(script, buffer, _extra_files={f"{key}.json": extra[key] for key in extra})
    return buffer.getvalue()


def written(folder: Path, content: bytes, name: str = "model.pt2") -> Path:
    """The bytes as a file."""
    path = folder / name
    path.write_bytes(content)
    return path


def quietly(compile_it: Callable[..., Any], *arguments: Any) -> bytes:
    """A TorchScript module's bytes, made without the warning that TorchScript is deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return saved_script(compile_it(*arguments))


def files_of(content: bytes) -> dict[str, bytes]:
    """The members of a zip, by their whole names."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    """The zip of these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()
