"""The trained network as model files: ONNX and `.pt2`, each opened again and held against the stored logits.

A network of the user's own may be one that torch cannot export; that costs the file and leaves a note, not the
run. A file that opens and gives other logits is a fault, and is never left behind.
"""

import contextlib
import io
import itertools
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lacal.atomic import writing
from lacal.batch import Logits
from lacal.errors import LacalError, MissingExtra, RunError
from lacal.formats.shown import place, printable, reason
from lacal.models import Model, ModelOptions, open_model
from lacal.models.onnx.file import onnx_library
from lacal.models.onnx.session import CLASS_NAMES_KEY, TRAINING_KEY
from lacal.models.torch.archive import CLASS_NAMES, TRAINING
from lacal.models.torch.faults import last_line
from lacal.trained import TrainingRecord

OPSET = 17
# What may lie between a file's logits and the network's, relative to the largest of them (at least 1): float32
# rounding of fused layers.
TOLERANCE = 1e-4
BATCH = 64


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a model file says, and what it must give.

    Attributes:
        class_names: In class order, where known.
        record: How the network was trained.
        inputs: (m, ...) some rows, raw values of any type; they also say which shape the network takes.
        logits: (m, k) what the network gave for them.
    """

    class_names: tuple[str, ...] | None
    record: TrainingRecord
    inputs: NDArray[Any]
    logits: Logits


class _NotDelivered(Exception):  # noqa: N818 - the name says what happened
    """The network cannot be had as such a file; says why."""


def deliver_models(
    network: nn.Module, folder: Path, told: Delivered
) -> tuple[dict[str, Path], list[str]]:
    """Write `model.onnx` and `model.pt2`, each whole and checked or not at all.

    Args:
        network: In eval mode, on the CPU; (n, ...) float32 in, (n, k) out.
        folder: Where to.
        told: What goes into the files, and what they must give.

    Returns:
        The files by kind ("onnx", "pt2"), and a note for each that could not be had.

    Raises:
        RunError: A file gives other logits than the network, or cannot be written.
    """
    files: dict[str, Path] = {}
    notes = []
    exports: dict[str, Callable[[], tuple[bytes, str | None]]] = {
        "onnx": lambda: _onnx(network, told),
        "pt2": lambda: (_program(network, told), None),
    }
    for kind, export in exports.items():
        path = folder / f"model.{kind}"
        try:
            content, doubt = export()
            with writing(path) as file:
                file.write(content)
                file.flush()
                _check(Path(file.name), path, told, doubt)
        except (_NotDelivered, MissingExtra) as why:
            notes.append(f"{path.name} was not written: {why}")
        else:
            files[kind] = path
    return files, notes


def _onnx(network: nn.Module, told: Delivered) -> tuple[bytes, str | None]:
    """An ONNX file, and what the tracer was in doubt about."""
    onnx, buffer = onnx_library("writing model.onnx"), io.BytesIO()
    example = torch.zeros(2, *told.inputs.shape[1:])
    with _quiet("ONNX") as heard:
        # The TorchScript exporter: the newer one needs onnxscript besides.
        torch.onnx.export(
            network,
            (example,),
            buffer,
            dynamo=False,
            opset_version=OPSET,
            input_names=["input"],
            output_names=["logits"],
            dynamic_axes={"input": {0: "rows"}, "logits": {0: "rows"}},
        )
        model = onnx.load_model_from_string(buffer.getvalue())
    model.metadata_props.add(key=TRAINING_KEY, value=told.record.text())
    if told.class_names is not None:
        model.metadata_props.add(key=CLASS_NAMES_KEY, value=json.dumps(told.class_names))
    doubts = [one for one in heard if issubclass(one.category, torch.jit.TracerWarning)]
    return model.SerializeToString(), reason(Exception(doubts[0].message)) if doubts else None


class _Named(nn.Module):
    """The network with the input's name that the ONNX file has as well."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(input)
        return logits


def _program(network: nn.Module, told: Delivered) -> bytes:
    """An exported program."""
    extra = {_extra(TRAINING): told.record.text()}
    if told.class_names is not None:
        extra[_extra(CLASS_NAMES)] = json.dumps(told.class_names)
    example, buffer = torch.zeros(2, *told.inputs.shape[1:]), io.BytesIO()
    with _quiet("torch.export"):
        sides = {"input": {0: torch.export.Dim("rows")}}
        program = torch.export.export(_Named(network).eval(), (example,), dynamic_shapes=sides)
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # names the files of this machine
        torch.export.save(program, buffer, extra_files=extra)
    return buffer.getvalue()


def _extra(member: str) -> str:
    return member.removeprefix("extra/")


@contextlib.contextmanager
def _quiet(exporter: str) -> Iterator[list[warnings.WarningMessage]]:
    """The one seam for torch's exporters: they print, log and warn, and raise whatever they like."""
    silenced = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    screen = io.StringIO()
    try:
        with (
            warnings.catch_warnings(record=True) as heard,
            contextlib.redirect_stdout(screen),
            contextlib.redirect_stderr(screen),
        ):
            warnings.simplefilter("always")
            yield heard
    except Exception as error:
        raise _NotDelivered(
            f"{exporter} cannot express this network ({last_line(error)})"
        ) from error
    finally:
        logging.disable(silenced)


def _check(temporary: Path, path: Path, told: Delivered, doubt: str | None) -> None:
    """Hold the file's logits against the network's."""
    expected = told.logits.astype(np.float64)
    seen = _logits(temporary, path, told)
    allowed = TOLERANCE * max(1.0, float(np.abs(expected).max()))
    apart = float(np.abs(seen - expected).max()) if seen.shape == expected.shape else np.inf
    if apart <= allowed:
        return
    if doubt is not None:
        raise _NotDelivered(f"its export froze a decision that depends on the data ({doubt})")
    raise RunError(
        f"{place(path)}: gives logits that differ from the network's by {apart:.2g}, expected at most "
        f"{allowed:.2g}; nothing was written; if the network is your own, look for random steps in its forward"
    )


def _logits(temporary: Path, path: Path, told: Delivered) -> NDArray[np.float64]:
    """(m, k) what the file gives, in batches of different sizes, a single row among them."""
    try:
        model = open_model(temporary, ModelOptions(device="cpu"))
        cuts = [0, 1, *range(1 + BATCH, len(told.inputs), BATCH), len(told.inputs)]
        parts = [
            _run(model, told.inputs[start:stop])
            for start, stop in itertools.pairwise(cuts)
            if start < stop
        ]
    except MissingExtra:
        raise
    except LacalError as error:
        # The message names the temporary; the user knows the file by another name.
        said = str(error).replace(str(temporary), path.name)
        raise _NotDelivered(f"it does not run ({printable(said, 300)})") from error
    return np.concatenate(parts)


def _run(model: Model, inputs: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(model.run([inputs.astype(np.float32)]), np.float64)
