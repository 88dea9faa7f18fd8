"""What a run needs to go on after an epoch, on disk: weights, the optimiser's state, the epochs so far.

A checkpoint is one safetensors file with a line of JSON in its header. It is written whole first, then
state/last.json is replaced, which holds its hash: whatever that does not name, or not as it is, is not trusted.
The newest two are kept, and the best epoch's. Random states are not needed: every epoch begins with a seed of
its own.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from lacal.atomic import check_room, writing
from lacal.errors import DataError
from lacal.formats.shown import place, reason
from lacal.training.pointer import (
    CHECKPOINT,
    POINTER,
    Kept,
    Pointer,
    read_pointer,
    temporary,
    write_pointer,
)
from lacal.training.progress import Epoch

Tensors = dict[str, Any]  # str -> torch.Tensor

NEWEST = 2
_WEIGHT_FILES = 4  # best and last, ONNX and .pt2
_OURS = re.compile(rf"{CHECKPOINT}|{temporary(CHECKPOINT)}")
HEADER = "lacal"  # the one entry of safetensors' own metadata: several come in no order
_NETWORK, _OPTIMISER = "network.", "optimiser."


class Scalars(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of a checkpoint is no tensor."""

    epochs: tuple[Epoch, ...]
    best: int
    scaler: dict[str, float | int]
    optimiser: dict[str, dict[str, float | int | bool]]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A run after some finished epochs.

    Attributes:
        epochs: All that were finished, in order.
        best: Of them, the number from 0 of the best one.
        network: State of the network, as `state_dict` gives it.
        optimiser: State of each parameter by its number, as in `state_dict()["state"]`.
        scaler: State of the gradient scaler; empty where there is none.
    """

    epochs: tuple[Epoch, ...]
    best: int
    network: Tensors
    optimiser: dict[int, dict[str, Any]]
    scaler: dict[str, float | int]


def check_room_for(path: Path, network: Tensors, epochs: int) -> None:
    """Refuse a run whose files the disk has no room for.

    Args:
        path: The run's folder.
        network: State of the network, which every checkpoint and every weights and model file holds.
        epochs: That are to come.

    Raises:
        RunError: It has none.
    """
    weights = sum(tensor.nbytes for tensor in network.values())
    checkpoints = min(epochs, NEWEST + 1)  # another is written before the oldest goes
    check_room(path / POINTER, weights * (checkpoints + _WEIGHT_FILES))


def keep(state: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, point to it, then drop those that are no longer needed.

    Raises:
        RunError: It could not be written; the one before is untouched.
    """
    before = read_pointer(state)
    former = () if before is None else before.kept
    done, best = len(checkpoint.epochs), checkpoint.best + 1
    content = _encoded(checkpoint)
    with writing(_file(state, done)) as file:
        file.write(content)
    sha256 = hashlib.sha256(content).hexdigest()
    hashes = {done: sha256} | {one.best: one.best_sha256 for one in former}
    kept = (
        Kept(done, sha256, best, hashes[best]),
        *[one for one in former if one.epochs < done][: NEWEST - 1],
    )
    write_pointer(state, Pointer(kept))
    _drop_others(state, kept)


