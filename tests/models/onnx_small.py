"""Small ONNX graphs for tests of reading and running them, and their weights moved into files by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper

from lacal.models import Model, ModelOptions

OPSET, IR = 17, 10
WEIGHT: NDArray[Any] = np.arange(12, dtype=np.float32).reshape(4, 3) / 8


def value(name: str, shape: Any = ("N", 3), kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def node(op: str, inputs: str, outputs: str, **more: Any) -> Any:
    return helper.make_node(op, inputs.split(), outputs.split(), **more)


def model(
    nodes: list[Any] | None = None,
    inputs: list[Any] | None = None,
    outputs: list[Any] | None = None,
    *,
    weights: dict[str, NDArray[Any]] | None = None,
    opset: int = OPSET,
    ir: int = IR,
    imports: tuple[Any, ...] = (),
    metadata: dict[str, str] | None = None,
) -> Any:
    """x (N, 4) @ W -> logits (N, 3), or what is given instead."""
    graph = helper.make_graph(
        nodes or [node("MatMul", "x W", "logits")],
        "small",
        inputs or [value("x", ("N", 4))],
        outputs or [value("logits")],
        [
            numpy_helper.from_array(one, name)
            for name, one in {"W": WEIGHT, **(weights or {})}.items()
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), *imports])
    made.ir_version = ir
    helper.set_model_props(made, metadata or {})
    return made


def opened(made: Any, folder: Path, **options: Any) -> Model:
    """The model as lacal opens it."""
    from lacal.models.onnx.session import open_onnx

    return open_onnx(saved(made, folder / "m.onnx"), ModelOptions(**options))


def saved(made: Any, path: Path) -> Path:
    path.write_bytes(made.SerializeToString())
    return path


def point(tensor: Any, location: str, offset: int | None = None, length: int | None = None) -> None:
    """Make a tensor external, whatever is there."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    said = {"location": location, "offset": offset, "length": length}
    for key, content in said.items():
        if content is not None:
            tensor.external_data.add(key=key, value=str(content))


def beside(made: Any, folder: Path, data: str = "weights.bin", gap: int = 0) -> Path:
    """The model with all its initialisers in one file beside it, `gap` bytes between them."""
    content = b""
    for tensor in made.graph.initializer:
        raw = tensor.raw_data
        content += b"\xaa" * gap
        point(tensor, data, len(content), len(raw))
        content += raw
    (folder / data).write_bytes(content + b"tail")
    return saved(made, folder / "model.onnx")
