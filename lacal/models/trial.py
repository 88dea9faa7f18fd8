"""A look at a model on its first rows: tells one with dropout left on from a sound one, and counts classes."""

import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lacal.errors import DataError, RunError, UsageError
from lacal.models.batching import padded_run
from lacal.models.model import Model, Port

# Scores of one row may move with the rows it shares a batch with by this share of all scores' range, or of the
# largest score: rounding, not meaning.
OF_RANGE, OF_LARGEST = 1e-3, 1e-5


class Trial(NamedTuple):
    """What the first rows told."""

    classes: int
    seconds_per_row: float


def tried(model: Model, arrays: list[NDArray[Any]], allow_nondeterministic: bool) -> Trial:
    """Run the first rows again and again: they must give the same scores, whichever rows are beside them.

    Raises:
        RunError: Two runs on these rows differ, or scores depend on the rows beside.
        DataError: The model gives fewer than two scores a row.
    """
    # Copies: a model may write into what it is given.
    first = padded_run(model.run, [array.copy() for array in arrays], model.batch_size)
    if first.shape[1] < 2:
        raise DataError(
            f"{model.path}: gives {first.shape[1]} score a row, expected one for each of at least 2 classes"
        )
    began = time.perf_counter()
    again = padded_run(model.run, [array.copy() for array in arrays], model.batch_size)
    trial = Trial(first.shape[1], max(1e-9, (time.perf_counter() - began) / len(first)))
    if allow_nondeterministic:
        return trial
    exact = model.runs_on.device == "cpu"  # a GPU may add up in another order
    if not (np.array_equal(first, again, equal_nan=True) if exact else _close(first, again)):
        raise RunError(
            f"{model.path}: two runs on the same {first.shape[0]} rows gave different scores; dropout or "
            "another random step was left on; save the model in evaluation mode, or say "
            "--allow-nondeterministic"
        )
    rows = len(arrays[0])
    half = rows // 2
    if half and not _close(first[:half], _in_other_company(model, arrays, half)):
        raise RunError(
            f"{model.path}: scores of a row change with the rows beside it; batch normalisation was left "
            "in training mode, or rows change places; save the model in evaluation mode, or say "
            "--allow-nondeterministic"
        )
    return trial


def _in_other_company(model: Model, arrays: list[NDArray[Any]], half: int) -> NDArray[Any]:
    """Scores of the first half alone, or beside itself where the batch has a fixed size."""
    if model.batch_size is None:
        return model.run([array[:half].copy() for array in arrays])
    beside = [np.concatenate([a[:half], a[: len(a) - half]]) for a in arrays]
    scores: NDArray[Any] = padded_run(model.run, beside, model.batch_size)
    return scores[:half]


def generated_inputs(
    ports: tuple[Port, ...], rows: int, path: Path, seed: int
) -> list[NDArray[Any]]:
    """Made-up inputs of the shapes and types that a model says it takes: normal floats, small integers.

    Raises:
        UsageError: The model does not say.
    """
    random = np.random.default_rng(seed)
    made: list[NDArray[Any]] = []
    for port in ports:
        if port.dtype is None or port.shape is None or None in port.shape[1:]:
            raise UsageError(
                f"{path}: does not say which shape its input {port.name} has, so none can be made up to "
                "check the adjusted model with; give some with --inputs"
            )
        shape = (rows, *(side or 1 for side in port.shape[1:]))
        dtype = np.dtype(port.dtype)
        values = (
            random.standard_normal(shape) if dtype.kind == "f" else random.integers(0, 2, shape)
        )
        made.append(values.astype(dtype))
    return made


def _close(first: NDArray[Any], second: NDArray[Any]) -> bool:
    # Of infinities, and of numbers that lie further apart than any number is large.
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(first - second)
        allowed = max(OF_RANGE * float(np.ptp(first)), OF_LARGEST * float(np.abs(first).max()))
    return not (apart > allowed).any()