def newest(state: Path, path: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that is as it was written, and what there is to say of those that are not.

    Args:
        state: The folder of checkpoints.
        path: The run's folder, for messages.

    Returns:
        None before the first checkpoint.

    Raises:
        DataError: None of those there were is whole.
    """
    try:
        pointer = read_pointer(state)
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(
            f"{place(state / POINTER)}: cannot be read ({reason(error)}), so no checkpoint can be trusted; start "
            "anew with --force"
        ) from error
    if pointer is None or not pointer.kept:
        return None, []
    said: list[str] = []
    for one in pointer.kept:
        content = _whole(state, one.epochs, one.sha256)
        found = None if content is None else _decoded(content)
        if found is not None and _whole(state, one.best, one.best_sha256) is not None:
            kept = pointer.kept
            if one is not kept[0]:
                # The pointer must not lead back to what is damaged.
                kept = (one,)
                write_pointer(state, Pointer(kept))
            # A run may have been killed before it did so.
            _drop_others(state, kept)
            return found, said
        said.append(
            f"{place(path)}: the checkpoint after epoch {one.epochs:,} is damaged, so the run went on from the "
            "one before"
        )
    raise DataError(
        f"{place(path)}: every checkpoint is damaged or gone ({len(pointer.kept)} of them); start anew with --force"
    )


def _drop_others(state: Path, kept: tuple[Kept, ...]) -> None:
    """Remove checkpoints, and temporaries of them, that are no longer needed; nothing of the user's."""
    needed = {_file(state, number) for one in kept for number in (one.epochs, one.best)}
    for one in list(state.iterdir()):
        if one not in needed and _OURS.fullmatch(one.name):
            one.unlink(missing_ok=True)


def weights_after(state: Path, epochs: int) -> Tensors:
    """The network's state after so many epochs, from a checkpoint that is kept.

    Raises:
        DataError: It is no longer as it was written.
    """
    pointer = read_pointer(state) or Pointer(())
    hashes = {one.epochs: one.sha256 for one in pointer.kept}
    hashes |= {one.best: one.best_sha256 for one in pointer.kept}
    content = _whole(state, epochs, hashes[epochs])
    found = None if content is None else _decoded(content)
    if found is None:
        raise DataError(
            f"{place(_file(state, epochs))}: was changed or removed while the run went on; start anew with --force"
        )
    return found.network


def write_weights(path: Path, network: Tensors, epoch: int) -> None:
    """A network's state as a file of its own, with the number of its epoch from 0."""
    header = msgspec.json.encode({"format": "lacal weights", "epoch": epoch}).decode()
    with writing(path) as file:
        file.write(save(_apart(network), {HEADER: header}))


def _file(state: Path, epochs: int) -> Path:
    return state / f"epoch-{epochs:05}.safetensors"


def _encoded(checkpoint: Checkpoint) -> bytes:
    tensors = {f"{_NETWORK}{name}": tensor for name, tensor in checkpoint.network.items()}
    numbers: dict[str, dict[str, Any]] = {}
    for index, held in checkpoint.optimiser.items():
        for name, value in held.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{_OPTIMISER}{index}.{name}"] = value
            else:
                numbers.setdefault(str(index), {})[name] = value
    scalars = Scalars(checkpoint.epochs, checkpoint.best, checkpoint.scaler, numbers)
    content: bytes = save(_apart(tensors), {HEADER: msgspec.json.encode(scalars).decode()})
    return content


def _decoded(content: bytes) -> Checkpoint | None:
    """The checkpoint in a file; None where it is none, though the pointer holds its hash."""
    try:
        return _parsed(content)
    except (
        msgspec.MsgspecError,
        SafetensorError,
        LookupError,
        ValueError,
        TypeError,
        RecursionError,
    ):
        return None


def _parsed(content: bytes) -> Checkpoint:
    size = int.from_bytes(content[:8], "little")
    header = msgspec.json.decode(content[8 : 8 + size])["__metadata__"]
    scalars = msgspec.json.decode(header[HEADER], type=Scalars)
    network: Tensors = {}
    optimiser: dict[int, dict[str, Any]] = {int(i): dict(v) for i, v in scalars.optimiser.items()}
    for name, tensor in load(content).items():
        if name.startswith(_NETWORK):
            network[name.removeprefix(_NETWORK)] = tensor
        else:
            index, _, entry = name.removeprefix(_OPTIMISER).partition(".")
            optimiser.setdefault(int(index), {})[entry] = tensor
    return Checkpoint(scalars.epochs, scalars.best, network, optimiser, scalars.scaler)


def _whole(state: Path, epochs: int, sha256: str) -> bytes | None:
    """A checkpoint's bytes, if they are those that were written."""
    try:
        content = _file(state, epochs).read_bytes()
    except OSError:
        return None
    return content if hashlib.sha256(content).hexdigest() == sha256 else None


def _apart(tensors: Tensors) -> Tensors:
    """The tensors on the host, contiguous, none sharing memory with another: safetensors takes no others."""
    found: Tensors = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        held = tensor.detach().cpu().contiguous()
        start = held.untyped_storage().data_ptr()
        # Tied weights are one tensor under two names, and views lie within another's memory.
        if start in seen and held.numel():
            held = held.clone()
        seen.add(start)
        found[name] = held
    return found
