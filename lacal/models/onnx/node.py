"""One node of an ONNX graph: what it is, what it takes, and the numbers it stores."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.classes.names import shown
from lacal.formats.shown import printable

STANDARD = {"", "ai.onnx"}


def is_standard(node: Any) -> bool:
    """Whether a node, or an import of operators, is of ONNX itself."""
    return node.domain in STANDARD


def is_operator(node: Any, operator: str, *, quantised: bool = False) -> bool:
    """Whether a node is this operator of ONNX, or, where said, of onnxruntime's own domain."""
    return node.op_type == operator and (
        is_standard(node) or (quantised and node.domain == "com.microsoft")
    )


def input_of(node: Any, at: int) -> str:
    """Name of a node's input; empty where it has none there."""
    return str(node.input[at]) if at < len(node.input) else ""


def array_of(tensor: Any) -> NDArray[Any] | None:
    """The numbers of a TensorProto, or of a Constant node's list; None where they cannot be read."""
    from onnx import TensorProto, numpy_helper

    if isinstance(tensor, (int, float, list)):
        values = np.asarray(tensor)
        return values.astype(np.float32) if values.dtype.kind == "f" else values
    if not isinstance(tensor, TensorProto):
        return None
    try:
        array: NDArray[Any] = numpy_helper.to_array(tensor)
    except Exception:  # a damaged tensor: too few bytes, an unknown type, data elsewhere
        return None
    return array


def attribute(node: Any, name: str, default: Any = None, kind: type | None = None) -> Any:
    """The value of a node's attribute: number, tensor, graph, or list of them.

    Args:
        node: The node.
        name: Of the attribute.
        default: What to return where it is missing, or of another type than expected.
        kind: Type to expect; None for that of the default, or, without one, for any.
    """
    from onnx import helper

    kind = kind or (object if default is None else type(default))
    for one in node.attribute:
        if one.name == name and not one.ref_attr_name:
            value = helper.get_attribute_value(one)  # None where it is of no known type
            return value if isinstance(value, kind) else default
    return default


def described(node: Any) -> str:
    """A node for a message: "'Gemm' node 'fc'"."""
    domain = f" of {shown(node.domain)}" if node.domain not in STANDARD else ""
    return f"{shown(node.op_type)} node{_named(node)}{domain}"


def titled(node: Any) -> str:
    """A node for a report: "Gemm 'fc'"."""
    return f"{printable(node.op_type)}{_named(node)}"


def _named(node: Any) -> str:
    name = node.name  # bytes where it is not UTF-8
    if isinstance(name, bytes):
        name = name.decode(errors="backslashreplace")
    return f" {shown(name)}" if name else ""


def taken_by(node: Any) -> Iterator[str]:
    """Names of the tensors a node takes, those from inside its own graphs included."""
    yield from (name for name in node.input if name)
    for one in node.attribute:
        for graph in (one.g, *one.graphs) if one.HasField("g") else one.graphs:
            for inner in graph.node:
                yield from taken_by(inner)
            yield from (value.name for value in graph.output)
