"""An adjustment appended to an ONNX graph right behind its logits."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.adjustment import Adjustment
from lacal.classes.names import shown
from lacal.errors import DataError
from lacal.formats.shown import place
from lacal.models.onnx.file import all_nodes, onnx_library
from lacal.models.onnx.graph import FLOATS, Graph
from lacal.models.onnx.head import is_wide, linear_layer
from lacal.models.onnx.site import Site

LEAST_OPSET = 7  # before it, Add did not broadcast as NumPy does


def appended(
    graph: Graph, path: Path, model: Any, site: Site, adjustment: Adjustment
) -> tuple[str, bool, str | None]:
    """Put the adjustment behind the logits of a ModelProto, which is changed.

    Returns:
        What was done; whether it is exact to the bit; and under which name the adjusted logits are found,
        where that is not the chosen one.

    Raises:
        DataError: The adjustment is beyond the type it is computed in, or the opset is too old.
    """
    if graph.opset < LEAST_OPSET:
        raise DataError(
            f"{place(path)}: is of opset {graph.opset}; expected {LEAST_OPSET} or later; export it again"
        )
    barrier, exact = _surroundings(graph, path, site)
    names = _Names(model)
    raw, adjusted, fed = _tensors(graph, site, names)
    _rewire(graph, site, raw, fed)
    steps = _Steps(names, raw)
    if barrier:
        # A Concat of one changes nothing, and keeps a runtime from melting Add, Mul or Cast into the head.
        steps.add("Concat", axis=1)
    if site.half:
        steps.add("Cast", to=_number("float32"))
    scale, offset = rounded(adjustment, "float64" if site.kind == "float64" else "float32")
    if scale is not None:
        steps.add("Mul", constant=scale.reshape(site.columns))
    steps.add("Add", constant=offset.reshape(site.columns), output=adjusted)
    if fed != adjusted:
        steps.add("Cast", to=_number(site.kind), output=fed)
    _insert(model, raw, steps.nodes)
    _declare(model, site, raw, adjusted, fed)
    what = "Add" if scale is None else "Mul and Add"
    where = "" if site.chosen == site.logits else f", in front of {shown(site.chosen)}"
    return (
        f"{what} appended behind the logits {shown(site.logits)}{where}",
        exact,
        None if adjusted == site.chosen else adjusted,
    )


def rounded(adjustment: Adjustment, kind: str) -> tuple[NDArray[Any] | None, NDArray[Any]]:
    """Scale (k,), None where it changes nothing, and offset (k,), in the float type they are used in.

    Raises:
        DataError: They are beyond it.
    """
    with np.errstate(over="ignore", under="ignore"):
        scale, offset = adjustment.scale.astype(kind), adjustment.offset.astype(kind)
    fits = np.array_equal(np.isfinite(offset), np.isfinite(adjustment.offset))
    if not (fits and np.isfinite(scale).all() and (scale > 0).all()):
        raise DataError(
            f"adjustment: is outside the range of {kind}, in which the model computes; tune it anew"
        )
    return (None if (scale == 1).all() else scale), offset


class _Names:
    """Names that are not taken yet."""

    def __init__(self, model: Any) -> None:
        graph = model.graph
        held = (*graph.input, *graph.output, *graph.initializer, *graph.value_info)
        self._taken = {one.name for one in held}
        for node in all_nodes(model):
            self._taken.update((node.name, *node.input, *node.output))

    def free(self, wanted: str) -> str:
        name, tried = wanted, 1
        while name in self._taken:
            tried += 1
            name = f"{wanted}_{tried}"
        self._taken.add(name)
        return name


class _Steps:
    """Nodes in a row, each taking what the last one gave."""

    def __init__(self, names: _Names, start: str) -> None:
        self.nodes: list[Any] = []
        self._names, self._at = names, start

    def add(
        self,
        operator: str,
        *,
        constant: NDArray[Any] | None = None,
        output: str | None = None,
        **attributes: int,
    ) -> None:
        onnx = onnx_library("writing an ONNX model")
        inputs, name = [self._at], self._names.free(f"lacal/{operator}")
        if constant is not None:
            inputs.append(self._names.free(f"{name}/constant"))
            tensor = onnx.numpy_helper.from_array(constant, inputs[1])
            # No initialiser: before IR 4 that would have to be an input as well.
            self.nodes.append(
                onnx.helper.make_node("Constant", [], [inputs[1]], inputs[1], value=tensor)
            )
        self._at = output or self._names.free(f"{name}/output")
        self.nodes.append(onnx.helper.make_node(operator, inputs, [self._at], name, **attributes))


def _surroundings(graph: Graph, path: Path, site: Site) -> tuple[bool, bool]:
    """Whether a barrier is needed behind the logits, and whether the sum is exact to the bit.

    Runtimes melt an Add into a MatMul or Conv in front of it, and take two Casts for none.
    """
    try:
        layer = linear_layer(graph, path, site.logits)
    except DataError:
        return True, False
    if site.half or not is_wide(graph, layer):
        return True, False
    operator = layer.product.node.op_type
    return operator != "Gemm" and not layer.adds, operator in ("Gemm", "MatMul")


def _tensors(graph: Graph, site: Site, names: _Names) -> tuple[str, str, str]:
    """Names of the logits as they were, adjusted, and as what follows takes them."""
    logits = site.logits
    if logits not in graph.outputs:
        raw = names.free(f"{logits}/lacal_original")
        return raw, names.free(f"{logits}/lacal_adjusted") if site.half else logits, logits
    if site.chosen == logits:
        raw, adjusted = names.free(f"{logits}/lacal_original"), logits
    else:
        raw, adjusted = logits, names.free(f"{logits}/lacal_adjusted")
    rounds = site.half and site.takers
    return raw, adjusted, names.free(f"{logits}/lacal_{site.kind}") if rounds else adjusted


def _rewire(graph: Graph, site: Site, raw: str, fed: str) -> None:
    taking = {id(node) for node in site.takers}
    for node in graph.consumers.get(site.logits, []):
        _rename(node, site.logits, fed if id(node) in taking else raw)
    outputs = graph.producers[site.logits].output
    outputs[list(outputs).index(site.logits)] = raw


def _rename(node: Any, old: str, new: str) -> None:
    """Let a node, and the graphs inside it, take another tensor."""
    for at, name in enumerate(node.input):
        if name == old:
            node.input[at] = new
    for one in node.attribute:
        for graph in (one.g, *one.graphs) if one.HasField("g") else one.graphs:
            for inner in graph.node:
                _rename(inner, old, new)


def _insert(model: Any, after: str, nodes: list[Any]) -> None:
    at = next(at for at, node in enumerate(model.graph.node, 1) if after in node.output)
    for step, node in enumerate(nodes):
        model.graph.node.insert(at + step, node)


def _declare(model: Any, site: Site, raw: str, adjusted: str, fed: str) -> None:
    """Say the types of tensors that have new names or types; shapes are as they were."""
    if site.value is None or not site.value.type.tensor_type.elem_type:
        return
    widened = _number("float32") if site.half else site.value.type.tensor_type.elem_type
    for name in dict.fromkeys((raw, adjusted, fed)):
        if name == site.logits:
            continue
        added = model.graph.value_info.add()
        added.CopyFrom(site.value)
        added.name = name
        if name == adjusted:
            added.type.tensor_type.elem_type = widened
    if adjusted == site.logits:
        for value in (*model.graph.output, *model.graph.value_info):
            if value.name == site.logits:
                value.type.tensor_type.elem_type = widened


def _number(kind: str) -> int:
    return next(number for number, name in FLOATS.items() if name == kind)
