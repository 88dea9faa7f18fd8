"""The classifier's head from a file: what weight normalisation needs of the model.

A field `weight` or `W` (or ending in `.weight`) of shape (k, d), with an optional `bias` or `b` (k,); or
norms alone: a field `weight_norms` or `norms`, or the only array of the file, of shape (k,). Or a model, whose
last linear layer is looked for.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.batch import PerClass
from lacal.classes.names import agree, shown
from lacal.errors import DataError
from lacal.formats import Table, open_table
from lacal.methods import LARGEST_NORM, SMALLEST_NORM
from lacal.models import ModelOptions, model_head, model_kind

WEIGHT_FIELDS = ("weight", "w")
BIAS_FIELDS = ("bias", "b")
NORM_FIELDS = ("weight_norms", "norms")
LARGEST_BIAS = LARGEST_NORM  # its logits are as large
DEFAULT_OPTIONS = ModelOptions()


@dataclass(frozen=True, slots=True)
class Head:
    """The classifier's last layer.

    Attributes:
        weight_norms: (k,) L2 norms of the weight's rows, in `SMALLEST_NORM..LARGEST_NORM`.
        bias: (k,) up to `LARGEST_BIAS`, or None for a head without one.
        found: What it was found as, for the user.
    """

    weight_norms: PerClass
    bias: PerClass | None
    found: str


def read_head(
    path: Path,
    *,
    classes: int,
    class_names: tuple[str, ...] | None = None,
    logits_place: str = "the logits",
    options: ModelOptions = DEFAULT_OPTIONS,
) -> Head:
    """Read and check a head against the number and the names of the classes.

    Args:
        path: A file of arrays, or a model.
        classes: Number of classes, k.
        class_names: Their names, where known.
        logits_place: Where those come from, for messages.
        options: Which output of a model, and whether its code may run.
    """
    if path.is_file() and model_kind(path) is not None:
        return _model_head(path, classes, options)
    table = open_table(path)
    agree(class_names, logits_place, table.class_names, str(path))
    norms_field = _find(table, NORM_FIELDS, 1)
    if norms_field is None and len(table.fields) == 1:
        (only,) = table.fields.values()
        norms_field = only.name if len(only.shape) == 1 else None
    if norms_field is not None:
        bias, found = _bias(table, norms_field, classes)
        return _checked(_per_class(table, norms_field, classes), bias, found, path)
    weight_field = _weight_field(table, classes)
    bias, found = _bias(table, weight_field, classes)
    weight = table.read(weight_field).astype(np.float64)
    if not np.isfinite(weight).all():
        raise DataError(f"{path}: {shown(weight_field)} holds NaN or infinity")
    return _checked(_norms(weight), bias, found, path)


def _bias(table: Table, beside: str, classes: int) -> tuple[PerClass | None, str]:
    """The bias of the layer whose weight or norms were taken, where it has one; and both in words."""
    if beside.endswith(".weight"):  # of a layer with a name, as in a state dict
        partner = beside.removesuffix("weight") + "bias"
        found = partner if partner in table.fields else None
    else:
        found = _find(table, BIAS_FIELDS, 1)
    others = [one for one in table.fields if one.lower().endswith(".bias")]
    if found is None and not beside.endswith(".weight") and others:
        raise DataError(
            f"{table.path}: which of {', '.join(map(shown, others[:8]))} is the bias of {shown(beside)}? give "
            "a file with one `weight` and one `bias`"
        )
    if found is None:
        return None, f"{shown(beside)}, no bias"
    return _per_class(table, found, classes), f"{shown(beside)} with bias {shown(found)}"


def _model_head(path: Path, classes: int, options: ModelOptions) -> Head:
    head = model_head(path, options)
    if head.weight.shape[0] != classes:
        raise DataError(
            f"{path}: its last layer is {head.found}, of {head.weight.shape[0]} classes, expected {classes}; "
            "give the head with --head FILE"
        )
    if not np.isfinite(head.weight).all():
        raise DataError(f"{path}: the weight of {head.found} holds NaN or infinity")
    return _checked(_norms(head.weight), head.bias, head.found, path)


def _find(table: Table, usual: tuple[str, ...], dimensions: int) -> str | None:
    named = [
        one.name
        for one in table.fields.values()
        if len(one.shape) == dimensions
        and one.kind in ("float", "int")
        and (one.name.lower() in usual or one.name.lower().endswith(tuple(f".{u}" for u in usual)))
    ]
    return named[0] if len(named) == 1 else None


def _weight_field(table: Table, classes: int) -> str:
    matrices = {
        name: one.shape
        for name, one in table.fields.items()
        if len(one.shape) == 2 and one.kind in ("float", "int")
    }
    fitting = [name for name, shape in matrices.items() if shape[0] == classes]
    usual = [n for n in fitting if n.lower().split(".")[-1] in WEIGHT_FIELDS]
    for candidates in (usual, fitting):
        if len(candidates) == 1:
            return candidates[0]
    listed = ", ".join(f"{shown(name)} {shape}" for name, shape in list(matrices.items())[:8])
    transposed = any(shape[1] == classes for shape in matrices.values()) and not fitting
    hint = "; it looks transposed, give it as (classes, features)" if transposed else ""
    raise DataError(
        f"{table.path}: expected one weight of shape ({classes}, features) or `weight_norms` "
        f"({classes},); got {listed or 'no matrix'}{hint}"
    )


def _per_class(table: Table, field: str, classes: int) -> PerClass:
    values = table.read(field)
    if values.shape != (classes,):
        raise DataError(
            f"{table.path}: {shown(field)} has shape {values.shape}, expected ({classes},), one a class"
        )
    if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        raise DataError(f"{table.path}: {shown(field)} must hold finite numbers")
    return values.astype(np.float64)


def _norms(weight: NDArray[np.floating[Any]]) -> PerClass:
    """(k,) L2 norms of the rows of a finite weight (k, d)."""
    # Squares of what lies far from 1 are infinite or 0: such rows are brought to it first.
    with np.errstate(over="ignore", under="ignore"):
        norms: PerClass = np.linalg.norm(weight, axis=1).astype(np.float64)
        far = np.flatnonzero(~((norms > SMALLEST_NORM) & (norms < LARGEST_NORM)))
        largest = np.abs(weight[far]).max(axis=1, keepdims=True, initial=0.0).astype(np.float64)
        scaled = weight[far] / np.where(largest > 0, largest, 1.0)
        norms[far] = largest[:, 0] * np.linalg.norm(scaled, axis=1)
    return norms


def _checked(norms: PerClass, bias: PerClass | None, found: str, path: Path) -> Head:
    """The head, unless weight normalisation could not divide by its norms."""
    usable = (norms >= SMALLEST_NORM) & (norms <= LARGEST_NORM)
    if not usable.all():
        at = int(usable.argmin())
        expected = "above 0"
        if norms[at] > 0:
            expected = f"from {SMALLEST_NORM:g} to {LARGEST_NORM:g}, as of any trained layer"
        raise DataError(
            f"{path}: the weight norm of class {at} is {norms[at]:g}, expected {expected}; weight "
            "normalisation divides by it"
        )
    if bias is not None and not (np.abs(bias) <= LARGEST_BIAS).all():
        at = int((np.abs(bias) <= LARGEST_BIAS).argmin())
        raise DataError(
            f"{path}: the bias of class {at} is {bias[at]:g}, expected at most {LARGEST_BIAS:g} either way, as of any "
            "trained layer"
        )
    return Head(norms, bias, found)
