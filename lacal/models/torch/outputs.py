"""Which output of a torch model holds the scores, and whether it is probabilities already.

An exported program knows its outputs and their shapes beforehand, and can give any tensor inside its graph.
TorchScript knows neither: what it returns is looked at when it has run once.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from lacal.classes.names import near_miss, shown
from lacal.errors import DataError, UsageError
from lacal.formats.shown import listed, place, printable

ONLY = "output"  # how the one tensor of a model with a single output is called

PROBABILITIES = {
    **dict.fromkeys(("softmax", "_softmax", "special_softmax", "_safe_softmax"), "softmax"),
    **dict.fromkeys(("log_softmax", "_log_softmax", "special_log_softmax"), "log-softmax"),
    **dict.fromkeys(("sigmoid", "special_expit", "log_sigmoid"), "sigmoid"),
}
SAME_VALUES = {
    *("to", "_to_copy", "type_as", "contiguous", "clone", "detach", "alias", "lift_fresh_copy"),
    *("view", "_unsafe_view", "reshape", "flatten", "squeeze", "dropout", "exp", "log"),
}


def named_tensors(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """What a model returned as (name, leaf): keys of dicts, places in tuples, joined by dots."""
    if isinstance(value, Mapping):
        inner = [(str(key), one) for key, one in value.items()]
    elif isinstance(value, (tuple, list)):
        inner = [(str(at), one) for at, one in enumerate(value)]
    else:
        yield prefix or ONLY, value
        return
    for name, one in inner:
        yield from named_tensors(one, f"{prefix}.{name}" if prefix else name)


def chosen_output(
    path: Path, torch: ModuleType, outputs: Mapping[str, Any], wanted: str | None
) -> str:
    """Name of the output that holds the scores: the one asked for, else the only one that can.

    Args:
        path: The model's file, for messages.
        torch: The library.
        outputs: Tensors by name, real or fake.
        wanted: What --output says.

    Raises:
        DataError: None can be scores.
        UsageError: Several can, or there is none of that name.
    """
    if wanted is not None:
        if wanted in outputs:
            return wanted
        raise UsageError(
            f"{place(path)}: has no output {shown(wanted)}; its outputs are {listed(outputs)}."
            f"{near_miss(wanted, tuple(outputs))}"
        )
    fitting = [name for name, value in outputs.items() if _fits(torch, value)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise UsageError(
            f"{place(path)}: has {len(fitting)} outputs that may be the scores: {listed(fitting)}; "
            "choose one with --output NAME"
        )
    every = ", ".join(f"'{printable(name)}' is {described(one)}" for name, one in outputs.items())
    raise DataError(
        f"{place(path)}: gives no scores; {every or 'it gives nothing'}; expected a floating-point tensor "
        "(rows, classes)"
    )


def described(value: Any) -> str:
    """Type and shape for a message: "float32 (?, 10)"."""
    if not hasattr(value, "shape"):
        return type(value).__name__
    sides = ", ".join(str(side) if isinstance(side, int) else "?" for side in value.shape)
    comma = "," * (len(value.shape) == 1)
    return f"{str(value.dtype).removeprefix('torch.')} ({sides}{comma})"


def give_output(path: Path, torch: ModuleType, module: Any, wanted: str | None) -> tuple[str, str]:
    """Make the module of an exported program return the scores, wherever they are in its graph.

    Args:
        path: The model's file, for messages.
        torch: The library.
        module: The program's graph module; changed in place.
        wanted: What --output says: an output, or a node of the graph.

    Returns:
        Name of the output, and of the place where it now stands among those returned.

    Raises:
        DataError: It gives no scores.
        UsageError: --output is needed, or names none, or the output is probabilities.
    """
    (end,) = (node for node in module.graph.nodes if node.op == "output")
    flat = list(end.args[0])
    layout = torch.utils._pytree.tree_unflatten(range(len(flat)), module._out_spec)
    outputs = {name: flat[at] for name, at in named_tensors(layout)}
    inner = {node.name: node for node in module.graph.nodes if node.op == "call_function"}
    if wanted is not None and wanted in inner and wanted not in outputs:
        name, node = wanted, inner[wanted]
    else:
        fakes = {name: getattr(node, "meta", {}).get("val") for name, node in outputs.items()}
        name = chosen_output(path, torch, fakes, wanted)
        node = outputs[name]
    step = _step_of_node(node)
    if step is not None:
        raise UsageError(
            f"{place(path)}: {_called(name)} is a {PROBABILITIES[_operator(step)]} of "
            f"'{printable(step.args[0].name)}', and lacal works on logits; give "
            f"--output {printable(step.args[0].name)}"
        )
    if len(flat) > 1 or node is not flat[0]:
        # The layout stays as it is, each place holding the scores
        end.args = ((node,) * len(flat),)
        module.recompile()
    return name, next(iter(outputs))


def refuse_script_probabilities(path: Path, graph: Any, name: str | None) -> None:
    """Refuse a TorchScript output that comes straight out of a softmax.

    Args:
        path: The model's file, for messages.
        graph: The inlined graph of its forward.
        name: Which of its outputs; None where there is only one.

    Raises:
        UsageError: It is probabilities.
    """
    (value,) = graph.outputs()
    for part in (name or "").split(".") if name is not None else []:
        value = _part(value, part)
    step = None if value is None else next(_steps_of_value(value), None)
    if step is not None:
        raise UsageError(
            f"{place(path)}: {_called(name or ONLY)} is a {PROBABILITIES[step]}, and lacal works on "
            "logits; save the model without it, as TorchScript gives no tensor in front of it"
        )


def _called(name: str) -> str:
    return "its output" if name == ONLY else f"output {shown(name)}"


def _fits(torch: ModuleType, value: Any) -> bool:
    """Whether a tensor can be (rows, classes), sides of 1 behind being dropped."""
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return False
    return value.dim() >= 2 and all(isinstance(s, int) and s == 1 for s in value.shape[2:])


def _operator(node: Any) -> str:
    schema = getattr(getattr(node, "target", None), "_schema", None)
    return "" if schema is None else str(schema.name).rpartition("::")[2]


def _step_of_node(node: Any) -> Any:
    """The softmax that a node of an fx graph is, seen through casts and reshapes; None for any other."""
    while _operator(node) in SAME_VALUES:
        node = node.args[0]
    return node if _operator(node) in PROBABILITIES else None


def _part(value: Any, name: str) -> Any:
    """The value of a TorchScript graph that stands at that place of a tuple, list or dict; None if unknown."""
    node = None if value is None else value.node()
    kind, inputs = ("", []) if node is None else (node.kind(), list(node.inputs()))
    if kind in ("prim::TupleConstruct", "prim::ListConstruct"):
        return inputs[int(name)] if name.isdigit() and int(name) < len(inputs) else None
    if kind == "prim::DictConstruct":
        keys = [str(key.toIValue()) for key in inputs[::2]]
        return inputs[2 * keys.index(name) + 1] if name in keys else None
    return None


def _steps_of_value(value: Any) -> Iterator[str]:
    """The softmaxes that a value of a TorchScript graph may be: `if`s stand around the functional one."""
    node = value.node()
    if node.kind() == "prim::If":
        at = [output.debugName() for output in node.outputs()].index(value.debugName())
        for block in node.blocks():
            yield from _steps_of_value(list(block.outputs())[at])
        return
    operator = node.kind().removeprefix("aten::")
    if operator in PROBABILITIES:
        yield operator
    elif operator in SAME_VALUES:
        yield from _steps_of_value(next(node.inputs()))
