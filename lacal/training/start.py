"""A finished run read back: how it was trained, and its network with the weights that were kept."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load

from lacal.classes.names import shown
from lacal.errors import DataError, LacalError, UsageError
from lacal.formats.shown import place, printable, reason
from lacal.formats.text import read_text, strict_json
from lacal.training.data import Normalisation
from lacal.training.finish import weights_sha256
from lacal.training.networks import Network, make_network
from lacal.training.options import TrainOptions
from lacal.training.run_folder import BEST, LAST, SUMMARY, VERSION
from lacal.training.run_place import CONFIG, is_run

_Size = Annotated[int, msgspec.Meta(ge=1)]


class _Config(msgspec.Struct, frozen=True):
    """What config.json says of the network; the rest is passed over."""

    options: TrainOptions
    input_shape: Annotated[tuple[_Size, ...], msgspec.Meta(min_length=1)]
    classes: _Size | tuple[str, ...]
    second_stage: str | None = None
    start: str | None = None


class _Record(msgspec.Struct, frozen=True):
    """Of the summary's record: the hash of what was delivered."""

    weights: str


class _Summary(msgspec.Struct, frozen=True):
    record: _Record


def network_of(folder: Path, model: str | None = None) -> tuple[TrainOptions, Network]:
    """The options of a finished run, and its network in eval mode on the CPU.

    Args:
        folder: The run.
        model: The user's own factory, where the run's network came from one: a file alone runs no code.

    Raises:
        UsageError: The folder holds no run, or one that is not finished, or is a second stage itself, or was
            written by a lacal with another layout; or the network can no longer be built, or is of another factory.
        DataError: A file of the run is missing or damaged.
    """
    config = _config(folder)
    if config.options.model != model:
        was = (
            "a network of lacal's"
            if config.options.model is None
            else printable(config.options.model)
        )
        mend = "leave --model out" if config.options.model is None else f"say --model {was}"
        raise UsageError(
            f"{place(folder)}: was trained with {was}, got --model {printable(model or 'none')}; {mend}"
        )
    classes = config.classes if isinstance(config.classes, int) else len(config.classes)
    path = folder / (BEST if config.options.keep == "best" else LAST)
    weights = _weights(path)
    size = weights["normalise.mean"].numel() if "normalise.mean" in weights else 1
    # Its numbers are among the weights; here they only need their size.
    blank = Normalisation(1.0, np.zeros(size, np.float32), np.ones(size, np.float32), "")
    try:
        network = make_network(config.options, config.input_shape, classes, blank)
    except LacalError as error:
        raise UsageError(f"{place(folder)}: its network cannot be built again: {error}") from error
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        own = config.options.model
        mend = (
            "start from another run"
            if own is None
            else f"bring --model {printable(own)} back to what it was"
        )
        raise DataError(f"{place(path)}: holds the weights of another network; {mend}") from error
    summary = _told(folder / SUMMARY, _Summary)
    if weights_sha256(network) != summary.record.weights:
        raise DataError(
            f"{place(path)}: holds other weights than the run ended with, it is damaged or was replaced; train again"
        )
    return config.options, network.eval()


def _config(folder: Path) -> _Config:
    if not is_run(folder):
        what = "is no folder" if not folder.is_dir() else "holds no run"
        raise UsageError(
            f"{place(folder)}: {what}; expected the folder of a finished run, the -o of lacal train"
        )
    version = _json(folder / CONFIG).get("version")
    if version != VERSION:
        raise UsageError(
            f"{place(folder)}: is a run of layout {shown(str(version))}, this lacal reads layout {VERSION}; use the "
            "lacal that trained it, or train again"
        )
    if not (folder / SUMMARY).is_file():
        raise UsageError(
            f"{place(folder)}: the run is not finished; go on with it first, with --resume"
        )
    config: _Config = _told(folder / CONFIG, _Config)
    if config.second_stage is not None:
        raise UsageError(
            f"{place(folder)}: is a second stage itself ({printable(config.second_stage)}); start from the run that it "
            f"started from, {printable(config.start or 'whose features it kept', 200)}"
        )
    return config


def _told(path: Path, kind: Any) -> Any:
    """A JSON file of the run as a struct."""
    try:
        return msgspec.convert(_json(path), kind)
    except msgspec.ValidationError as error:
        raise _damaged(path, error) from error


def _json(path: Path) -> dict[str, Any]:
    try:
        value = strict_json(read_text(path))
    except ValueError as error:
        raise _damaged(path, error) from error
    if not isinstance(value, dict):
        raise _damaged(path, ValueError("it is no object"))
    return value


def _weights(path: Path) -> dict[str, Any]:
    try:
        weights: dict[str, Any] = load(path.read_bytes())
    except OSError as error:
        raise DataError(
            f"{place(path)}: cannot be read ({reason(error)}); the run's weights are needed, train again"
        ) from error
    except (SafetensorError, ValueError, KeyError) as error:
        raise _damaged(path, error) from error
    return weights


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{place(path)}: is not as lacal train wrote it ({reason(error)}); train again"
    )
