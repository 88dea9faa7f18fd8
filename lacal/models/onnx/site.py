"""Where in an ONNX graph an adjustment goes, and which outputs it changes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lacal.classes.names import shown
from lacal.errors import DataError, UsageError
from lacal.formats.shown import listed, place
from lacal.models.onnx.file import onnx_library
from lacal.models.onnx.graph import FLOATS, Graph

HALVES = ("float16", "bfloat16")


@dataclass(frozen=True, slots=True)
class Site:
    """Where an adjustment goes.

    Attributes:
        chosen: The output or inner tensor that was meant.
        logits: The logits: `chosen`, or the tensor it is a softmax of.
        takers: Nodes that are to take the adjusted logits; all others go on taking the original.
        changed: Outputs that change.
        unchanged: Outputs that depend on the logits and do not change.
        kind: Float type of the logits, by NumPy's name.
        value: ValueInfoProto of the logits, as far as it is known; else None.
        columns: Shape in which (k,) numbers broadcast along the classes.
    """

    chosen: str
    logits: str
    takers: tuple[Any, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    kind: str
    value: Any
    columns: tuple[int, ...]

    @property
    def half(self) -> bool:
        """Whether the logits are too coarse to be adjusted in their own type."""
        return self.kind in HALVES


def site_of(graph: Graph, path: Path, model: Any, chosen: str, classes: int) -> Site:
    """Where an adjustment of the chosen tensor goes.

    Args:
        graph: The model's graph.
        path: Its file, for messages.
        model: The ModelProto.
        chosen: An output or inner tensor: logits, or a softmax of them.
        classes: How many there must be.

    Raises:
        DataError: The logits are not computed in the graph, no floats, or of another width.
        UsageError: No output depends on them.
    """
    logits = graph.logits_of(chosen)
    if logits not in graph.producers or graph.tensor(logits) is not None:
        raise DataError(
            f"{place(path)}: the logits {shown(logits)} are not computed in the graph; export it with its head"
        )
    takers = graph.consumers.get(logits, [])
    if chosen != logits or chosen in graph.outputs:
        softmaxes = [one for one in graph.outputs if graph.probabilities_of(one) == logits]
        ends = {id(node) for end in {chosen, *softmaxes} for node in graph.ancestors(end)}
        takers = [node for node in takers if id(node) in ends]
    taking, original = {id(node) for node in takers}, graph.consumers.get(logits, [])
    behind = {name: {id(node) for node in graph.ancestors(name)} for name in graph.outputs}
    changed = [name for name in graph.outputs if behind[name] & taking or name == chosen == logits]
    left = {id(node) for node in original} - taking
    unchanged = [name for name in graph.outputs if behind[name] & left or name == logits != chosen]
    unchanged = [name for name in unchanged if name not in changed]
    if not changed:
        raise UsageError(
            f"{place(path)}: no output depends on {shown(logits)}; its outputs are {listed(graph.outputs)}; "
            "name the logits behind one of them with --output"
        )
    value = _described(graph, model, logits)
    number = value.type.tensor_type.elem_type if value is not None else 0
    kind = FLOATS.get(number) if number else "float32"  # what nearly every model is
    if kind is None:
        raise DataError(
            f"{place(path)}: tensor {shown(logits)} holds no floats; name the logits with --output"
        )
    columns = _columns(path, logits, value, classes)
    return Site(
        chosen, logits, tuple(takers), tuple(changed), tuple(unchanged), kind, value, columns
    )


def _described(graph: Graph, model: Any, name: str) -> Any:
    """Type and shape of a tensor, worked out where the graph does not declare them; None if that fails."""
    declared = graph.declared.get(name)
    if declared is not None:
        said = declared.type.tensor_type
        if said.elem_type and said.HasField("shape"):
            return declared
    onnx = onnx_library("writing an ONNX model")
    try:
        inferred = onnx.shape_inference.infer_shapes(model).graph
    except Exception:  # InferenceError, or a size beyond protobuf's
        return declared
    found = [one for one in (*inferred.value_info, *inferred.output) if one.name == name]
    return found[0] if found and found[0].type.WhichOneof("value") else declared


def _columns(path: Path, logits: str, value: Any, classes: int) -> tuple[int, ...]:
    """The shape in which numbers (k,) broadcast along the classes of the logits."""
    if value is None or not value.type.tensor_type.HasField("shape"):
        return (classes,)
    sides = [
        side.dim_value if side.HasField("dim_value") else None
        for side in value.type.tensor_type.shape.dim
    ]
    if len(sides) > 2 and sides[1] == classes != sides[-1]:
        return (classes, *(1 for _ in sides[2:]))
    if len(sides) < 2 or sides[-1] not in (None, classes):
        given = ", ".join("?" if side is None else str(side) for side in sides)
        raise DataError(
            f"{place(path)}: the logits {shown(logits)} have shape ({given}), the adjustment has {classes} "
            "classes; they must come from the same model"
        )
    return (classes,)
