"""Reading an ONNX file: parsed, looked over, and its weights brought in. Needs the `onnx` package only."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from lacal.errors import DataError, MissingExtra, RunError
from lacal.formats.shown import place, reason
from lacal.formats.sniff import first_bytes, refuse_foreign
from lacal.models.onnx.external import check_external, load_external

SIZE_LIMIT = 2**31 - 1  # bytes; protobuf's own bound on a message

# Domains whose operators the ONNX standard or a stock onnxruntime brings.
KNOWN_DOMAINS = {
    "",
    "ai.onnx",
    "ai.onnx.ml",
    "ai.onnx.training",
    "ai.onnx.preview",
    "ai.onnx.preview.training",
    "com.microsoft",
    "com.microsoft.nchwc",
    "com.ms.internal.nhwc",
    "org.pytorch.aten",
}


def onnx_library(purpose: str) -> ModuleType:
    """The `onnx` package.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise MissingExtra("onnx", "onnx", purpose) from error
    module: ModuleType = onnx
    return module


def load_onnx(path: Path, *, weights: bool = True) -> Any:
    """The `onnx.ModelProto` in a file.

    Weights kept beside the model (external data) are held against what the model says of them, whether
    they are read or not: a plain relative name inside the model's folder, a regular file that nothing
    else links to, and exactly the bytes that type and shape need.

    Args:
        path: The .onnx file, or a symlink to it.
        weights: Whether to read external data into the model; else it stays where it is.

    Raises:
        DataError: The file is missing, cut off, no ONNX model, or its external data are not as said.
        MissingExtra: `onnx` is not installed.
        RunError: The file does not fit into memory.
    """
    onnx = onnx_library("reading an ONNX model")
    refuse_foreign(path, first_bytes(path))
    model = _parsed(path, onnx)
    if not model.graph.output or not model.opset_import:
        missing = "outputs" if not model.graph.output else "opset"
        raise _damaged(path, f"it has no {missing}")
    _check_text(path, model)
    if weights:
        load_external(path, all_tensors(model))
    else:
        check_external(path, all_tensors(model))
    return model


def metadata(model: Any) -> dict[str, str]:
    """The model's own key-value pairs; entries that are not UTF-8 are left out."""
    return {
        entry.key: entry.value
        for entry in model.metadata_props
        if isinstance(entry.key, str) and isinstance(entry.value, str)
    }


def foreign_operators(model: Any) -> dict[str, str]:
    """Custom domain -> one operator of it, for all that neither ONNX nor the model itself defines."""
    own = {(function.domain, function.name) for function in model.functions}
    found: dict[str, str] = {}
    for node in all_nodes(model):
        if node.domain not in KNOWN_DOMAINS and (node.domain, node.op_type) not in own:
            found.setdefault(node.domain, node.op_type)
    return found


def all_nodes(model: Any) -> Iterator[Any]:
    """Every node: of the graph, of the graphs inside nodes, and of local functions."""
    for holder in (model.graph, *model.functions):
        yield from _nodes(holder)


def all_tensors(model: Any) -> Iterator[Any]:
    """Every stored tensor, wherever the format lets one be."""
    yield from _initialisers(model.graph)
    for node in all_nodes(model):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for graph in (attribute.g, *attribute.graphs):
                yield from _initialisers(graph)


def _nodes(holder: Any) -> Iterator[Any]:
    for node in holder.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g)
            for graph in attribute.graphs:
                yield from _nodes(graph)


def _initialisers(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)


def _parsed(path: Path, onnx: ModuleType) -> Any:
    size = path.stat().st_size
    if size > SIZE_LIMIT:
        raise DataError(
            f"{place(path)}: has {size:,} bytes, more than an ONNX file can hold; save it with its "
            "weights beside it (external data)"
        )
    try:
        return onnx.ModelProto.FromString(path.read_bytes())
    except MemoryError as error:
        raise RunError(f"{place(path)}: {size:,} bytes do not fit into memory") from error
    except OSError as error:
        raise RunError(f"{place(path)}: could not be read: {reason(error)}") from error
    except Exception as error:  # protobuf's DecodeError has no parent of its own but Exception
        raise _damaged(path, "it cannot be parsed") from error


def _check_text(path: Path, model: Any) -> None:
    """Refuse names that are not UTF-8: protobuf hands them out as bytes, and they match nothing."""
    graph = model.graph
    names = [value.name for value in (*graph.input, *graph.output, *graph.initializer)]
    for node in all_nodes(model):
        names += [node.op_type, node.domain, *node.input, *node.output]
    if not all(isinstance(name, str) for name in names):
        raise _damaged(path, "it holds names that are not UTF-8")


def _damaged(path: Path, what: str) -> DataError:
    return DataError(
        f"{place(path)}: is no whole ONNX model, {what}; it was cut off or changed, copy or export it again"
    )
