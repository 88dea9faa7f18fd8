"""What torch raises, said in lacal's words.

Nearly all of it is RuntimeError: text is all there is to tell an input of the wrong shape from a device that
broke. Anything not known for the input's fault counts as the machine's.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from numpy.typing import NDArray

from lacal.errors import DataError, LacalError, RunError
from lacal.formats.shown import REASON_LIMIT, place, printable
from lacal.models.model import OutOfMemory, Precision, no_room_for

MEMORY = re.compile(
    r"out of memory|allocate memory|bad.?alloc|CUBLAS_STATUS_ALLOC_FAILED", re.IGNORECASE
)
WRONG_TYPE = re.compile(
    r"same dtype|should be the same|expected scalar type|not implemented for '|same data ?type"
    r"|dtypes? (?:mismatch|to match)|to have the same type|Expected tensor for argument .* scalar types?"
    r"|Tensor dtype mismatch|floating point|promote type",
    re.IGNORECASE,
)
WRONG_SHAPE = re.compile(
    r"Guard failed|Expected input at|cannot be multiplied|must match|size mismatch|shape mismatch"
    r"|mismatched? size|expected \dD|\d-dimensional|expected input\[|expected input to|is invalid for input of size"
    r"|number of dimensions|dimensions?\b.*\bexpected|normalized_shape|should contain \d+ elements"
    r"|Dimension out of range|out of range|missing value for argument|expected at most \d+ argument"
    r"|flatten user inputs|not broadcastable|kernel size can't be greater|output size is too small"
    r"|batch1|mat1|vec \(|Sizes of tensors|input\.size|view size|selected index|start \(|AssertionError",
    re.IGNORECASE,
)
ANOTHER_DEVICE = re.compile(
    r"same device|Expected all tensors to be on|input and weight type|found at least two devices",
    re.IGNORECASE,
)
NO_CUDA = re.compile(r"not compiled with CUDA|no NVIDIA driver|CUDA-capable device", re.IGNORECASE)


def out_of_memory(torch: ModuleType, error: BaseException) -> bool:
    """Whether torch failed for want of memory; on the CPU only its text tells."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and MEMORY.search(str(error)) is not None


def last_line(error: BaseException) -> str:
    """What torch says went wrong: TorchScript puts it last, below a traceback of its own."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    line = lines[-1] if "Traceback of TorchScript" in str(error) else lines[0]
    return printable(line.removeprefix("RuntimeError: "), REASON_LIMIT)


def run_fault(
    path: Path,
    torch: ModuleType,
    error: Exception,
    inputs: Sequence[NDArray[Any]],
    device: str,
    precision: Precision,
) -> LacalError:
    """What to raise where a batch failed.

    Args:
        path: The model's file.
        torch: The library.
        error: What was raised.
        inputs: What the model was given.
        device: Where it ran.
        precision: What it was to compute in.
    """
    text, where, why = str(error), place(path), last_line(error)
    got = ", ".join(f"{array.dtype.name} {array.shape}" for array in inputs)
    if out_of_memory(torch, error):
        rows = inputs[0].shape[0] if inputs and inputs[0].ndim else 0
        return OutOfMemory(
            f"{where}: a batch of {rows:,} rows does not fit into memory; {no_room_for(rows)}"
        )
    if NO_CUDA.search(text):
        return DataError(
            f"{where}: was traced for cuda, and there is none here; run it where there is a GPU, or trace "
            "and save it anew on the CPU"
        )
    if ANOTHER_DEVICE.search(text) and device != "cpu":
        return DataError(
            f"{where}: keeps some of its tensors on the CPU by its own code ({why}); run it with "
            "--device cpu"
        )
    if WRONG_TYPE.search(text) and precision != "float32":
        return RunError(
            f"{where}: cannot be computed in {precision} ({why}); leave --precision out"
        )
    if isinstance(error, (AssertionError, ValueError, TypeError, IndexError)) or (
        WRONG_TYPE.search(text) or WRONG_SHAPE.search(text)
    ):
        return DataError(
            f"{where}: does not take these inputs ({why}); got {got}; expected the shapes and types it "
            "was saved with"
        )
    return RunError(f"{where}: failed on a batch of {got}: {why}")
