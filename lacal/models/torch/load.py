"""Torch itself, and model files of torch loaded: TorchScript and exported programs.

The files are looked into first (`lacal.models.torch.archive`); torch's own loaders may run code, print
screens of text, and abort on damaged files.
"""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from lacal.errors import DataError, LacalError, MissingExtra
from lacal.formats.shown import place
from lacal.models.model import OutOfMemory
from lacal.models.torch.archive import (
    check_exported,
    check_torchscript,
    traced_device,
    without_sample_inputs,
)
from lacal.models.torch.faults import last_line, out_of_memory

__all__ = [
    "last_line",
    "load_errors",
    "load_program",
    "load_script",
    "torch_module",
    "user_inputs",
]

WEIGHTS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


def torch_module() -> ModuleType:
    """Torch, imported when first needed.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise MissingExtra("torch", "torch", "running a TorchScript or .pt2 model") from error
    module: ModuleType = torch
    return module


def load_script(path: Path, trust: bool, device: str = "cpu") -> Any:
    """A TorchScript module in eval mode on `device`, for inference only.

    Raises:
        UsageError: It is not trusted.
        DataError: It is damaged, or was traced for a device that is not `device`.
        OutOfMemory: Its weights do not fit.
    """
    check_torchscript(path, trust)
    _check_device(path, device)
    torch = torch_module()
    with load_errors(path), path.open("rb") as file:
        by_path = str(path).isprintable()  # it takes no path that is not UTF-8
        return torch.jit.load(str(path) if by_path else file, map_location=device).eval()


def load_program(path: Path, trust: bool, device: str = "cpu") -> Any:
    """An exported program on `device`, with zeros as sample inputs in place of the file's own.

    Raises:
        UsageError: It holds more than tensors and a graph, and is not trusted.
        DataError: It is damaged, or was exported for a device that is not `device`.
        OutOfMemory: Its weights do not fit.
    """
    check_exported(path, trust=True)  # whole; what it holds is checked as it is copied
    content = without_sample_inputs(path, trust)
    _check_device(path, device)
    torch = torch_module()
    with load_errors(path), _weights_only(not trust):
        program = torch.export.load(content)
        if program.example_inputs is None:
            program.example_inputs = _zeros(torch, program)
        if device != "cpu":  # pragma: no cover - needs a GPU
            from torch.export.passes import move_to_device_pass

            program = move_to_device_pass(program, device)
    return program


def user_inputs(program: Any) -> dict[str, Any]:
    """The tensors that an exported program takes, by name: fake ones, of type and shape only."""
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    return {str(name): values.get(name) for name in program.graph_signature.user_inputs}


def _zeros(torch: ModuleType, program: Any) -> Any:
    """Inputs of the traced sizes that take no memory; without any, torch would check no guards."""
    flat = []
    for value in user_inputs(program).values():
        if value is None or not isinstance(value, torch.Tensor):
            return None
        sizes = [side if isinstance(side, int) else side.node.hint for side in value.shape]
        if None in sizes:
            return None
        flat.append(torch.zeros((), dtype=value.dtype).expand(sizes))
    return torch.utils._pytree.tree_unflatten(flat, program.call_spec.in_spec)


def _check_device(path: Path, device: str) -> None:
    traced = traced_device(path)
    if traced is not None and not device.startswith("cuda"):
        raise DataError(
            f"{place(path)}: was traced for {traced}, which is part of its code, and cannot run on the "
            "CPU; run it with --device cuda, or trace and save it anew on the CPU"
        )


@contextmanager
def load_errors(path: Path) -> Iterator[None]:
    """The one seam for torch's loaders: what they raise has no common parent but Exception."""
    silenced = logging.root.manager.disable
    logging.disable(logging.WARNING)  # torch logs whole tracebacks of what it then raises
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is deprecated
            yield
    except LacalError:
        raise
    except Exception as error:
        if out_of_memory(torch_module(), error):
            raise OutOfMemory(
                f"{place(path)}: its weights do not fit into memory; free some, or use --device cpu"
            ) from error
        raise DataError(
            f"{place(path)}: cannot be loaded as a model ({last_line(error)}); it is damaged, or was "
            "saved by a newer torch or with operators that this one lacks; save it again"
        ) from error
    finally:
        logging.disable(silenced)


@contextmanager
def _weights_only(wanted: bool) -> Iterator[None]:
    """A second line of defence: torch.load within the block reads tensors only."""
    before = os.environ.get(WEIGHTS_ONLY)
    if wanted:
        os.environ[WEIGHTS_ONLY] = "1"
    try:
        yield
    finally:
        os.environ.pop(WEIGHTS_ONLY, None)
        if before is not None:
            os.environ[WEIGHTS_ONLY] = before
