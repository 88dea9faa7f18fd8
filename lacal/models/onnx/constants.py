"""Weights stored in an ONNX graph, as the graph computes with them: turned, reshaped, dequantised."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.classes.names import shown
from lacal.errors import DataError
from lacal.formats.shown import place
from lacal.models.onnx.graph import FLOATS, Graph
from lacal.models.onnx.node import array_of, attribute, input_of, is_operator, is_standard

STEPS_LIMIT = 32  # nodes between a stored tensor and its use; a cycle would have no end
DEPTH_LIMIT = 3
STEPS = {"Identity", "Cast", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze"}


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored tensor as some node takes it.

    Attributes:
        values: Its numbers; float64 where they were dequantised.
        name: What it is stored as.
        kind: Type it is stored in, by NumPy's name.
        direct: Whether the node takes it as it is stored.
    """

    values: NDArray[Any]
    name: str
    kind: str
    direct: bool

    @property
    def plain(self) -> bool:
        """Whether it is stored, and taken, in float32 or float64."""
        return self.kind in ("float32", "float64") and self.values.dtype.name == self.kind


def stored(graph: Graph, path: Path, name: str, depth: int = 0) -> Stored | None:
    """The tensor of a name, if it is stored in the graph behind nodes that turn, reshape, retype or dequantise.

    Args:
        graph: Where to look.
        path: The model's file, for messages.
        name: What a node takes.
        depth: How many stored tensors say how to lay out another that leads to this one.

    Returns:
        It; None where it is computed from something else.

    Raises:
        DataError: A caller may replace it at run time, or its numbers cannot be read.
    """
    steps: list[Any] = []
    if not name or depth == DEPTH_LIMIT:
        return None
    while (tensor := graph.tensor(name)) is None:
        node = graph.producers.get(name)
        if node is None or len(steps) == STEPS_LIMIT or not _is_step(node):
            return None
        steps.append(node)
        name = node.input[0]
    if name in graph.overridable:
        raise DataError(
            f"{place(path)}: tensor {shown(name)} of the head is an input of the graph as well, so it may be "
            "another at run time; export the model with its weights as constants, or give the head with "
            "--head FILE"
        )
    first = array_of(tensor)
    if first is None:
        raise DataError(
            f"{place(path)}: the numbers of tensor {shown(name)} cannot be read; the model is damaged, "
            "export it again"
        )
    values: NDArray[Any] | None = first
    for node in reversed(steps):
        values = None if values is None else _stepped(graph, path, node, values, depth + 1)
    return None if values is None else Stored(values, name, first.dtype.name, not steps)


def dequantised(
    graph: Graph, path: Path, values: NDArray[Any], scale: str, zero: str, axis: int, depth: int = 0
) -> NDArray[np.float64] | None:
    """Integers as the numbers they stand for, (values - zero) * scale.

    Args:
        graph: Where scale and zero point are stored.
        path: The model's file, for messages.
        values: Integers of any shape.
        scale: Name of the scale: one number, one for each index along the axis, or one for a block of them.
        zero: Name of the zero point, of the scale's shape; empty for none.
        axis: Along which scales differ.
        depth: As of `stored`.

    Returns:
        Of the same shape; None where a scale or zero point is not stored, or does not fit.
    """
    factor = stored(graph, path, scale, depth)
    offset = stored(graph, path, zero, depth) if zero else None
    if (
        factor is None
        or (zero and offset is None)
        or not -values.ndim <= axis < max(values.ndim, 1)
    ):
        return None
    spread = _along(factor.values, values.shape, axis)
    shift = np.zeros(()) if offset is None else _along(offset.values, values.shape, axis)
    if spread is None or shift is None:
        return None
    return (values.astype(np.float64) - shift) * spread


def _along(given: NDArray[Any], shape: tuple[int, ...], axis: int) -> NDArray[np.float64] | None:
    """Numbers laid out so that they broadcast along one axis of a shape."""
    numbers = given.astype(np.float64)
    if numbers.size == 1:
        return numbers.reshape(())
    side = shape[axis]
    if numbers.ndim == 1 and numbers.size == side:
        return numbers.reshape([-1 if at == axis % len(shape) else 1 for at in range(len(shape))])
    if numbers.ndim == len(shape) and numbers.shape[axis] and side % numbers.shape[axis] == 0:
        blocks = numbers.repeat(side // numbers.shape[axis], axis)
        return blocks if blocks.shape == shape else None
    return None


def _is_step(node: Any) -> bool:
    if not input_of(node, 0):
        return False
    dequantises = is_operator(node, "DequantizeLinear", quantised=True)
    return dequantises or (is_standard(node) and node.op_type in STEPS)


def _stepped(
    graph: Graph, path: Path, node: Any, values: NDArray[Any], depth: int
) -> NDArray[Any] | None:
    """What a node makes of stored numbers; None where that cannot be told."""
    try:
        match node.op_type:
            case "Cast":
                kind = FLOATS.get(attribute(node, "to", 0))
                return None if kind is None else _cast(values, kind)
            case "Transpose":
                return values.transpose(attribute(node, "perm", kind=list))
            case "Reshape":
                return _reshaped(node, values, stored(graph, path, input_of(node, 1), depth))
            case "Flatten":
                lead = values.shape[: attribute(node, "axis", 1)]
                return values.reshape(math.prod(lead), -1)
            case "Squeeze" | "Unsqueeze":
                return _squeezed(node, values, stored(graph, path, input_of(node, 1), depth))
            case "DequantizeLinear":
                scale, zero, axis = input_of(node, 1), input_of(node, 2), attribute(node, "axis", 1)
                return dequantised(graph, path, values, scale, zero, axis, depth)
    except (ValueError, TypeError, IndexError):  # shapes that do not go together
        return None
    return values


def _cast(values: NDArray[Any], kind: str) -> NDArray[Any]:
    if kind != "bfloat16":
        return values.astype(kind)
    from onnx import TensorProto, helper

    return values.astype(helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16))


def _reshaped(node: Any, values: NDArray[Any], shape: Stored | None) -> NDArray[Any] | None:
    if shape is None:
        return None
    sides = [int(side) for side in shape.values]
    if not attribute(node, "allowzero", 0):
        sides = [side or values.shape[at] for at, side in enumerate(sides)]
    return values.reshape(sides)


def _squeezed(node: Any, values: NDArray[Any], given: Stored | None) -> NDArray[Any] | None:
    axes = attribute(node, "axes", kind=list)  # an input since opset 13
    if axes is None and input_of(node, 1):
        if given is None:
            return None
        axes = given.values.reshape(-1).tolist()
    if node.op_type == "Squeeze":
        return values.squeeze(None if axes is None else tuple(axes))
    return None if axes is None else np.expand_dims(values, tuple(axes))
