"""The last linear layer of TorchScript models and exported programs.

From the output backwards, through reshapes, casts and a softmax or sigmoid, to `linear`, `addmm`, or `matmul` with or
without an `add`; anything else is named and refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from lacal.errors import DataError
from lacal.formats.shown import listed, place, printable
from lacal.models.model import ModelHead
from lacal.models.torch.graph import Stored, TorchGraph, open_graph, torch_errors
from lacal.models.torch.load import torch_module

PROBABILITIES = {
    *("aten::softmax", "aten::_softmax", "aten::log_softmax", "aten::_log_softmax"),
    *("aten::sigmoid", "aten::log_sigmoid"),
}
CASTS = {
    *("aten::to", "aten::_to_copy", "aten::type_as", "aten::contiguous", "aten::clone"),
    *("aten::detach", "aten::alias", "aten::lift_fresh_copy", "aten::dequantize"),
}
RESHAPES = {"aten::view", "aten::_unsafe_view", "aten::reshape", "aten::flatten", "aten::squeeze"}
TRANSPOSES = {"aten::t", "aten::transpose", "aten::permute", "aten::numpy_T"}
PRODUCTS = {"aten::matmul", "aten::mm"}
SUMS = {"aten::add", "aten::add_"}
QUANTISED = {"quantized::linear", "quantized::linear_dynamic", "quantized::linear_dynamic_fp16"}


@dataclass(frozen=True, slots=True)
class LinearLayer:
    """A linear layer as the graph has it.

    Attributes:
        operator: "linear", "addmm", "matmul" or "quantized::linear_dynamic".
        weight: The tensor; of a quantised layer, an object that holds weight and bias.
        bias: The tensor, if there is one.
        transposed: Whether the weight is stored as (d, k).
    """

    operator: str
    weight: Stored
    bias: Stored | None
    transposed: bool = False


def torch_head(path: Path, *, trust: bool, output: str | None = None) -> ModelHead:
    """The weight and bias of the last linear layer, without running the model.

    Args:
        path: TorchScript, or an exported program.
        trust: Whether code inside the file may run; TorchScript cannot be looked into without.
        output: Name of the logits, where there are several outputs.

    Returns:
        weight (k, d) and bias (k,) or None, float64 whatever they are stored in.

    Raises:
        UsageError: It needs --trust-model or --output.
        DataError: It cannot be loaded, or ends in something else; what was found is named.
    """
    graph = open_graph(path, trust=trust)
    with torch_errors(path, "reading its head"):
        layer = linear_layer(graph, graph.output(output))
        return _model_head(layer)


def probability_ends(graph: TorchGraph, value: Any) -> list[Any]:
    """The softmaxes, logarithms of one, or sigmoids that a value comes out of; none where it is logits."""
    return [end for end in _ends(graph, value) if graph.operator(end) in PROBABILITIES]


def linear_layer(graph: TorchGraph, value: Any) -> LinearLayer:
    """The linear layer that a value comes out of, a softmax between them or none.

    Raises:
        DataError: It comes out of something else, or of several.
    """
    ends: list[Any] = []
    for end in _ends(graph, value):
        through = graph.operator(end) in PROBABILITIES
        ends += _ends(graph, graph.inputs(end)[0]) if through else [end]
    layers = [_layer(graph, end) for end in ends]
    first = layers[0] if layers else None
    names = {layer.weight.name if layer else None for layer in layers}
    if first is None or len(names) > 1 or (len(layers) > 1 and None in names):
        found = listed(sorted({graph.operator(end) for end in ends}))
        raise DataError(
            f"{place(graph.path)}: does not end in a linear layer that lacal can read; found {found}, expected "
            "linear, addmm, or matmul and add, of tensors in the file; give the head with --head FILE"
        )
    return first


def _ends(graph: TorchGraph, value: Any) -> Iterator[Any]:
    """What a value is computed by, behind casts and reshapes; several where a condition chooses."""
    operator = graph.operator(value)
    if operator in CASTS or operator in RESHAPES:
        yield from _ends(graph, graph.inputs(value)[0])
    elif branches := graph.branches(value):
        for branch in branches:
            yield from _ends(graph, branch)
    else:
        yield value


def _layer(graph: TorchGraph, value: Any) -> LinearLayer | None:
    operator = graph.operator(value)
    if operator in SUMS:
        return _sum(graph, *graph.inputs(value))
    if operator in PRODUCTS:
        _, weight = graph.inputs(value)
        return _built(graph, operator, weight, None, turned=True)
    if operator == "aten::linear":
        _, weight, bias = graph.inputs(value)
        return _built(graph, operator, weight, bias)
    if operator == "aten::addmm":
        bias, _, weight, beta, alpha = graph.inputs(value)
        plain = graph.constant(beta) == 1 and graph.constant(alpha) == 1
        return _built(graph, operator, weight, bias, turned=True) if plain else None
    if operator in QUANTISED:
        packed = graph.stored(graph.inputs(value)[1])
        return LinearLayer(operator, packed, None) if packed is not None else None
    return None


def _sum(graph: TorchGraph, first: Any, second: Any, alpha: Any = 1) -> LinearLayer | None:
    if graph.constant(alpha) != 1:
        return None
    for product, bias in ((first, second), (second, first)):
        if graph.operator(product) in PRODUCTS and _tensor(graph, bias) is not None:
            _, weight = graph.inputs(product)
            return _built(graph, graph.operator(product), weight, bias, turned=True)
    return None


def _built(
    graph: TorchGraph, operator: str, weight: Any, bias: Any, *, turned: bool = False
) -> LinearLayer | None:
    """The layer, if its weight and bias are in the file.

    Args:
        graph: Where they are.
        operator: What the layer is computed by.
        weight: Its weight, perhaps behind casts and transposes.
        bias: Its bias, or None.
        turned: Whether the operator takes the weight as (d, k).
    """
    while graph.operator(weight) in CASTS | TRANSPOSES:
        turned ^= graph.operator(weight) in TRANSPOSES
        weight = graph.inputs(weight)[0]
    matrix, vector = _tensor(graph, weight), None
    if matrix is None or matrix.value.dim() != 2:
        return None
    if bias is not None and graph.constant(bias) is not None:
        vector = _tensor(graph, bias)
        classes = matrix.value.shape[1 if turned else 0]
        if vector is None and not _is_none(graph, bias):
            return None
        if vector is not None and vector.value.numel() != classes:
            return None
    return LinearLayer(operator.removeprefix("aten::"), matrix, vector, turned)


def _tensor(graph: TorchGraph, value: Any) -> Stored | None:
    while graph.operator(value) in CASTS:
        value = graph.inputs(value)[0]
    stored = graph.stored(value)
    return stored if stored and isinstance(stored.value, torch_module().Tensor) else None


def _is_none(graph: TorchGraph, value: Any) -> bool:
    stored = graph.stored(value)
    return stored is not None and stored.value is None


def _model_head(layer: LinearLayer) -> ModelHead:
    weight, bias = layer.weight.value, layer.bias.value if layer.bias else None
    if layer.operator in QUANTISED:
        weight, bias = weight.unpack()
    matrix, vector = _float64(weight), None if bias is None else _float64(bias).reshape(-1)
    if layer.transposed:
        matrix = matrix.T.copy()
    stored = str(weight.dtype).removeprefix("torch.")
    note = "" if stored == "float32" else f", stored as {stored}"
    name = f"'{printable(layer.weight.name)}'" if layer.weight.name else "a constant"
    ends = "no bias" if vector is None else "with bias"
    return ModelHead(
        matrix, vector, f"{layer.operator}, weight {name} {matrix.shape}{note}, {ends}"
    )


def _float64(tensor: Any) -> NDArray[Any]:
    plain = tensor.detach()
    if plain.is_quantized:
        plain = plain.dequantize()
    array: NDArray[Any] = plain.double().numpy()
    return array
