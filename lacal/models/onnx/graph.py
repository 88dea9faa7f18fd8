"""An ONNX graph to walk through: what makes a tensor, what takes it, and which outputs are probabilities."""

from collections.abc import Iterator
from typing import Any

from lacal.classes.names import shown
from lacal.errors import DataError
from lacal.models.onnx.node import array_of, attribute, input_of, is_operator, is_standard, taken_by

FLOATS = {1: "float32", 10: "float16", 11: "float64", 16: "bfloat16"}  # TensorProto.DataType
RESHAPING = {"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze"}
SOFTMAX = {"Softmax", "LogSoftmax"}
# Functions that call functions; a sound model needs few, a hostile one calls itself
DEPTH_LIMIT = 16


class Graph:
    """The nodes of a model's graph, to be walked from its outputs backwards.

    Attributes:
        nodes: In the order of the file.
        outputs: Names of the outputs.
        producers: Tensor -> the node that makes it.
        consumers: Tensor -> the nodes that take it, also from inside graphs of their own.
        initialisers: Name -> TensorProto.
        declared: Output or inner tensor -> ValueInfoProto, as far as the graph has one.
        overridable: Initialisers that a caller may replace at run time, since they are inputs as well.
        opset: Version of the standard operators; 0 where the model imports none.
    """

    def __init__(self, model: Any, body: Any = None, depth: int = 0) -> None:
        """Index a model's graph, or a body inside it.

        Args:
            model: The ModelProto; it is not changed, and must not be while the Graph is in use.
            body: A FunctionProto or inner GraphProto to look at instead.
            depth: How many bodies this one lies in.
        """
        body = model.graph if body is None else body
        self._model, self._depth = model, depth
        self.nodes: list[Any] = list(body.node)
        self.outputs = [getattr(one, "name", one) for one in body.output]
        self._inputs = [getattr(one, "name", one) for one in body.input]
        self.initialisers = {one.name: one for one in getattr(body, "initializer", ())}
        # Before IR 4 every initialiser had to be listed as an input, and none could be replaced.
        listed = set(self._inputs) if model.ir_version >= 4 else set()
        self.overridable = listed & self.initialisers.keys()
        self.opset = next((one.version for one in model.opset_import if is_standard(one)), 0)
        declared = (*body.value_info, *body.output)
        self.declared = {one.name: one for one in declared if hasattr(one, "name")}
        self.producers: dict[str, Any] = {}
        self.consumers: dict[str, list[Any]] = {}
        for node in self.nodes:
            for name in node.output:
                if name:
                    self.producers[name] = node
            for name in dict.fromkeys(taken_by(node)):
                self.consumers.setdefault(name, []).append(node)

    def has_tensor(self, name: str) -> bool:
        """Whether a node, an input or an initialiser is called so."""
        return name in self.producers or name in self._inputs or name in self.initialisers

    def type_of(self, name: str) -> str | None:
        """What the graph declares a tensor to hold: a float type by NumPy's name, "other", or None for nothing."""
        value = self.declared.get(name)
        if value is None or value.type.WhichOneof("value") is None:
            return None
        number = value.type.tensor_type.elem_type
        tensor = value.type.HasField("tensor_type")
        return None if tensor and not number else FLOATS.get(number, "other")

    def probabilities_of(self, output: str) -> str | None:
        """The tensor in front of the softmax, log-softmax or sigmoid that an output comes from.

        Args:
            output: Any tensor of the graph.

        Returns:
            Its name; None where the output is no such thing, or where that tensor has no name out here.
        """
        for name in self.sources(output):
            node = self.producers.get(name)
            if node is None:
                continue
            if is_standard(node) and node.op_type == "Log":
                inner = map(self._softmax_front, self.sources(input_of(node, 0)))
                return next((front for front in inner if front is not None), None)
            front = self._softmax_front(name)
            if front is not None:
                return front
        return None

    def logits_of(self, output: str) -> str:
        """The last logits on the way to an output: the tensor in front of a softmax, or the output itself."""
        return self.probabilities_of(output) or output

    def sources(self, name: str) -> Iterator[str]:
        """The tensor, then those that it has its values from, behind nodes that reshape or retype only."""
        seen: set[str] = set()
        at: str | None = name
        while at is not None and at not in seen:
            seen.add(at)
            yield at
            at = self._source(at)

    def ancestors(self, name: str) -> list[Any]:
        """Every node that a tensor is computed by."""
        found: dict[int, Any] = {}
        waiting = [name]
        while waiting:
            node = self.producers.get(waiting.pop())
            if node is not None and id(node) not in found:
                found[id(node)] = node
                waiting += taken_by(node)
        return list(found.values())

    def tensor(self, name: str) -> Any:
        """The TensorProto, or plain list of numbers, that the graph stores under a name; else None."""
        if name in self.initialisers:
            return self.initialisers[name]
        node = self.producers.get(name)
        if node is None or not is_operator(node, "Constant") or len(node.attribute) != 1:
            return None
        return attribute(node, node.attribute[0].name)

    def _source(self, name: str) -> str | None:
        node = self.producers.get(name)
        if node is None or not input_of(node, 0) or node.output[0] != name:
            return None
        if is_operator(node, "DequantizeLinear", quantised=True):
            before = self.producers.get(node.input[0])
            if before is None or not is_operator(before, "QuantizeLinear", quantised=True):
                return None
            return input_of(before, 0) or None
        passes = is_standard(node) and (
            node.op_type in RESHAPING
            or (node.op_type == "Cast" and attribute(node, "to", 0) in FLOATS)
            or (node.op_type == "Dropout" and self._is_off(node))
        )
        return input_of(node, 0) if passes else None

    def _is_off(self, dropout: Any) -> bool:
        mode = input_of(dropout, 2)
        if not mode:
            return True
        values = None if mode in self.overridable else array_of(self.tensor(mode))
        return values is not None and not values.any()

    def _softmax_front(self, name: str) -> str | None:
        """What a tensor is a softmax of, where its own node computes one."""
        node = self.producers.get(name)
        if node is None:
            return None
        if is_standard(node):
            if node.op_type == "Sigmoid" or (
                node.op_type in SOFTMAX and attribute(node, "axis", -1) != 0
            ):
                return input_of(node, 0) or None
            if node.op_type == "Div":
                return self._spelled_out(node)
        return self._front_inside(node, name)

    def _spelled_out(self, division: Any) -> str | None:
        """The logits of exp(x) / sum(exp(x)), with or without the largest taken off first."""
        numerator, denominator = input_of(division, 0), input_of(division, 1)
        exponential = self.producers.get(numerator)
        if exponential is None or not is_operator(exponential, "Exp"):
            return None
        if self._reduced(denominator, "ReduceSum") != numerator:
            return None
        front = input_of(exponential, 0)
        less = self.producers.get(front)
        if less is not None and is_operator(less, "Sub"):
            whole = input_of(less, 0)
            return whole if self._reduced(input_of(less, 1), "ReduceMax") == whole else front
        return front or None

    def _reduced(self, name: str, operator: str) -> str | None:
        """What a tensor is the sum or the largest of, behind reshaping and broadcasting."""
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            at = waiting.pop()
            node = self.producers.get(at)
            if node is None or at in seen or not is_standard(node):
                continue
            seen.add(at)
            if node.op_type == operator:
                return input_of(node, 0)
            if node.op_type in RESHAPING | {"Expand"}:
                waiting.append(input_of(node, 0))
            elif node.op_type == "Max":  # jax takes the larger of -inf and it
                waiting += node.input
        return None

    def _front_inside(self, node: Any, name: str) -> str | None:
        """The tensor out here that a local function, or each branch of an If, takes a softmax of."""
        if self._depth == DEPTH_LIMIT:
            return None
        at = list(node.output).index(name)
        fronts: set[str | None] = set()
        for body in self._bodies(node):
            inner = Graph(self._model, body, self._depth + 1)
            front = inner.probabilities_of(inner.outputs[at]) if at < len(inner.outputs) else None
            for source in inner.sources(front) if front else ():
                if source not in inner.producers:
                    front = source
            if front in inner._inputs:
                front = input_of(node, inner._inputs.index(front))
            fronts.add(front if front and self.has_tensor(front) else None)
        return fronts.pop() if len(fronts) == 1 else None

    def _bodies(self, node: Any) -> list[Any]:
        if is_operator(node, "If"):
            kind = type(self._model.graph)
            names = ("then_branch", "else_branch")
            branches = [attribute(node, name, kind=kind) for name in names]
            return [] if None in branches else branches
        return [
            one
            for one in self._model.functions
            if (one.domain, one.name) == (node.domain, node.op_type)
        ]


def expose(model: Any, name: str) -> Any:
    """A copy of the ModelProto whose outputs list an inner tensor as well.

    Args:
        model: The ModelProto, which stays as it is.
        name: The tensor; its type is given where the graph declares it, else left open.

    Raises:
        DataError: No node makes such a tensor.
    """
    copy = type(model)()
    copy.CopyFrom(model)
    if name in {value.name for value in copy.graph.output}:
        return copy
    if all(name not in node.output for node in copy.graph.node):
        raise DataError(f"the graph has no inner tensor {shown(name)}; give the name of one")
    declared = [value for value in copy.graph.value_info if value.name == name]
    added = copy.graph.output.add(name=name)
    if declared:
        added.CopyFrom(declared[0])
    return copy
