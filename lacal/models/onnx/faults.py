"""What onnxruntime raises, said in lacal's words.

Its fifteen error classes stand directly under Exception, and out-of-memory has none of its own: text is all
there is to tell one fault from another. The texts name files of the machine it was built on; these are cut.
"""

import re
from pathlib import Path

from lacal.classes.names import shown
from lacal.errors import DataError, LacalError, RunError
from lacal.formats.shown import REASON_LIMIT, place, printable
from lacal.models.model import OutOfMemory, no_room_for

MEMORY = re.compile(
    r"failed to allocate memory|out of memory|bad.?alloc|alloc_failed|memoryallocation"
    r"|cuda failure 2\b|smaller than requested",
    re.IGNORECASE,
)
DEVICE = re.compile(r"cuda|cudnn|cublas|\bgpu\b", re.IGNORECASE)
OPSET = re.compile(
    r"Opset (\d+) is under development.*for domain (\S+) is till opset (\d+)", re.DOTALL
)
IR = re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)")
UNREGISTERED = re.compile(
    r"not a registered function/op|No opset import for domain|No Op registered for"
)
UNREGISTERED_OP = re.compile(r"No Op registered for (\w+) with domain_version of (\d+)")
NO_KERNEL = re.compile(r"Could not find an implementation for ([\w.:]+\(\d+\))")
NODE = re.compile(r"while running (\w+) node\. Name:'([^']*)'")

# The file again, source files and the functions in them, and numbers of the error class.
NOISE = re.compile(
    r"\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : "
    r"|^Load model from .*? failed: ?|This is an invalid model\. "
    r"|Non-zero status code returned while running \w+ node\. Name:'[^']*' Status Message: "
    r"|(?:[A-Za-z]:)?[\w./\\+-]*\.(?:cc|cpp|cu|cuh|h):\d+ (?:[^\n]*?[)\]] (?=[A-Z\[])|\w+ )?"
)


def load_fault(
    path: Path, error: Exception, version: str, foreign: dict[str, str], *, cuda: bool
) -> LacalError:
    """What to raise where onnxruntime refused a model.

    Args:
        path: The model's file.
        error: What was raised.
        version: Of onnxruntime.
        foreign: Custom domain -> an operator of it, as found in the model.
        cuda: Whether a GPU was asked for.
    """
    text, where = str(error), place(path)
    newer = f"needs a newer onnxruntime than {version}, or another export"
    if isinstance(error, MemoryError) or MEMORY.search(text):
        return OutOfMemory(f"{where}: the model does not fit into memory")
    if found := OPSET.search(text):
        return DataError(
            f"{where}: {newer}; got opset {found[1]} of {printable(found[2])}, expected at most {found[3]}"
        )
    if found := IR.search(text):
        return DataError(
            f"{where}: {newer}; got IR version {found[1]}, expected at most {found[2]}"
        )
    if UNREGISTERED.search(text):
        if foreign:
            custom = ", ".join(f"{shown(domain)} ({shown(op)})" for domain, op in foreign.items())
            return DataError(
                f"{where}: uses custom operators of domain {custom}; expected standard ONNX; "
                "export it without them"
            )
        if found := UNREGISTERED_OP.search(text):
            return DataError(
                f"{where}: uses operator {shown(found[1])}, which opset {found[2]} does not have; "
                "the model is damaged, export it again"
            )
    if found := NO_KERNEL.search(text):
        return DataError(
            f"{where}: onnxruntime {version} does not run operator {shown(found[1])} for the types it is "
            "used with; export the model in float32"
        )
    if cuda and DEVICE.search(text):
        return RunError(f"{where}: the GPU cannot run it ({short(text)}); run it with --device cpu")
    return DataError(
        f"{where}: onnxruntime {version} does not take the model ({short(text)}); export it again"
    )


def run_fault(path: Path, error: Exception, rows: int) -> RunError:
    """What to raise where a batch failed."""
    text, where = str(error), place(path)
    node = NODE.search(text)
    at = f" in operator {node[1]} {shown(node[2])}" if node else ""
    if isinstance(error, MemoryError) or MEMORY.search(text):
        return OutOfMemory(
            f"{where}: a batch of {rows:,} rows does not fit into memory{at}; {no_room_for(rows)}"
        )
    return RunError(f"{where}: a batch of {rows:,} rows failed{at}: {short(text)}")


def short(text: str) -> str:
    """A line of onnxruntime's text without source files and error numbers, safe for a terminal."""
    lines = NOISE.sub("", NOISE.sub("", text)).strip().splitlines()
    return printable(lines[0].strip().rstrip("."), REASON_LIMIT) if lines else "no reason given"
