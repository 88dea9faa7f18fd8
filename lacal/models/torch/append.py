"""An adjustment behind the logits of an exported program, by nodes added to its graph.

`logits * scale + offset` in float32, the multiplication only where a scale is not 1: what NumPy does, to the
bit. Half precision is widened first, since an offset of ten would cost it its last digits.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.errors import DataError
from lacal.formats.shown import place, printable
from lacal.models.torch.graph import ProgramGraph
from lacal.models.torch.head import probability_ends
from lacal.models.torch.load import torch_module


@dataclass(frozen=True, slots=True)
class Changed:
    """A model with the adjustment in it.

    Attributes:
        model: The module or program to save.
        how: What was done, for the user.
        exact: Whether it computes what NumPy would, in float32.
        notes: What the user should know.
    """

    model: Any
    how: str
    exact: bool
    notes: tuple[str, ...] = ()


def appended(
    graph: ProgramGraph, node: Any, scale: NDArray[np.float32] | None, offset: NDArray[np.float32]
) -> Changed:
    """An exported program with the adjustment behind its logits, in front of a softmax if there is one.

    The node of the logits becomes the sum and a copy of it computes what it did, so that names, outputs
    and dynamic sizes stay as they were.

    Args:
        graph: The program; its graph is changed.
        node: Its logits (n, k), or the softmax of them.
        scale: (k,), or None for none.
        offset: (k,).

    Raises:
        DataError: It gives no (n, k) logits.
    """
    torch, program = torch_module(), graph.model
    softmax = probability_ends(graph, node)
    logits = _logits(graph, graph.inputs(softmax[0])[0] if softmax else node, offset.size)
    like = logits.meta["val"]
    half = like.dtype in (torch.float16, torch.bfloat16)
    shape = (-1, *(1 for _ in like.shape[2:]))
    tensors = {"lacal_scale": scale, "lacal_offset": offset}
    held = {
        name: _added_buffer(graph, name, torch.from_numpy(array).view(shape), like)
        for name, array in tensors.items()
        if array is not None
    }
    aten = torch.ops.aten
    with program.graph.inserting_before(logits):
        sum_of = copied = program.graph.node_copy(logits)
        if half:
            sum_of = program.graph.call_function(
                aten._to_copy.default, (sum_of,), {"dtype": torch.float32}
            )
        if scale is not None:
            sum_of = program.graph.call_function(aten.mul.Tensor, (sum_of, held["lacal_scale"]))
    logits.target, logits.kwargs = aten.add.Tensor, {}
    logits.args = (sum_of, held["lacal_offset"])
    logits.meta = {}
    nodes = list(program.graph.nodes)
    stop = len(nodes) if half else nodes.index(logits) + 1  # a wider type goes on to what follows
    _recompute(nodes[nodes.index(copied) + 1 : stop], like.fake_mode)
    renewed = torch.export.ExportedProgram(
        program.graph_module,
        program.graph,
        program.graph_signature,
        program.state_dict,
        program.range_constraints,
        program.module_call_graph,
        program.example_inputs,  # zeros; without any, torch checks no shapes
        program.constants,
        verifiers=program.verifiers,
    )
    how = f"{'Add' if scale is None else 'Mul and Add'} put "
    how += (
        f"in front of {graph.operator(softmax[0])}"
        if softmax
        else f"behind '{printable(logits.name)}'"
    )
    note = f"The logits were {str(like.dtype).removeprefix('torch.')} and are float32 now."
    return Changed(renewed, how, like.dtype != torch.float64, (note,) if half else ())


def other_width(path: Path, classes: object, expected: int) -> DataError:
    """The error of a model that has another number of classes than the adjustment."""
    return DataError(
        f"{place(path)}: gives {classes} logits a row, the adjustment has {expected} classes; they must be "
        "of the same model"
    )


def _logits(graph: ProgramGraph, node: Any, classes: int) -> Any:
    """The node, if it is computed and of shape (n, k)."""
    value = node.meta.get("val")
    shape = tuple(getattr(value, "shape", ()))
    logits = len(shape) >= 2 and all(side == 1 for side in shape[2:])
    if node.op != "call_function" or not logits or not value.dtype.is_floating_point:
        raise DataError(
            f"{place(graph.path)}: '{printable(node.name)}' has shape {shape}; expected computed logits of "
            "shape (n, k) in floating point; name them with --output"
        )
    if not isinstance(shape[1], int) or shape[1] != classes:
        raise other_width(graph.path, shape[1], classes)
    return node


def _added_buffer(graph: ProgramGraph, name: str, tensor: Any, like: Any) -> Any:
    """A new buffer in front of the program's own inputs, on the device of the logits."""
    from torch.export.graph_signature import InputKind, InputSpec, TensorArgument

    program = graph.model
    specs = program.graph_signature.input_specs
    at = next(at for at, one in enumerate(specs) if one.kind == InputKind.USER_INPUT)
    before = next(node for node in program.graph.nodes if node.name == specs[at].arg.name)
    with program.graph.inserting_before(before):
        node = program.graph.placeholder(f"b_{name}")
    tensor = tensor.to(like.device)
    node.meta["val"] = like.fake_mode.from_tensor(tensor, static_shapes=True)
    specs.insert(
        at, InputSpec(InputKind.BUFFER, TensorArgument(name=node.name), name, persistent=True)
    )
    program.state_dict[name] = tensor
    return node


def _recompute(nodes: list[Any], mode: Any) -> None:
    """Types and shapes of nodes that were changed, or stand behind such."""
    from torch.fx.node import map_arg

    for node in nodes:
        if node.op == "call_function":
            args, kwargs = map_arg((node.args, node.kwargs), lambda one: one.meta["val"])
            with mode:
                node.meta["val"] = node.target(*args, **kwargs)
