"""An adjustment folded into the head of an ONNX graph: its weight and bias become others, no node is added.

All is computed in float64 and rounded once.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.adjustment import Adjustment
from lacal.classes.names import shown
from lacal.errors import DataError, UsageError
from lacal.formats.shown import place
from lacal.models.onnx.constants import Stored, stored
from lacal.models.onnx.file import onnx_library
from lacal.models.onnx.graph import Graph
from lacal.models.onnx.head import Layer, is_wide, linear_layer
from lacal.models.onnx.node import attribute, described, input_of, is_operator, is_standard
from lacal.models.onnx.products import vector
from lacal.models.onnx.site import Site

LEAVE_OUT = "leave --fold out to append the adjustment instead"


@np.errstate(all="ignore")  # what is not finite is refused
def folded(graph: Graph, path: Path, model: Any, site: Site, adjustment: Adjustment) -> str:
    """Fold an adjustment into the head of a ModelProto, which is changed; what was done.

    A tensor that something else takes as well is copied, never edited.

    Args:
        graph: The model's graph.
        path: Its file, for messages.
        model: The ModelProto.
        site: Where the logits are.
        adjustment: (k,).

    Raises:
        UsageError: The head is none that can be folded into, or not only the chosen logits come from it.
        DataError: The head is of another width, or the sum is beyond its type.
    """
    if not np.isfinite(adjustment.offset).all():
        raise UsageError(
            f"{place(path)}: a class that is never to be predicted has no bias that says so; {LEAVE_OUT}"
        )
    try:
        layer = linear_layer(graph, path, site.logits)
    except DataError as error:
        raise UsageError(f"{error}; with export, {LEAVE_OUT}") from error
    _check_foldable(graph, path, layer)
    _check_alone(graph, path, site, layer)
    classes = layer.product.matrix.shape[0]
    if classes != adjustment.classes:
        raise DataError(
            f"{place(path)}: its head has {classes} classes, the adjustment has {adjustment.classes}; they "
            "must come from the same model"
        )
    scaled = bool((adjustment.scale != 1).any())
    if scaled:
        _fold_weight(path, model, layer, adjustment.scale)
    biased = layer.bias is not None
    if layer.adds:
        _fold_sum(path, model, layer, adjustment)
    else:
        _fold_gemm(path, model, layer, adjustment)
    what = "weight and bias edited" if scaled else "bias edited"
    if not biased:
        what = "weight edited and bias added" if scaled else "bias added"
    return f"{what} in {described(layer.product.node)}"


def _check_foldable(graph: Graph, path: Path, layer: Layer) -> None:
    node = layer.product.node
    head = f"{place(path)}: the head is {described(node)}"
    weight = layer.product.weight
    if not weight.plain:
        raise UsageError(f"{head}, its weight stored as {weight.kind}; {LEAVE_OUT}")
    if not is_wide(graph, layer):
        raise UsageError(f"{head}, followed by steps that round more than float32; {LEAVE_OUT}")
    if is_operator(node, "MatMul") and not layer.adds:
        raise UsageError(f"{head} without a bias to fold into; {LEAVE_OUT}")
    adds = len(layer.adds)
    if not is_standard(node) or (node.op_type, adds) not in (("Gemm", 0), ("MatMul", 1)):
        behind = f" and {adds} Add" + "s" * (adds > 1) if adds else ""
        raise UsageError(f"{head}{behind}, expected Gemm alone, or MatMul and an Add; {LEAVE_OUT}")


def _check_alone(graph: Graph, path: Path, site: Site, layer: Layer) -> None:
    """What comes out of the head must go nowhere but into the chosen logits."""
    allowed = {id(node) for node in site.takers}
    for name in layer.tensors:
        others = [node for node in graph.consumers.get(name, []) if id(node) not in allowed]
        listed = name in graph.outputs and not (name == site.logits == site.chosen)
        if others or listed:
            use = f"used by {described(others[0])}" if others else "an output of its own"
            raise UsageError(
                f"{place(path)}: {shown(name)}, which comes out of the head, is {use} as well; {LEAVE_OUT}"
            )
        allowed = {id(graph.producers[name])}


def _fold_weight(path: Path, model: Any, layer: Layer, scale: NDArray[np.float64]) -> None:
    node, weight = layer.product.node, layer.product.weight
    rows = node.op_type == "Gemm" and attribute(node, "transB", 0)
    factor = scale[:, None] if rows else scale
    _put(path, model, node, 1, weight, weight.values.astype(np.float64) * factor)


def _fold_gemm(path: Path, model: Any, layer: Layer, adjustment: Adjustment) -> None:
    node, beta = layer.product.node, attribute(layer.product.node, "beta", 1.0)
    graph = Graph(model)
    old = stored(graph, path, input_of(node, 2)) if beta else None
    values = None if old is None else vector(old.values, adjustment.classes)
    if values is None:
        kept = [one for one in node.attribute if one.name != "beta"]
        del node.attribute[:]
        node.attribute.extend(kept)
        _put(path, model, node, 2, old, adjustment.offset, layer.product.weight.kind)
    else:
        # Gemm multiplies its third input by beta.
        _put(path, model, node, 2, old, values * adjustment.scale + adjustment.offset / beta)


def _fold_sum(path: Path, model: Any, layer: Layer, adjustment: Adjustment) -> None:
    (add,) = layer.adds
    graph = Graph(model)
    at = next(at for at in (1, 0) if stored(graph, path, input_of(add, at)) is not None)
    bias = 0.0 if layer.bias is None else layer.bias  # which is what the one Add adds
    values = bias * adjustment.scale + adjustment.offset
    _put(path, model, add, at, stored(graph, path, input_of(add, at)), values)


def _put(
    path: Path,
    model: Any,
    node: Any,
    at: int,
    old: Stored | None,
    values: NDArray[np.float64],
    kind: str | None = None,
) -> None:
    """Let a node take other numbers in one place: edited there where nothing else takes them, else a copy."""
    onnx = onnx_library("writing an ONNX model")
    kind = kind or (old.values.dtype.name if old else "float32")
    array = values.astype(kind)
    if old is not None and old.values.size == array.size:
        array = array.reshape(old.values.shape)
    if not np.isfinite(array).all():
        raise DataError(
            f"{place(path)}: the adjusted head is outside the range of {kind}; tune the adjustment anew"
        )
    graph = Graph(model)
    taken = input_of(node, at)
    if old is not None and _editable(graph, taken, old, array.shape):
        tensor = graph.initialisers[taken]
        said = tensor.doc_string
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, taken))
        tensor.doc_string = said
        return
    name = _free(graph, f"{node.output[0]}/lacal_{'weight' if at == 1 else 'bias'}")
    constant = onnx.helper.make_node(
        "Constant", [], [name], name, value=onnx.numpy_helper.from_array(array, name)
    )
    while len(node.input) <= at:
        node.input.append("")
    node.input[at] = name
    model.graph.node.insert(0, constant)
    _drop_unused(model, taken)


def _editable(graph: Graph, name: str, old: Stored, shape: tuple[int, ...]) -> bool:
    """Whether a tensor is stored as it is taken, and taken once."""
    if not old.direct or name not in graph.initialisers or name in graph.outputs:
        return False
    users = graph.consumers[name]
    alone = len(users) == 1 and list(users[0].input).count(name) == 1
    return alone and tuple(graph.initialisers[name].dims) == shape


def _free(graph: Graph, wanted: str) -> str:
    name = wanted
    while graph.has_tensor(name):
        name += "_"
    return name


def _drop_unused(model: Any, name: str) -> None:
    """Remove a weight that nothing takes any more, and what only led from it."""
    waiting = [name]
    while waiting:
        name = waiting.pop()
        graph = Graph(model)
        if not name or name in graph.consumers or name in graph.outputs:
            continue
        if name in graph.producers:
            node = graph.producers[name]  # a step to a stored weight, of one output
            waiting += node.input
            model.graph.node.remove(node)
        elif name in graph.initialisers and name not in {one.name for one in model.graph.input}:
            at = [one.name for one in model.graph.initializer].index(name)
            del model.graph.initializer[at]
