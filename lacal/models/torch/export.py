"""TorchScript models and exported programs with an adjustment put in, as the bytes of a new file.

Appended by default: TorchScript is wrapped, the graph of an exported program gets nodes behind its logits.
Folded on request: the head's weight and bias are changed instead. All is written to memory, since torch
ends the process where a disk is full.
"""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.adjustment import Adjustment
from lacal.errors import DataError, UsageError
from lacal.formats.shown import place, printable
from lacal.formats.zipped import zip_errors
from lacal.models.model import AdjustedModel
from lacal.models.torch.append import Changed, appended, other_width
from lacal.models.torch.archive import archive_note
from lacal.models.torch.graph import ScriptGraph, Stored, TorchGraph, open_graph, torch_errors
from lacal.models.torch.head import linear_layer
from lacal.models.torch.load import torch_module
from lacal.models.torch.wrap import wrapped

NOTE_MEMBER = "lacal_calibration.json"
LEAVE_OUT = "leave --fold out to append the adjustment instead"


def adjusted_torch(
    path: Path,
    adjustment: Adjustment,
    note: str,
    *,
    fold: bool,
    trust: bool,
    output: str | None,
) -> AdjustedModel:
    """A model file with an adjustment (k,) of its logits (n, k) put in.

    Args:
        path: TorchScript, or an exported program; it is only read.
        adjustment: Appended as float32, or folded in float64 and rounded once.
        note: The calibration as JSON, which travels in the file.
        fold: Change the head's weight and bias, rather than add to the graph.
        trust: Whether code inside the file may run.
        output: Name of the logits, where there are several outputs or none of them is the logits.

    Raises:
        UsageError: It needs --trust-model or --output, or its head cannot be folded into.
        DataError: It is adjusted already, cannot be loaded, or gives no logits of this width.
    """
    if archive_note(path) is not None:
        raise DataError(
            f"{place(path)}: is adjusted already, it carries a calibration of lacal; adjust the model it "
            "was made from"
        )
    scale, offset = _float32(adjustment)
    graph, extra = open_graph(path, trust=trust), _extra_files(path)
    with torch_errors(path, "adjusting"):
        value = graph.output(output)
        if fold:
            change = _folded(graph, value, adjustment)
        elif isinstance(graph, ScriptGraph):
            change = wrapped(graph, output, scale, offset)
        else:
            change = appended(graph, value, scale, offset)
        content = _saved(graph, change, extra, note)
    return AdjustedModel(content, change.exact, change.how, change.notes)


def _saved(graph: TorchGraph, change: Changed, extra: dict[str, bytes], note: str) -> bytes:
    """The file's bytes."""
    torch, content = torch_module(), io.BytesIO()
    if isinstance(graph, ScriptGraph):
        beside = {**extra, NOTE_MEMBER: note.encode()}
        torch.jit.save(change.model, content, _extra_files=beside)
        return content.getvalue()
    texts = {name: text.decode() for name, text in extra.items()}  # torch has loaded them as text
    torch.export.save(change.model, content, extra_files={**texts, NOTE_MEMBER: note})
    return content.getvalue()


def _float32(adjustment: Adjustment) -> tuple[NDArray[np.float32] | None, NDArray[np.float32]]:
    """Scale, None where it changes nothing, and offset, as a float32 model computes with them."""
    with np.errstate(over="ignore", under="ignore"):
        scale, offset = adjustment.scale.astype(np.float32), adjustment.offset.astype(np.float32)
    same = np.isfinite(offset) == np.isfinite(adjustment.offset)
    if not (np.isfinite(scale).all() and (scale > 0).all() and same.all()):
        raise DataError(
            "adjustment: is outside the range of float32, in which the model computes; tune it anew"
        )
    return (None if (scale == 1).all() else scale), offset


def _extra_files(path: Path) -> dict[str, bytes]:
    """What the model's author put beside it: class names, for one."""
    with zip_errors(path), zipfile.ZipFile(path) as archive:
        inner = {name.partition("/")[2]: name for name in archive.namelist()}
        return {
            name.removeprefix("extra/"): archive.read(full)
            for name, full in inner.items()
            if name.startswith("extra/") and not name.endswith("/")
        }


def _folded(graph: TorchGraph, value: Any, adjustment: Adjustment) -> Changed:
    """Change the head's tensors in place: in float64, rounded once."""
    torch, where = torch_module(), place(graph.path)
    layer = linear_layer(graph, value)
    weight, bias, scaled = layer.weight, layer.bias, bool((adjustment.scale != 1).any())
    name = printable(weight.name or "a constant")
    if not isinstance(weight.value, torch.Tensor) or weight.value.element_size() < 4:
        raise UsageError(f"{where}: head '{name}' is not float32; {LEAVE_OUT}")
    if weight.name is None:
        raise UsageError(f"{where}: is frozen, its head is a constant of the graph; {LEAVE_OUT}")
    if bias is None:
        raise UsageError(f"{where}: head '{name}' has no bias to fold into; {LEAVE_OUT}")
    for tensor in (weight, bias) if scaled else (bias,):
        _check_alone(graph, tensor)
    matrix = weight.value.T if layer.transposed else weight.value
    if matrix.shape[0] != adjustment.classes:
        raise other_width(graph.path, matrix.shape[0], adjustment.classes)
    scale = torch.from_numpy(adjustment.scale).to(matrix.device)
    offset = torch.from_numpy(adjustment.offset).to(matrix.device)
    with torch.no_grad():
        if scaled:
            matrix.copy_(matrix.double() * scale[:, None])
        bias.value.copy_((bias.value.double().reshape(-1) * scale + offset).view_as(bias.value))
    how = f"{'weight and bias' if scaled else 'bias'} of the head '{name}' changed"
    return Changed(graph.model, how, exact=False)


def _check_alone(graph: TorchGraph, tensor: Stored) -> None:
    if tensor.name is None or graph.uses(tensor) != 1:
        name = printable(tensor.name or "a constant")
        raise UsageError(
            f"{place(graph.path)}: '{name}' is used in more places than the head, or fixed; {LEAVE_OUT}"
        )
