"""The graphs of TorchScript and of exported programs, seen alike: operators, their inputs, stored tensors.

TorchScript's values and torch.fx's nodes know the same operators by the same schemas, so one search for
the head serves both. Nothing here runs the model.
"""

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lacal.classes.names import shown
from lacal.errors import DataError, LacalError, UsageError
from lacal.formats.shown import listed, place, printable
from lacal.models.kind import require_model
from lacal.models.torch.archive import traced_device
from lacal.models.torch.faults import last_line
from lacal.models.torch.load import load_program, load_script, torch_module
from lacal.models.torch.outputs import ONLY, chosen_output, named_tensors


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor that a model file holds.

    Attributes:
        name: As in the state dict; None for a constant of the graph, which has no name and cannot be edited.
        value: The torch tensor itself (or packed quantised parameters), not a copy.
    """

    name: str | None
    value: Any


class TorchGraph(Protocol):
    """What the search for a head asks of a graph. A value is whatever the graph uses for one."""

    @property
    def path(self) -> Path:
        """The file, as the user named it."""

    @property
    def model(self) -> Any:
        """The module or program that the graph is of, as torch loaded it."""

    def output(self, name: str | None) -> Any:
        """The value of the output of that name, or of the only one."""

    def operator(self, value: Any) -> str:
        """What computes a value: `aten::linear`, or what else it is."""

    def inputs(self, value: Any) -> list[Any]:
        """The arguments of that operator in the order of its schema, defaults filled in."""

    def branches(self, value: Any) -> list[Any]:
        """The values it may be, where a condition chooses; none for any other operator."""

    def constant(self, value: Any) -> Any:
        """The Python number or None that an argument is; the value itself where it is computed."""

    def stored(self, value: Any) -> Stored | None:
        """The tensor of the file that a value is; None where it is computed or fed."""

    def uses(self, stored: Stored) -> int:
        """How often the model uses a stored tensor, counting other names of the same memory."""


@contextmanager
def torch_errors(path: Path, doing: str) -> Iterator[None]:
    """Turn what torch raises into a sentence, and keep its warnings (of deprecation, mostly) to itself."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except LacalError:
        raise
    except Exception as error:  # torch's errors have no parent in common but this
        raise DataError(
            f"{place(path)}: {doing} failed in torch ({last_line(error)}); save the model again with the "
            "torch that is installed here"
        ) from error


def open_graph(path: Path, *, trust: bool) -> "ScriptGraph | ProgramGraph":
    """The graph of a model file, on the device it was made for, or the CPU.

    Args:
        path: TorchScript, or an exported program.
        trust: Whether code inside the file may run; TorchScript cannot be looked into without.

    Raises:
        UsageError: It needs --trust-model.
        DataError: It cannot be loaded, or was made for a device that is not here.
    """
    made_for = traced_device(path)
    device = made_for if made_for and torch_module().cuda.is_available() else "cpu"
    if require_model(path) == "exported":
        return ProgramGraph(path, load_program(path, trust, device))
    module = load_script(path, trust, device)
    with torch_errors(path, "reading its graph"):
        if not hasattr(module, "forward"):
            raise DataError(f"{place(path)}: has no forward method; save the whole model")
        return ScriptGraph(path, module, module.inlined_graph)


