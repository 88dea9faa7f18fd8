"""The operators of ONNX and onnxruntime that multiply by a stored weight, each read as (k, d) and (k,)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.models.onnx.constants import Stored, dequantised, stored
from lacal.models.onnx.graph import Graph
from lacal.models.onnx.node import attribute, input_of, is_operator

FACTORS_LIMIT = 8  # of a product of scales


@dataclass(frozen=True, slots=True)
class Product:
    """A node that multiplies features by a stored weight.

    Attributes:
        node: The node.
        weight: Its weight as stored.
        matrix: The same as (k, d) float64, with everything it is multiplied by.
        bias: (k,) float64 that the node itself adds, or None.
    """

    node: Any
    weight: Stored
    matrix: NDArray[np.float64]
    bias: NDArray[np.float64] | None = None


Reader = Callable[[Graph, Path, Any], Product | None]


def vector(values: NDArray[Any] | None, classes: int) -> NDArray[np.float64] | None:
    """A constant as (k,) float64; None where it does not give each class a number."""
    if values is None or values.size not in (1, classes):
        return None
    if values.ndim == 2 and values.shape[1] == 1 != classes == values.shape[0]:
        return None  # a number a row, not a class
    return np.broadcast_to(values.astype(np.float64).reshape(-1), (classes,)).copy()


def _gemm(graph: Graph, path: Path, node: Any) -> Product | None:
    turned = not attribute(node, "transB", 0)
    product = _float(graph, path, node, turned=turned)
    if product is None:
        return None
    alpha, beta = attribute(node, "alpha", 1.0), attribute(node, "beta", 1.0)
    bias, third = None, input_of(node, 2)
    if third:
        found = stored(graph, path, third)
        bias = vector(found.values if found else None, product.matrix.shape[0])
        if bias is None:
            return None
        bias = bias * beta
    return Product(node, product.weight, product.matrix * alpha, bias)


def _matmul(graph: Graph, path: Path, node: Any) -> Product | None:
    product = _float(graph, path, node, turned=not attribute(node, "transB", 0))
    if product is None or attribute(node, "transBatchB", 0):
        return None
    return Product(node, product.weight, product.matrix * attribute(node, "alpha", 1.0))


def _conv(graph: Graph, path: Path, node: Any) -> Product | None:
    """A convolution that looks at one place at a time: the same linear layer at each."""
    found = stored(graph, path, input_of(node, 1))
    sides: tuple[int, ...] = () if found is None else found.values.shape
    if found is None or len(sides) < 3 or any(side != 1 for side in sides[2:]):
        return None
    if attribute(node, "group", 1) != 1 or any(attribute(node, "pads", [])):
        return None
    matrix = found.values.reshape(sides[:2]).astype(np.float64)
    bias, third = None, input_of(node, 2)
    if third:
        added = stored(graph, path, third)
        bias = vector(added.values if added else None, matrix.shape[0])
        if bias is None:
            return None
    return Product(node, found, matrix, bias)


def _qgemm(graph: Graph, path: Path, node: Any) -> Product | None:
    product = _integers(graph, path, node, 3, 4, 5, turned=not attribute(node, "transB", 0))
    if product is None:
        return None
    alpha, bias = attribute(node, "alpha", 1.0), None
    if input_of(node, 6):
        added = stored(graph, path, input_of(node, 6))
        scales = [stored(graph, path, input_of(node, at)) for at in (1, 4)]
        if added is None or scales[0] is None or scales[1] is None:
            return None
        scale = scales[0].values.astype(np.float64) * scales[1].values * alpha
        bias = vector(added.values.reshape(-1) * scale, product.matrix.shape[0])
        if bias is None:
            return None
    return Product(node, product.weight, product.matrix * alpha, bias)


def _qlinear_matmul(graph: Graph, path: Path, node: Any) -> Product | None:
    return _integers(graph, path, node, 3, 4, 5, turned=True)


def _integer_to_float(graph: Graph, path: Path, node: Any) -> Product | None:
    return _with_bias(graph, path, _integers(graph, path, node, 1, 3, 5, turned=True), 6)


def _dynamic_matmul(graph: Graph, path: Path, node: Any) -> Product | None:
    return _with_bias(graph, path, _integers(graph, path, node, 1, 2, 3, turned=True), 4)


def _scaled(graph: Graph, path: Path, node: Any) -> Product | None:
    """MatMulInteger, cast to floats and multiplied by the scales of its inputs."""
    scale = np.ones(())
    integers: Any = None
    for name in _factors(graph, node):
        end = list(graph.sources(name))[-1]
        before = graph.producers.get(end)
        constant = stored(graph, path, name)
        if constant is not None:
            scale = scale * constant.values.astype(np.float64).reshape(-1)
        elif before is not None and is_operator(before, "MatMulInteger") and integers is None:
            integers = before
        elif before is None or before.op_type != "DynamicQuantizeLinear":
            return None  # a product with something else
    if integers is None:
        return None
    product = _integers(graph, path, integers, 1, None, 3, turned=True)
    factor = vector(scale, product.matrix.shape[0]) if product else None
    if product is None or factor is None:
        return None
    return Product(integers, product.weight, product.matrix * factor[:, None])


def _factors(graph: Graph, node: Any) -> Iterator[str]:
    """What is multiplied in a tree of Muls."""
    waiting, seen = list(node.input), 0
    while waiting and seen < FACTORS_LIMIT:
        seen += 1
        name = waiting.pop()
        inner = graph.producers.get(list(graph.sources(name))[-1])
        if inner is not None and is_operator(inner, "Mul"):
            waiting += inner.input
        else:
            yield name


def _float(graph: Graph, path: Path, node: Any, *, turned: bool) -> Product | None:
    """The node's second input as a weight in floats, dequantised if need be."""
    found = stored(graph, path, input_of(node, 1))
    matrix = None if found is None else _matrix(found.values, turned=turned)
    return None if found is None or matrix is None else Product(node, found, matrix)


