"""What is done to every row of one model input, every question settled."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.errors import DataError
from lacal.formats.shown import printable
from lacal.inputs.pixels import (
    Channels,
    Layout,
    Sides,
    Turn,
    cast,
    refuse_kind,
    scaled,
    shape_text,
    too_large,
    turn,
    turn_needed,
)

Size = int | tuple[int, int]


@dataclass(frozen=True, slots=True)
class Settled:
    """What becomes of the rows of one input. Get one from `Preprocessing.settled`.

    Attributes:
        place: File and input, for messages.
        name: The input, as the model spells it.
        images: Whether rows are encoded images; else they are arrays.
        dtype: What the model takes; None where it does not say: floats become float32, others stay.
        sides: Of one row as the model takes it, None for one that varies; None where it does not say.
        layout: Order of the axes: of images as the model takes them, None for images without a
            channel axis; of arrays where the user said so.
        channel_axis: Axis of a batch that several values of mean and std go along: 1 or -1.
        channels: Of images.
        resize: Shorter side, or (height, width); images only.
        crop: (height, width) or one side, from the centre; images only.
        scale: Multiplies the raw values; None for 1.
        mean: Subtracted from the scaled values, one a channel or one for all; None for 0.
        std: Divides the rest; None for 1.
        stored: Type of the data, where known beforehand.
        data_sides: Of one row of the data, where known beforehand.
    """

    place: str
    name: str
    images: bool
    dtype: np.dtype[Any] | None
    sides: Sides | None
    layout: Layout | None = None
    channel_axis: int = -1
    channels: Channels | None = None
    resize: Size | None = None
    crop: Size | None = None
    scale: float | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    stored: np.dtype[Any] | None = None
    data_sides: Sides | None = None

    @property
    def size(self) -> tuple[int | None, int | None]:
        """Height and width of every image as the model gets it; None where images may differ."""
        takes: tuple[int | None, int | None] = (None, None)
        if self.sides is not None and len(self.sides) in (2, 3):
            at = 1 if self.layout == "NCHW" else 0
            takes = self.sides[at], self.sides[at + 1]
        comes = self.resize if isinstance(self.resize, tuple) else (None, None)
        if self.crop is not None:
            comes = (self.crop, self.crop) if isinstance(self.crop, int) else self.crop
        height, width = (
            come if take is None else take for take, come in zip(takes, comes, strict=True)
        )
        return height, width

    def tensor(self, block: NDArray[Any], start: int = 0) -> NDArray[Any]:
        """One block of arrays as the model takes it.

        Args:
            block: (n, ...) numbers in native byte order.
            start: Number of its first row, for messages.

        Returns:
            (n, ...), fresh, C-ordered, of the model's type.

        Raises:
            DataError: The shape or the values do not fit.
        """
        values = turn(block, self.turn(block.shape[1:]))
        return self._finished(values, start)

    def image(self, encoded: bytes | Path, name: str) -> NDArray[Any]:
        """One image as the model takes it, without the batch axis; may be called from many threads.

        Args:
            encoded: The file, or its bytes.
            name: What messages call it.

        Raises:
            DataError: It cannot be decoded, or has another size than the model takes.
        """
        from lacal.inputs.images import decode

        assert self.channels is not None
        pixels = decode(encoded, name, self.channels, self.resize, self.crop)
        for side, wanted in zip(pixels.shape, self.size, strict=False):
            if wanted is not None and side != wanted:
                got = "x".join(str(one) for one in pixels.shape[:2])
                want = "x".join("?" if one is None else str(one) for one in self.size)
                raise DataError(
                    f"{printable(name, 4096)}: comes out as {got} (height x width), the model takes "
                    f"{want}; say --resize {want}, or --resize and --crop"
                )
        if self.layout == "NCHW":
            pixels = pixels.transpose(2, 0, 1)
        elif self.layout is None:
            pixels = pixels[..., 0]
        row: NDArray[Any] = self._finished(pixels[None], 0)[0]
        return row

    def target(self, stored: np.dtype[Any]) -> np.dtype[Any]:
        """The type that values of a stored type become."""
        if self.dtype is not None:
            return self.dtype
        if self._computes or stored.kind == "f":
            return np.dtype(np.float32)
        return stored

    def turn(self, sides: Sides) -> Turn:
        """What is done to the axes of arrays whose rows have these sides."""
        return turn_needed(sides, self.sides, self.layout, self.place)

    @property
    def _computes(self) -> bool:
        return (self.scale or 1, self.mean, self.std) != (1, None, None)

    def _finished(self, values: NDArray[Any], start: int) -> NDArray[Any]:
        target = self.target(values.dtype)
        if not self._computes:
            return cast(values, target, self.place, start)
        refuse_kind(values.dtype, target, self.place)
        gain, offset = _affine(self.scale, self.mean, self.std)
        if gain.size > 1:
            self._check_channels(values.shape, gain.size)
            if self.channel_axis == 1:
                gain, offset = gain[:, None, None], offset[:, None, None]
        try:
            return scaled(values, gain, offset, target)
        except FloatingPointError:
            raise too_large(values * gain + offset, target, self.place, start) from None

    def _check_channels(self, shape: tuple[int, ...], channels: int) -> None:
        if len(shape) not in (2, 4) or shape[self.channel_axis] != channels:
            raise DataError(
                f"{self.place}: --mean and --std have {channels} values, the data are "
                f"{shape_text(shape[1:])}; expected one for all, or one for each channel or feature"
            )


def size_text(size: Size) -> str:
    """Height x width.

    Example:
        >>> size_text(224)
        '224x224'
    """
    height, width = (size, size) if isinstance(size, int) else size
    return f"{height}x{width}"


@lru_cache
def _affine(
    scale: float | None, mean: tuple[float, ...] | None, std: tuple[float, ...] | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """(c,) gain and offset: (x * scale - mean) / std = x * gain + offset."""
    divisor = np.array(std or (1.0,))
    gain, offset = np.broadcast_arrays(
        (1.0 if scale is None else scale) / divisor, -np.array(mean or (0.0,)) / divisor
    )
    return gain, offset