@dataclass(frozen=True, slots=True)
class ScriptGraph:
    """The graph of a TorchScript module's forward, with every call put in place."""

    path: Path
    model: Any
    graph: Any

    def output(self, name: str | None) -> Any:
        """The value of the output of that name: a place in a tuple or list, a key of a dict."""
        (value,) = self.graph.outputs()
        if str(value.type()) == "Tensor" and name in (None, ONLY):
            return value
        inputs = self.inputs(value)
        parts = {ONLY: value} if str(value.type()) == "Tensor" else {}
        if self.operator(value) in ("prim::TupleConstruct", "prim::ListConstruct"):
            parts = {str(at): part for at, part in enumerate(inputs)}
        elif self.operator(value) == "prim::DictConstruct":
            keys = [str(key.toIValue()) for key in inputs[::2]]
            parts = dict(zip(keys, inputs[1::2], strict=True))
        if name not in parts:
            wrong = "has several outputs" if name is None else f"has no output {shown(name)}"
            raise UsageError(
                f"{place(self.path)}: {wrong}; it gives {printable(value.type().annotation_str)}; choose "
                f"one of {listed(parts)} with --output NAME"
            )
        return parts[name]

    def operator(self, value: Any) -> str:
        """What computes a value."""
        return str(value.node().kind())

    def inputs(self, value: Any) -> list[Any]:
        """The arguments of that operator."""
        return list(value.node().inputs())

    def branches(self, value: Any) -> list[Any]:
        """The ends of both blocks of an `if`, less those that raise an error instead."""
        node = value.node()
        if node.kind() != "prim::If":
            return []
        at = [output.debugName() for output in node.outputs()].index(value.debugName())
        ends = [list(block.outputs())[at] for block in node.blocks()]
        return [end for end in ends if self.operator(end) != "prim::Uninitialized"]

    def constant(self, value: Any) -> Any:
        """The number or None that an argument is."""
        return value.toIValue() if self.operator(value) == "prim::Constant" else value

    def stored(self, value: Any) -> Stored | None:
        """A constant of a frozen graph, or an attribute of the module."""
        if self.operator(value) == "prim::Constant":
            return Stored(None, value.toIValue())
        names = self._attribute(value)
        if names is None:
            return None
        try:
            return Stored(".".join(names), functools.reduce(getattr, names, self.model))
        except (AttributeError, RuntimeError):  # an attribute that Python cannot hold
            return None

    def uses(self, stored: Stored) -> int:
        """Uses of the attribute, and of others in the same memory."""
        uses = sum(
            len(value.uses())
            for node in self.graph.findAllNodes("prim::GetAttr", recurse=True)
            for value in node.outputs()
            if ".".join(self._attribute(value) or []) == stored.name
        )
        return uses + _other_names(self.model.state_dict(), stored)

    def _attribute(self, value: Any) -> list[str] | None:
        names: list[str] = []
        while self.operator(value) == "prim::GetAttr":
            names.insert(0, value.node().s("name"))
            (value,) = self.inputs(value)
        return names if names and self.operator(value) == "prim::Param" else None


@dataclass(frozen=True, slots=True)
class ProgramGraph:
    """The graph of an exported program."""

    path: Path
    model: Any

    def output(self, name: str | None) -> Any:
        """The node of that name, listed as an output or not; or the only one that can be scores."""
        torch, nodes = torch_module(), {node.name: node for node in self.model.graph.nodes}
        given = list(self.model.graph_signature.user_outputs)
        layout = torch.utils._pytree.tree_unflatten(given, self.model.call_spec.out_spec)
        outputs = {key: nodes.get(str(one)) for key, one in named_tensors(layout)}
        if name in nodes and name not in outputs and nodes[name].op == "call_function":
            return nodes[name]
        fakes = {key: getattr(one, "meta", {}).get("val") for key, one in outputs.items()}
        return outputs[chosen_output(self.path, torch, fakes, name)]

    def operator(self, value: Any) -> str:
        """What computes a value."""
        schema = getattr(getattr(value, "target", None), "_schema", None)
        return str(schema.name) if schema is not None else str(getattr(value, "op", "constant"))

    def inputs(self, value: Any) -> list[Any]:
        """The arguments of that operator."""
        arguments = value.target._schema.arguments
        return [
            value.args[at]
            if at < len(value.args)
            else value.kwargs.get(argument.name, argument.default_value)
            for at, argument in enumerate(arguments)
        ]

    def branches(self, value: Any) -> list[Any]:
        """None: conditions are operators with graphs of their own."""
        return []

    def constant(self, value: Any) -> Any:
        """The number or None that an argument is, as it stands."""
        return value

    def stored(self, value: Any) -> Stored | None:
        """The parameter, buffer or constant behind an input of the graph."""
        signature, name = self.model.graph_signature, getattr(value, "name", None)
        for kind in ("parameters", "buffers", "lifted_tensor_constants"):
            target = getattr(signature, f"inputs_to_{kind}").get(name)
            for held in (self.model.state_dict, self.model.constants):
                if target in held:
                    return Stored(target, held[target])
        return None

    def uses(self, stored: Stored) -> int:
        """Users of the input of the graph, and other names of the same memory."""
        places = (node for node in self.model.graph.nodes if node.op == "placeholder")
        held = ((self.stored(node), len(node.users)) for node in places)
        uses = sum(users for one, users in held if one is not None and one.name == stored.name)
        return uses + _other_names(self.model.state_dict, stored)


def _other_names(tensors: Any, stored: Stored) -> int:
    memory = stored.value.untyped_storage().data_ptr()
    return sum(
        name != stored.name and tensor.untyped_storage().data_ptr() == memory
        for name, tensor in tensors.items()
    )
