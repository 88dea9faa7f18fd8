"""What every model looks like from inside lacal, whatever runs it.

A runtime's `session` opens a model file and returns a `Model`: arrays in, scores (n, k) out. It knows nothing of
labels, batching policy or preprocessing; `lacal.model_source` does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from numpy.typing import NDArray

from lacal.errors import DataError, RunError
from lacal.trained import TrainingRecord

ModelKind = Literal["onnx", "torchscript", "exported"]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True, slots=True)
class Port:
    """One input of a model.

    Attributes:
        name: As the model spells it.
        dtype: NumPy's name of the type it takes; None where the model does not say (TorchScript).
        shape: Batch first, None for a side that varies; None where the model does not say.
    """

    name: str
    dtype: str | None
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """What the user said about a model.

    Attributes:
        output: Name of the output to take, where the model has several; also an inner tensor of a graph.
        device: Where to run; "cuda" is an error where it cannot be had, "auto" takes the best there is.
        precision: What to compute in. Inputs and scores stay float32.
        trust: Whether code inside the model file may run (TorchScript, unusual .pt2).
        threads: Threads of the runtime; None for its own default.
    """

    output: str | None = None
    device: Device = "auto"
    precision: Precision = "float32"
    trust: bool = False
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class RunsOn:
    """Where and how a model really runs, for the record.

    Attributes:
        device: "cpu", or "cuda:0 (NVIDIA ...)".
        provider: "CPUExecutionProvider", "CUDAExecutionProvider", or "torch".
        precision: What it computes in.
        versions: Of the libraries that run it.
        notes: What the user should know, a sentence each ("CUDA runs 61 nodes, CPU 3").
    """

    device: str
    provider: str
    precision: Precision
    versions: Mapping[str, str]
    notes: tuple[str, ...] = ()


class OutOfMemory(RunError):  # noqa: N818 - the name says what happened
    """The device had no room for a batch of this size; a smaller one may fit."""


def no_room_for(rows: int) -> str:
    """How to mend that a batch does not fit into memory."""
    return (
        "use a smaller --batch-size"
        if rows > 1
        else "one row is too much; run it where there is more"
    )


class Model(Protocol):
    """An opened model, ready to run."""

    @property
    def path(self) -> Path:
        """The file, as the user named it."""

    @property
    def kind(self) -> ModelKind:
        """What it is."""

    @property
    def inputs(self) -> tuple[Port, ...]:
        """What it takes, in its own order."""

    @property
    def output(self) -> str:
        """Name of the output that is taken."""

    @property
    def batch_size(self) -> int | None:
        """Rows of every batch where the model was built for one size; None where any will do."""

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes where the file's metadata carries them."""

    @property
    def calibration(self) -> str | None:
        """The calibration (JSON) of a model that lacal has adjusted; None for any other."""

    @property
    def training(self) -> TrainingRecord | None:
        """How it was trained, where lacal trained it."""

    @property
    def runs_on(self) -> RunsOn:
        """Where it runs."""

    def run(self, inputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Scores of one batch: (n, k), float32 or float64, owned by the caller.

        Args:
            inputs: One array (n, ...) for each of `self.inputs`, native byte order, of the port's type.

        Raises:
            OutOfMemory: A smaller batch may fit.
            RunError: The runtime failed.
            DataError: It does not take these inputs, or gives no (n, k) scores.
        """


@runtime_checkable
class DeviceModel(Model, Protocol):
    """A model whose scores can stay on its device."""

    def run_on_device(self, inputs: Sequence[NDArray[Any]]) -> Any:
        """As `run`, but a torch.Tensor on the device; work on it may still be under way."""


@dataclass(frozen=True, slots=True)
class ModelHead:
    """The classifier's last linear layer, as found in a model.

    Attributes:
        weight: (k, d) float64, a row a class; dequantised where it was stored in integers.
        bias: (k,) float64, or None for a head without one.
        found: What it was found as, for the user ("Gemm 'fc', weight 'fc.weight' (10, 64)").
    """

    weight: NDArray[Any]
    bias: NDArray[Any] | None
    found: str


@dataclass(frozen=True, slots=True)
class AdjustedModel:
    """The bytes of an adjusted model file.

    Attributes:
        content: The whole file.
        exact: Whether its logits must equal NumPy's to the bit (appended in float32); else within 4e-6.
        output: Name to open the adjusted model with to see its adjusted logits, where that is not the name
            the original was opened with.
        how: What was done, for the user ("Add appended before 'logits'", "head bias of 'fc' edited").
        notes: What the user should know, a sentence each.
    """

    content: bytes
    exact: bool
    how: str
    notes: tuple[str, ...] = ()
    output: str | None = None


def refuse_adjusted(model: Model) -> None:
    """Refuse a model that lacal has adjusted: adjusting twice over-corrects."""
    if model.calibration is not None:
        raise DataError(
            f"{model.path}: is a model that lacal has adjusted already, and adjusting twice over-corrects; "
            "give the original model"
        )
