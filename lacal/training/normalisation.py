"""What the network does to raw values first: fixed numbers, from the user or from the training examples.

They become part of the model, so that whoever runs it gives it what the data files hold.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.errors import UsageError
from lacal.inputs.preprocessing import Preprocessing

PIECE = 1 << 20  # values worked on at once
MOST_SAID = 4


@dataclass(frozen=True, slots=True)
class Normalisation:
    """`(x * scale - mean) / std`.

    Attributes:
        scale: Of raw values, which are 0..255 for pixels.
        mean: (c,) one a channel of images, (d,) one a feature, or (1,) for all; float32.
        std: Likewise, above 0.
        said: The same in words.
    """

    scale: float
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    said: str


def normalisation(
    said: Preprocessing, inputs: NDArray[Any], *, images: bool, normalise: bool, place: str
) -> Normalisation:
    """As the user says; where nothing is said, to mean 0 and deviation 1 of the training examples.

    Args:
        said: Its scale, mean and std.
        inputs: (n, *shape) training examples.
        images: Whether there is one mean a channel (the first axis of a row).
        normalise: Whether anything is to be done at all.
        place: The training data, for messages.

    Raises:
        UsageError: What is said contradicts itself or the data.
    """
    asked = any(one is not None for one in (said.scale, said.mean, said.std))
    if not normalise:
        if asked:
            raise UsageError(
                "--no-normalise leaves values as they are; leave out --scale, --mean, --std and --preset, or "
                "--no-normalise"
            )
        return Normalisation(1.0, _floats([0.0]), _floats([1.0]), "values as they are")
    if asked:
        return _as_asked(said, inputs, images, place)
    if images and inputs.dtype == np.uint8:
        return _of_pixels(inputs)
    return _of_values(inputs, images)


def _as_asked(said: Preprocessing, inputs: NDArray[Any], images: bool, place: str) -> Normalisation:
    if said.scale is None and inputs.dtype == np.uint8:
        raise UsageError(
            f"{place}: are the mean and std those of pixels of 0..255? then say --scale 1; where they are those "
            "of pixels between 0 and 1, say --scale 1/255"
        )
    what = "channels" if images else "features"
    sides = inputs.shape[1] if images or inputs.ndim == 2 else 1
    for option, values in (("--mean", said.mean), ("--std", said.std)):
        if values is not None and len(values) not in (1, sides):
            raise UsageError(
                f"{place}: {option} has {len(values)} values, the inputs have {sides:,} {what}; give one for all, "
                "or one for each"
            )
    scale = 1.0 if said.scale is None else said.scale
    mean, std = _floats(said.mean or (0.0,)), _floats(said.std or (1.0,))
    if not (np.isfinite(mean).all() and np.isfinite(std).all() and std.min() > 0):
        raise UsageError("--mean, --std: leave the range of float32; scale the values first")
    return Normalisation(scale, mean, std, _in_words(scale, mean, std, "as said"))


def _of_pixels(inputs: NDArray[np.uint8]) -> Normalisation:
    """Exact: from the histogram of each channel."""
    channels = inputs.shape[1]
    seen = np.zeros((channels, 256), np.int64)
    for piece in _pieces(inputs):
        for channel in range(channels):
            seen[channel] += np.bincount(piece[:, channel].ravel(), minlength=256)
    levels = np.arange(256) / 255
    pixels = seen.sum(axis=1)
    mean = seen @ levels / pixels
    std = np.sqrt((seen * (levels - mean[:, None]) ** 2).sum(axis=1) / pixels)
    std[(seen > 0).sum(axis=1) == 1] = 1.0
    whose = "of the training pixels"
    return Normalisation(1 / 255, _floats(mean), _floats(std), _in_words(1 / 255, mean, std, whose))


def _of_values(inputs: NDArray[Any], images: bool) -> Normalisation:
    """In two passes, so that a small spread about a large mean is not lost."""
    axes = 0 if inputs.ndim == 2 else (0, 2, 3) if images else None
    mean = _mean(inputs, axes, 0.0)
    deviation = np.sqrt(_mean(inputs, axes, mean))
    std = _floats(deviation)
    # A constant has no spread to divide by; rounding of its mean may leave one in the last digits.
    first = np.atleast_1d(np.abs(inputs[:1]).astype(np.float64).max(axis=axes))
    constant = (std <= 1e-10 * first) | (std < np.finfo(np.float32).tiny)
    std[constant] = 1.0
    whose = "of the training values"
    if constant.any():
        whose += f", {int(constant.sum()):,} of them constant and only shifted"
    return Normalisation(1.0, _floats(mean), std, _in_words(1.0, mean, std, whose))


def _mean(inputs: NDArray[Any], axes: Any, centre: Any) -> NDArray[np.float64]:
    """Mean over axes of the values where `centre` is 0.0, else of their squared distance from it."""
    total, count = np.zeros(1), 0
    for piece in _pieces(inputs):
        values = piece.astype(np.float64)
        if not isinstance(centre, float):
            sides = (-1, 1, 1) if values.ndim == 4 and axes is not None else (-1,)
            values -= centre.reshape(sides)
            values *= values
        sums = np.atleast_1d(values.sum(axis=axes))
        total = total + sums
        count += values.size // sums.size
    return total / count


def _pieces(inputs: NDArray[Any]) -> Iterator[NDArray[Any]]:
    rows = max(1, PIECE // max(1, inputs[0].size))
    for at in range(0, len(inputs), rows):
        yield inputs[at : at + rows]


def _in_words(scale: float, mean: NDArray[Any], std: NDArray[Any], whose: str) -> str:
    steps = []
    if scale != 1:
        whole = round(1 / scale) if scale < 1 else 0
        steps.append(f"x 1/{whole}" if whole and scale == 1 / whole else f"x {scale:g}")
    if max(mean.size, std.size) > MOST_SAID:
        steps.append(f"mean and std of {max(mean.size, std.size):,} features")
    else:
        steps += [f"{name} {_numbers(one)}" for name, one in (("mean", mean), ("std", std))]
    return f"{', '.join(steps)} ({whose})"


def _numbers(values: NDArray[Any]) -> str:
    return " ".join(f"{value:.4g}" for value in values)


def _floats(values: Any) -> NDArray[np.float32]:
    return np.asarray(values, np.float64).astype(np.float32)
