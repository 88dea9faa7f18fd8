"""Models: run one, find its head, write it adjusted. One file a runtime and task, imported when needed."""

import hashlib
from pathlib import Path

from lacal.adjustment import Adjustment
from lacal.errors import DataError
from lacal.models.kind import model_kind, require_model
from lacal.models.model import AdjustedModel, Model, ModelHead, ModelOptions, Port, RunsOn

__all__ = [
    "AdjustedModel",
    "Model",
    "ModelHead",
    "ModelOptions",
    "Port",
    "RunsOn",
    "adjusted_model",
    "model_files",
    "model_head",
    "model_kind",
    "model_sha256",
    "open_model",
]


def open_model(path: Path, options: ModelOptions) -> Model:
    """The model in a file, ready to run on the device asked for.

    Raises:
        DataError: The file is no model, is damaged, or cannot be run as it stands.
        UsageError: It needs --trust-model or --output.
        MissingExtra: Its runtime is not installed.
        RunError: The device cannot be had.
    """
    if require_model(path) == "onnx":
        from lacal.models.onnx.session import open_onnx

        return open_onnx(path, options)
    from lacal.models.torch.session import open_torch_model

    return open_torch_model(path, options)


def model_files(path: Path) -> list[Path]:
    """The model's file, and those beside it that hold its weights."""
    if model_kind(path) != "onnx":
        return [path]
    from lacal.models.onnx.external import external_paths
    from lacal.models.onnx.file import all_tensors, load_onnx

    return [path, *external_paths(path, all_tensors(load_onnx(path, weights=False)))]


def model_sha256(path: Path) -> str:
    """Hash of a model with all its files, by which results name the model they are of."""
    files = model_files(path)
    digests = []
    for one in files:
        with one.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256"))
    if len(files) == 1:  # what sha256sum says of the file
        return digests[0].hexdigest()
    return hashlib.sha256(b"".join(one.digest() for one in digests)).hexdigest()


def model_head(path: Path, options: ModelOptions) -> ModelHead:
    """The weight and bias of a model's last linear layer, without running the model.

    Raises:
        DataError: It ends in something else; what was found is named.
    """
    match model_kind(path):
        case "onnx":
            from lacal.models.onnx.head import onnx_head

            return onnx_head(path, options.output)
        case None:
            raise DataError(f"{path}: is no model")
        case _:
            from lacal.models.torch.head import torch_head

            return torch_head(path, trust=options.trust, output=options.output)


def adjusted_model(
    path: Path, options: ModelOptions, adjustment: Adjustment, note: str, *, fold: bool
) -> AdjustedModel:
    """The model with an adjustment inside.

    Args:
        path: The original.
        options: Which output, and whether its code may run.
        adjustment: What goes in.
        note: The calibration (JSON) that travels with it.
        fold: Edit the head in place instead of appending a step.

    Raises:
        DataError: It is adjusted already, or ends in what cannot be adjusted.
        UsageError: Its head cannot be folded.
    """
    if require_model(path) == "onnx":
        from lacal.models.onnx.export import adjusted_onnx

        return adjusted_onnx(path, options.output, adjustment, note, fold=fold)
    from lacal.models.torch.export import adjusted_torch

    return adjusted_torch(
        path, adjustment, note, fold=fold, trust=options.trust, output=options.output
    )
