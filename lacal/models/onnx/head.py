"""The last linear layer of an ONNX model.

From the logits backwards, through what only reshapes and retypes and through Adds of a constant, to the node
that multiplies by a stored weight; anything else is named and refused.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.classes.names import near_miss, shown
from lacal.errors import DataError, UsageError
from lacal.formats.shown import listed, place
from lacal.models.model import ModelHead
from lacal.models.onnx.constants import dequantised, stored
from lacal.models.onnx.file import load_onnx
from lacal.models.onnx.graph import FLOATS, Graph
from lacal.models.onnx.node import STANDARD, attribute, described, input_of, is_operator, titled
from lacal.models.onnx.products import LINEAR, Product, vector

ADDS = {"Add", "QLinearAdd"}
POOLS = {"GlobalAveragePool", "ReduceMean"}
DOMAINS = {*STANDARD, "com.microsoft"}
WIDE = ("float32", "float64")
GIVE_HEAD = "give the head with --head FILE"


@dataclass(frozen=True, slots=True)
class Layer:
    """The last linear layer as the graph has it.

    Attributes:
        product: The node that multiplies by the weight, with what it multiplies by.
        bias: (k,) float64 of that node and all Adds behind it; None where there is none.
        adds: Add nodes of a constant behind it, the last one first.
        tensors: Every tensor from the logits back to the product's own, all of the same values but for the Adds.
    """

    product: Product
    bias: NDArray[np.float64] | None
    adds: tuple[Any, ...]
    tensors: tuple[str, ...]


def onnx_head(path: Path, output: str | None) -> ModelHead:
    """The weight and bias of an ONNX model's last linear layer, without running the model.

    Args:
        path: The .onnx file.
        output: Name of the output or inner tensor that holds the logits, or a softmax of them; None where
            there is no choice.

    Returns:
        weight (k, d) and bias (k,) or None, float64, dequantised where they are stored in integers.

    Raises:
        DataError: The logits come from something else, which is named; the file is no sound model; or a
            weight may be replaced at run time.
        UsageError: There is no output of that name.
        MissingExtra: `onnx` is not installed.
    """
    graph = Graph(load_onnx(path))
    layer = linear_layer(graph, path, graph.logits_of(chosen_tensor(graph, path, output)))
    product = layer.product
    kind = "" if product.weight.kind == "float32" else f", stored as {product.weight.kind}"
    bias = "no bias" if layer.bias is None else "with bias"
    name = shown(product.weight.name) if product.weight.name else "a constant"
    found = f"{titled(product.node)}, weight {name} {product.matrix.shape}{kind}, {bias}"
    return ModelHead(product.matrix, layer.bias, found)


def chosen_tensor(graph: Graph, path: Path, output: str | None) -> str:
    """The output or inner tensor that is meant.

    Args:
        graph: The model's graph.
        path: Its file, for messages.
        output: What the user named, or None.

    Returns:
        The named one; else the only one of floats, or, of several that share their logits, the logits
        themselves where they are an output.

    Raises:
        DataError: None was named and several, or none, can be logits.
        UsageError: There is no such tensor.
    """
    if output is not None:
        if output in graph.producers or output in graph.outputs:
            return output
        guess = near_miss(output, tuple(graph.outputs)) or near_miss(output, tuple(graph.producers))
        raise UsageError(
            f"{place(path)}: has no output or inner tensor {shown(output)}; its outputs are "
            f"{listed(graph.outputs)}.{guess}"
        )
    fitting = [name for name in graph.outputs if graph.type_of(name) in (None, *FLOATS.values())]
    logits = {graph.logits_of(name) for name in fitting}
    if len(logits) != 1:
        what = "several outputs that may be the logits" if logits else "no floating-point output"
        raise DataError(
            f"{place(path)}: has {what}, {listed(fitting or graph.outputs)}; choose one with --output NAME"
        )
    only = logits.pop()
    return only if only in fitting else fitting[0]


@np.errstate(all="ignore")  # numbers that are not finite are seen by whoever uses the head
def linear_layer(graph: Graph, path: Path, logits: str) -> Layer:
    """The linear layer that logits come out of.

    Args:
        graph: The model's graph.
        path: Its file, for messages.
        logits: Name of the tensor.

    Raises:
        DataError: They come out of something else.
    """
    tensors: list[str] = []
    adds: list[Any] = []
    pooled, at = False, logits
    while at not in tensors:
        tensors += [name for name in graph.sources(at) if name not in tensors]
        node = graph.producers.get(tensors[-1])
        if node is None:
            raise DataError(
                f"{place(path)}: the logits {shown(logits)} are an input or a constant; expected a linear "
                f"layer; {GIVE_HEAD}"
            )
        if node.op_type in ADDS and (operand := _operand(graph, path, node)) is not None:
            adds.append(node)
            at = operand
        elif node.op_type in POOLS and _is_spatial(graph, path, node):
            pooled, at = True, input_of(node, 0)
        elif is_operator(node, "DequantizeLinear", quantised=True):
            at = input_of(node, 0)
        else:
            return _layer(graph, path, node, adds, tensors, pooled=pooled)
    raise DataError(f"{place(path)}: the graph runs in a circle; it is damaged, export it again")


def is_wide(graph: Graph, layer: Layer) -> bool:
    """Whether a layer is stored, and computed up to the logits, in float32 or float64 throughout."""
    for name in layer.tensors:
        node = graph.producers[name]
        if node.op_type in ("DequantizeLinear", "QLinearAdd"):
            return False
        if node.op_type == "Cast" and FLOATS.get(attribute(node, "to", 0)) not in WIDE:
            return False
    return layer.product.weight.plain


def _layer(
    graph: Graph, path: Path, node: Any, adds: list[Any], tensors: list[str], *, pooled: bool
) -> Layer:
    read = LINEAR.get(node.op_type) if node.domain in DOMAINS else None
    linear = read is not None and (not pooled or node.op_type == "Conv")
    product = None
    if read is not None and linear:
        try:
            product = read(graph, path, node)
        except (ValueError, TypeError, IndexError):  # shapes that do not go together
            product = None
    if product is None:
        known = linear and node.op_type != "Mul"
        what = "whose weight is not in the file as lacal expects it" if known else "no linear layer"
        raise DataError(
            f"{place(path)}: the logits come from {described(node)}, {what}; expected Gemm, MatMul with or "
            f"without Add, a 1x1 Conv, or one of them quantised; {GIVE_HEAD}"
        )
    bias = product.bias
    for add in adds:
        added = vector(_added(graph, path, add), product.matrix.shape[0])
        if added is None:
            raise DataError(
                f"{place(path)}: {described(add)} behind the head {described(node)} adds no number for each "
                f"of its {product.matrix.shape[0]} classes; {GIVE_HEAD}"
            )
        bias = added if bias is None else bias + added
    return Layer(product, bias, tuple(adds), tuple(tensors))


def _operand(graph: Graph, path: Path, add: Any) -> str | None:
    """What a constant is added to; None where no side of an Add is stored."""
    first, second = _sides(add)
    for side, other in ((second, first), (first, second)):
        if stored(graph, path, input_of(add, side)) is not None:
            return input_of(add, other)
    return None


def _added(graph: Graph, path: Path, add: Any) -> NDArray[Any] | None:
    """The constant that an Add adds, as the numbers it stands for."""
    side, second = _sides(add)
    if (found := stored(graph, path, input_of(add, second))) is not None:
        side = second
    else:
        found = stored(graph, path, input_of(add, side))
    if found is None or add.op_type == "Add":
        return None if found is None else found.values
    scale, zero = input_of(add, side + 1), input_of(add, side + 2)
    return dequantised(graph, path, found.values, scale, zero, -1)


def _sides(add: Any) -> tuple[int, int]:
    return (0, 1) if add.op_type == "Add" else (0, 3)


def _is_spatial(graph: Graph, path: Path, pool: Any) -> bool:
    """Whether a pooling node averages over the places of a map, and over nothing else."""
    if pool.op_type == "GlobalAveragePool":
        return True
    axes = attribute(pool, "axes", kind=list)
    if axes is None:
        given = stored(graph, path, input_of(pool, 1))
        axes = [] if given is None else given.values.reshape(-1).tolist()
    return bool(axes) and all(
        isinstance(axis, int) and (axis >= 2 or axis in (-1, -2)) for axis in axes
    )