def _integers(
    graph: Graph, path: Path, node: Any, at: int, scale: int | None, zero: int, *, turned: bool
) -> Product | None:
    """A weight of integers at one place of the inputs, its scale and zero point at others."""
    found = stored(graph, path, input_of(node, at))
    matrix = None if found is None else _matrix(found.values, turned=turned)
    if found is None or matrix is None:
        return None
    if scale is None:
        if not input_of(node, zero):
            return Product(node, found, matrix)
        shift = stored(graph, path, input_of(node, zero))
        less = vector(shift.values if shift else None, matrix.shape[0])
        return None if less is None else Product(node, found, matrix - less[:, None])
    real = dequantised(graph, path, matrix, input_of(node, scale), input_of(node, zero), 0)
    return None if real is None else Product(node, found, real)


def _with_bias(graph: Graph, path: Path, product: Product | None, at: int) -> Product | None:
    if product is None or not input_of(product.node, at):
        return product
    added = stored(graph, path, input_of(product.node, at))
    bias = vector(added.values if added else None, product.matrix.shape[0])
    return None if bias is None else Product(product.node, product.weight, product.matrix, bias)


def _matrix(values: NDArray[Any], *, turned: bool) -> NDArray[np.float64] | None:
    """A stored weight as (k, d) float64; None where it is no matrix."""
    if values.ndim < 2 or any(side != 1 for side in values.shape[:-2]):
        return None
    matrix = values.reshape(values.shape[-2:]).astype(np.float64)
    return np.ascontiguousarray(matrix.T) if turned else matrix


LINEAR: dict[str, Reader] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "FusedMatMul": _matmul,
    "Conv": _conv,
    "QGemm": _qgemm,
    "QLinearMatMul": _qlinear_matmul,
    "MatMulIntegerToFloat": _integer_to_float,
    "DynamicQuantizeMatMul": _dynamic_matmul,
    "Mul": _scaled,
}
