"""An adjustment around a TorchScript module: a module that runs it and adjusts its logits.

`logits * scale + offset` in float32, the multiplication only where a scale is not 1: what NumPy does, to the
bit. Half precision is widened first, since an offset of ten would cost it its last digits.
"""

import keyword

import numpy as np
from numpy.typing import NDArray

from lacal.errors import DataError
from lacal.formats.shown import place, printable
from lacal.models.torch.append import Changed
from lacal.models.torch.graph import ScriptGraph
from lacal.models.torch.load import torch_module
from lacal.models.torch.outputs import ONLY, refuse_script_probabilities

PLAIN_TYPES = {"Tensor", "Optional[Tensor]", "int", "float", "bool"}


def wrapped(
    script: ScriptGraph,
    output: str | None,
    scale: NDArray[np.float32] | None,
    offset: NDArray[np.float32],
) -> Changed:
    """A TorchScript module inside another one, which takes the same arguments and adjusts what it gives.

    Args:
        script: The module and its graph.
        output: Which of its outputs are the logits (n, k); None for the only one.
        scale: (k,), or None for none.
        offset: (k,).

    Raises:
        DataError: It takes what cannot be passed on.
        UsageError: It ends in a softmax.
    """
    torch, name = torch_module(), output or ONLY
    refuse_script_probabilities(script.path, script.graph, None if name == ONLY else name)
    outer, held = torch.nn.Module(), script.model.state_dict().values()
    outer.model = script.model
    device = next((tensor.device for tensor in held), "cpu")
    if scale is not None:
        outer.register_buffer("lacal_scale", torch.from_numpy(scale).to(device))
    outer.register_buffer("lacal_offset", torch.from_numpy(offset).to(device))
    outer.output = name
    outer = torch.jit.script(outer)
    outer.define(_source(script, name, scaled=scale is not None))
    kinds = {tensor.dtype for tensor in held}
    half = kinds & {torch.float16, torch.bfloat16}
    return Changed(
        outer.eval(),
        "module wrapped in another that adjusts its logits",
        torch.float64 not in kinds,
        ("The model computes in half precision; its logits are float32 now.",) if half else (),
    )


def _source(script: ScriptGraph, output: str, *, scaled: bool) -> str:
    """The new forward as TorchScript source, in which nothing is text of the file but checked names."""
    parameters, arguments = _signature(script)
    kind = script.model.forward.schema.returns[0].type
    pick, give = "given_", ["return logits_"]
    if kind.annotation_str.startswith("Tuple["):
        parts = [f"given_[{at}]" for at in range(len(kind.elements()))]
        pick, parts[int(output)] = f"given_[{output}]", "logits_"
        give = [f"return ({', '.join(parts)},)"]
    elif kind.annotation_str.startswith(("Dict[str,", "List[")):
        key = "self.output" if kind.annotation_str.startswith("Dict") else output
        pick = f"given_[{key}]"
        give = ["given_ = given_.copy()", f"{pick} = logits_", "return given_"]
    elif kind.annotation_str != "Tensor":
        raise DataError(
            f"{place(script.path)}: gives {printable(kind.annotation_str)}; expected a tensor, or tensors in "
            "a tuple, list or dict; save a model that returns such, or use --fold"
        )
    product = "logits_.to(type_) * self.lacal_scale.view(shape_)" if scaled else "logits_.to(type_)"
    lines = [
        f"def forward({parameters}):",
        f"given_ = self.model({arguments})",
        f"logits_ = {pick}",
        "type_ = torch.promote_types(logits_.dtype, torch.float32)",
        "shape_ = [1, -1] + [1] * (logits_.dim() - 2)",
        f"logits_ = {product} + self.lacal_offset.view(shape_)",
        *give,
    ]
    return "\n    ".join(lines) + "\n"


def _signature(script: ScriptGraph) -> tuple[str, str]:
    """The parameters of forward as TorchScript writes them, and the arguments that pass them on."""
    parameters, arguments = ["self"], []
    for one in script.model.forward.schema.arguments[1:]:
        kind, default = one.type.annotation_str, ""
        if kind not in PLAIN_TYPES or not one.name.isidentifier() or keyword.iskeyword(one.name):
            raise DataError(
                f"{place(script.path)}: input '{printable(one.name)}' is of type {printable(kind)}; expected "
                "tensors; save a model that takes tensors only, or use --fold"
            )
        if one.has_default_value() and type(one.default_value) in (int, float, bool, type(None)):
            default = f" = {one.default_value!r}"
        # Whether it goes by name alone, no file says: torch keeps that for as long as it runs.
        parameters.append(f"{one.name}: {kind}{default}")
        arguments.append(one.name)
    return ", ".join(parameters), ", ".join(arguments)
