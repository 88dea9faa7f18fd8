"""What an ONNX graph takes and gives, as it declares it, and which of its outputs holds the scores."""

from pathlib import Path
from typing import Any

from lacal.classes.names import near_miss, shown
from lacal.errors import DataError, UsageError
from lacal.formats.shown import place, printable
from lacal.models.batching import fixed_rows
from lacal.models.model import Port
from lacal.models.onnx.graph import Graph

NAME_LIMIT = 200  # characters: a name that is to be typed again is shown whole
LISTED = 8  # outputs named in a message

NUMPY_NAMES = {"FLOAT": "float32", "DOUBLE": "float64"}  # all others are called alike
TAKEN = {"float16", "float32", "float64", "bool"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
SCORES = {"float16", "bfloat16", "float32", "float64"}


def input_ports(path: Path, model: Any) -> tuple[Port, ...]:
    """What must be given to run the model: the inputs that no initialiser stands in for.

    Raises:
        DataError: One is no tensor of numbers with rows, or there are none.
    """
    stored = {tensor.name for tensor in model.graph.initializer}
    stored |= {sparse.values.name for sparse in model.graph.sparse_initializer}
    ports = []
    for value in model.graph.input:
        if value.name in stored:
            continue
        port = _port(value)
        if port is None or port.dtype not in TAKEN or port.shape == ():
            raise DataError(
                f"{place(path)}: input {shown(value.name)} is {_described(value)}; expected a tensor of "
                "numbers with a row an item; export the model with such inputs"
            )
        ports.append(port)
    if not ports:
        raise DataError(f"{place(path)}: takes no inputs; expected at least one to run it on")
    return tuple(ports)


def fixed_batch(path: Path, ports: tuple[Port, ...]) -> int | None:
    """Rows of every batch where the inputs declare a number, else None.

    Raises:
        DataError: They declare several numbers, or none at all (0 rows).
    """
    sizes = {port.shape[0]: port.name for port in ports if port.shape}
    sizes.pop(None, None)
    if len(sizes) > 1 or 0 in sizes:
        every = ", ".join(f"{rows} by {shown(name)}" for rows, name in sizes.items())
        raise DataError(
            f"{place(path)}: its inputs declare no batch size in common; got {every}; "
            "export it with a dynamic first side"
        )
    return fixed_rows(path, next(iter(sizes), None))


def chosen_output(path: Path, model: Any, wanted: str | None) -> Port:
    """The tensor that holds the scores: the one asked for, else the only one that can.

    Args:
        path: The model's file, for messages.
        model: The ModelProto.
        wanted: Name of an output, or of a tensor inside the graph; None to choose.

    Returns:
        The output; dtype and shape are None for a tensor that the graph does not list as one.

    Raises:
        DataError: No output can be scores.
        UsageError: Several can, there is none of that name, or it holds probabilities.
    """
    graph = Graph(model)
    port = _only(path, model, graph) if wanted is None else _named(path, model, wanted)
    front = graph.probabilities_of(port.name)
    if front is not None:
        raise UsageError(
            f"{place(path)}: output {_full(port.name)} is a softmax or sigmoid of {_full(front)}, and lacal works on "
            f"logits; give --output {_full(front)}"
        )
    return port


def described(port: Port) -> str:
    """Type and shape for a message: "float32 (?, 10)"."""
    if port.shape is None:
        return f"{port.dtype or 'of no declared type'}, of no declared shape"
    if not port.shape:
        return f"a single {port.dtype}"
    sides = ["?" if side is None else str(side) for side in port.shape]
    return f"{port.dtype} ({', '.join(sides)}{',' * (len(sides) == 1)})"


def _only(path: Path, model: Any, graph: Graph) -> Port:
    values = list(model.graph.output)
    ports = [_port(value) for value in values]
    fitting = [port for port in ports if port is not None and _fits(port)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = {port.name for port in fitting}
        several = _listed([_candidate(graph, value) for value in values if value.name in names])
        raise UsageError(
            f"{place(path)}: has {len(fitting)} outputs that may be the scores: {several}; "
            "choose one with --output NAME"
        )
    mend = "expected floating-point scores (rows, classes); name a tensor of them with --output"
    if None in ports:
        mend += ", or convert scikit-learn models with zipmap=False"
    every = _listed([f"{_full(value.name)} is {_described(value)}" for value in values])
    raise DataError(f"{place(path)}: gives no scores; {every}; {mend}")


def _named(path: Path, model: Any, wanted: str) -> Port:
    outputs = {value.name: value for value in model.graph.output}
    if wanted in outputs:
        port = _port(outputs[wanted])
        if port is None or not _fits(port):
            raise DataError(
                f"{place(path)}: output {_full(wanted)} is {_described(outputs[wanted])}; expected "
                "floating-point scores (rows, classes); name another with --output"
            )
        return port
    inner = [name for node in model.graph.node for name in node.output if name]
    if wanted in inner:
        return Port(wanted, None, None)
    guess = near_miss(wanted, tuple(outputs)) or near_miss(wanted, tuple(inner))
    raise UsageError(
        f"{place(path)}: has no output or inner tensor {_full(wanted)}; its outputs are "
        f"{_listed([_full(name) for name in outputs])}.{guess}"
    )


def _fits(port: Port) -> bool:
    """Whether a tensor can be (rows, classes) as far as it is declared, sides of 1 behind being dropped."""
    if port.dtype is not None and port.dtype not in SCORES:
        return False
    return port.shape is None or (
        len(port.shape) >= 2 and all(side == 1 for side in port.shape[2:])
    )


def _candidate(graph: Graph, value: Any) -> str:
    front = graph.probabilities_of(value.name)
    after = f", a softmax or sigmoid of {_full(front)}" if front is not None else ""
    return f"{_full(value.name)} ({_described(value)}{after})"


def _port(value: Any) -> Port | None:
    """The value as a port; None where it is a sequence, a map or another thing than a tensor."""
    if value.type.WhichOneof("value") not in (None, "tensor_type"):
        return None
    tensor = value.type.tensor_type
    shape = None
    if tensor.HasField("shape"):
        # Some exporters write -1 for a side that varies.
        shape = tuple(
            side.dim_value if side.HasField("dim_value") and side.dim_value >= 0 else None
            for side in tensor.shape.dim
        )
    return Port(value.name, _dtype(tensor.elem_type), shape)


def _dtype(number: int) -> str | None:
    """NumPy's name of an ONNX element type; None where the model does not say."""
    if number == 0:
        return None
    from onnx import TensorProto

    try:
        name: str = TensorProto.DataType.Name(number)
    except ValueError:
        return f"of unknown type {number}"
    return NUMPY_NAMES.get(name, name.lower())


def _described(value: Any) -> str:
    port = _port(value)
    if port is not None:
        return described(port)
    kind = value.type.WhichOneof("value").removesuffix("_type").replace("_", " ")
    inner = "" if kind != "sequence" else value.type.sequence_type.elem_type.WhichOneof("value")
    return f"a {kind} of maps" if inner == "map_type" else f"a {kind}"


def _full(name: str) -> str:
    return f"'{printable(name, NAME_LIMIT)}'"


def _listed(items: list[str]) -> str:
    more = [f"and {len(items) - LISTED} more"] if len(items) > LISTED else []
    return "; ".join(items[:LISTED] + more)
