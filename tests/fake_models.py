"""A model and its inputs made of NumPy, with every fault a real one can have."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.formats import Table
from lacal.inputs.inputs import InputBlock
from lacal.models import Port, RunsOn
from lacal.models.model import ModelKind, OutOfMemory
from lacal.trained import TrainingRecord

WEIGHT = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)


@dataclass
class FakeModel:
    """features (n, 4) @ WEIGHT; `fault` says what goes wrong."""

    path: Path
    batch_size: int | None = None
    fault: str = ""
    room: int = 1 << 30
    class_names: tuple[str, ...] | None = None
    calibration: str | None = None
    training: TrainingRecord | None = None
    kind: ModelKind = "onnx"
    output: str = "logits"
    device: str = "cpu"
    batches: list[int] = field(default_factory=list)

    @property
    def inputs(self) -> tuple[Port, ...]:
        return (Port("x", "float32", (self.batch_size, 4)),)

    @property
    def runs_on(self) -> RunsOn:
        return RunsOn(self.device, "numpy", "float32", {"numpy": np.__version__})

    def run(self, inputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
        (x,) = inputs
        self.batches.append(len(x))
        if len(x) > self.room:
            raise OutOfMemory("no room")
        assert self.batch_size in (None, len(x)), "a fixed batch must be padded"
        logits: NDArray[Any] = np.einsum("nd,dk->nk", x, WEIGHT)
        if self.fault == "random":
            logits = logits + np.random.default_rng().standard_normal(logits.shape)
        if self.fault == "batch norm":
            logits = logits - logits.mean(axis=0)
        if self.fault == "nan" and len(self.batches) > 3:
            logits[1, 2] = np.nan
        if self.fault == "softmax":
            logits = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        if self.fault == "one class":
            return logits[:, :1]
        return logits


@dataclass
class FakeInputs:
    """Rows of an array."""

    x: NDArray[np.float32]
    table: Table
    raw_labels: NDArray[Any] | None = None
    ids: Any = None
    class_names: tuple[str, ...] | None = None
    place: str = "x.npy"
    asked: list[tuple[int, int]] = field(default_factory=list)

    @property
    def rows(self) -> int | None:
        return len(self.x)

    @property
    def label_field(self) -> str | None:
        return None if self.raw_labels is None else "label"

    @property
    def id_field(self) -> str | None:
        return None if self.ids is None else "id"

    @property
    def limited(self) -> bool:
        return False

    def blocks(self, rows: int, start: int = 0) -> Generator[InputBlock, None, None]:
        self.asked.append((rows, start))
        for at in range(start, len(self.x), rows):
            part = slice(at, at + rows)
            labels = None if self.raw_labels is None else self.raw_labels[part]
            ids = None if self.ids is None else self.ids[part]
            yield InputBlock((self.x[part].copy(),), labels, ids, at)

    def described(self) -> list[str]:
        return ["inputs: as they are"]

    def record(self) -> dict[str, Any]:
        return {"x": "as it is"}

    def identity(self) -> list[tuple[str, int, int]]:
        return [("x.npy", self.x.nbytes, 1)]


class FakeDeviceModel(FakeModel):
    """A FakeModel whose scores stay on what it says is a GPU."""

    def run_on_device(self, inputs: Sequence[NDArray[Any]]) -> Any:
        import torch

        return torch.from_numpy(self.run(inputs))
