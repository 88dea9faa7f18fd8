"""Where what the user said meets what a model takes: every question settled before the first row."""

import re
from typing import Any

import numpy as np

from lacal.classes.names import shown
from lacal.errors import DataError, UsageError
from lacal.inputs.pixels import (
    IMAGE_CHANNELS,
    Channels,
    Layout,
    Sides,
    refuse_kind,
    shape_text,
    turn_needed,
)
from lacal.inputs.preprocessing import Preprocessing
from lacal.inputs.settled import Settled, size_text
from lacal.models.model import Port

# Types in the words of safetensors and Arrow; NumPy knows its own and torch's. Arrow's "float" has 32
# bits and NumPy's has 64, safetensors' "U8" is a byte and NumPy's is text: these go first.
WORDS = {
    "halffloat": "f2",
    "float": "f4",
    "double": "f8",
    "bfloat16": "f4",
    "BF16": "f4",
    "F16": "f2",
    "F32": "f4",
    "F64": "f8",
    "BOOL": "b1",
    "string": "U",
    **{f"{kind}{8 * size}": f"{kind.lower()}{size}" for kind in "UI" for size in (1, 2, 4, 8)},
}


def settle(
    said: Preprocessing,
    port: Port,
    *,
    stored: str,
    shape: Sides | None,
    images: bool,
    place: str,
) -> Settled:
    """What is done to the rows of one model input, every question settled.

    Args:
        said: The options as given.
        port: The input.
        stored: Type of the data, in their file's own words.
        shape: Of the data, rows first; None for sides that are not known, or where none is.
        images: Whether the data are encoded images.
        place: The data as the user named them, for messages.

    Raises:
        UsageError: An option is missing, or contradicts another or the model; it is named.
        DataError: The data cannot become what the model takes.
        MissingExtra: They are images and Pillow is not installed.
    """
    if images:
        return _settle_images(said, port, place)
    return _settle_arrays(said, port, stored, None if shape is None else shape[1:], place)


def _settle_images(said: Preprocessing, port: Port, place: str) -> Settled:
    from lacal.inputs.images import pillow_version

    where = f"{place}: input {shown(port.name)}"
    pillow_version()  # raises where it is missing
    dtype = _dtype(port, where) or np.dtype(np.float32)
    _check_values(said, dtype, where)
    sides = None if port.shape is None else port.shape[1:]
    if sides is not None and len(sides) not in (2, 3):
        raise DataError(
            f"{where} takes {shape_text(sides)}; images are (n, channels, height, width), "
            "(n, height, width, channels) or (n, height, width)"
        )
    layout = None if sides is not None and len(sides) == 2 else _image_layout(said, sides, where)
    channels = _channels(said, sides, layout, where)
    count = 1 if channels == "L" else 3
    for option, values in (("--mean", said.mean), ("--std", said.std)):
        if values is not None and len(values) not in (1, count):
            wanted = "1" if count == 1 else f"1 or {count}"
            raise UsageError(
                f"{where} takes {channels}; {option} has {len(values)} values, expected {wanted}"
            )
    settled = Settled(
        place=where,
        name=port.name,
        images=True,
        dtype=dtype,
        sides=sides,
        layout=layout,
        channel_axis=1 if layout == "NCHW" else -1,
        channels=channels,
        resize=said.resize,
        crop=said.crop,
        scale=said.scale,
        mean=said.mean,
        std=said.std,
    )
    _check_size(settled)
    return settled


def _settle_arrays(
    said: Preprocessing, port: Port, stored: str, sides: Sides | None, place: str
) -> Settled:
    where = f"{place}: input {shown(port.name)}"
    for option, value in (
        ("--resize", said.resize),
        ("--crop", said.crop),
        ("--channels", said.channels),
    ):
        if value is not None:
            raise UsageError(
                f"{where}: {option} is for encoded images, these are arrays; leave it out (and a --preset "
                "that brings it), and say --scale, --mean and --std as far as they need them"
            )
    dtype, source = _dtype(port, where), stored_dtype(stored)
    wanted = None if port.shape is None else port.shape[1:]
    computes = said.mean is not None or said.std is not None
    if computes and said.scale is None and source is not None and source.kind in "iu":
        raise UsageError(
            f"{where}: are the mean and std those of the stored {source} values? then say --scale 1; "
            "where they are those of pixels between 0 and 1, say --scale 1/255"
        )
    if (computes or said.scale not in (None, 1)) and dtype is not None and dtype.kind != "f":
        raise UsageError(
            f"{where} takes {dtype}, which --scale, --mean and --std would break; leave them out"
        )
    if source is not None:
        refuse_kind(source, dtype or (source if source.kind in "biuf" else np.dtype("f4")), where)
    if sides is not None:
        turn_needed(sides, wanted, said.layout, where)
    return Settled(
        place=where,
        name=port.name,
        images=False,
        dtype=dtype,
        sides=wanted,
        layout=said.layout,
        channel_axis=_channel_axis(said, wanted, sides, where),
        scale=said.scale,
        mean=said.mean,
        std=said.std,
        stored=source,
        data_sides=sides,
    )


def _dtype(port: Port, where: str) -> np.dtype[Any] | None:
    if port.dtype is None:
        return None
    try:
        dtype = np.dtype(port.dtype)
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in "biuf":
        raise DataError(
            f"{where} takes {shown(port.dtype)}, which lacal cannot give; expected a model that takes "
            "numbers, such as float32"
        )
    return dtype


def stored_dtype(stored: str) -> np.dtype[Any] | None:
    """The type meant by a file's own word for it; None where that is not known."""
    words = re.findall(r"[A-Za-z]+[0-9]*", stored)
    known = [word for word in words if word in WORDS or re.fullmatch(r"u?int[0-9]+|bool", word)]
    try:
        word = WORDS.get(known[-1], known[-1]) if known else stored
        dtype: np.dtype[Any] = np.dtype(word).newbyteorder("=")
        return dtype
    except TypeError:
        return None


def _check_values(said: Preprocessing, dtype: np.dtype[Any], where: str) -> None:
    if dtype.kind == "f":
        if said.scale is None:
            raise UsageError(
                f"{where}: say how pixels become inputs: --preset imagenet, or --scale 1/255 with --mean "
                "and --std, or --scale 1 for raw pixels"
            )
    elif said.scale not in (None, 1) or said.mean or said.std or dtype.kind == "b":
        raise UsageError(
            f"{where} takes {dtype}, to which pixels go raw, 0..255; leave out --scale, --mean, --std "
            "and --preset"
        )


def _image_layout(said: Preprocessing, sides: Sides | None, where: str) -> Layout:
    first, last = (None, None) if sides is None else (sides[0], sides[2])
    if said.layout is not None:
        channels = first if said.layout == "NCHW" else last
        if channels is not None and channels not in IMAGE_CHANNELS:
            raise UsageError(
                f"{where} takes {shape_text(sides or ())}, which is not {said.layout} with 1 or 3 "
                "channels; mend --layout, or choose a model for images"
            )
        return said.layout
    if (first in IMAGE_CHANNELS) != (last in IMAGE_CHANNELS):
        return "NCHW" if first in IMAGE_CHANNELS else "NHWC"
    if sides is not None and None not in (first, last) and first not in IMAGE_CHANNELS:
        raise DataError(
            f"{where} takes {shape_text(sides)}; images have 1 or 3 channels, found in neither place"
        )
    takes = "does not say its shape" if sides is None else f"takes {shape_text(sides)}"
    raise UsageError(
        f"{where} {takes}; where do the channels go? say --layout NCHW or --layout NHWC"
    )


def _channels(
    said: Preprocessing, sides: Sides | None, layout: Layout | None, where: str
) -> Channels:
    count: int | None = None
    if layout is None:
        count = 1
    elif sides is not None:
        count = sides[0] if layout == "NCHW" else sides[2]
    if said.channels is not None:
        if count not in (None, 1 if said.channels == "L" else 3):
            raise UsageError(
                f"{where} takes images of {count} channel{'s' if count == 3 else ''}; got --channels "
                f"{said.channels}, expected {'L' if count == 1 else 'RGB or BGR'}"
            )
        return said.channels
    if count is None and 3 in (len(said.mean or ()), len(said.std or ())):
        count = 3
    if count is None:
        raise UsageError(f"{where} does not say how many channels; say --channels RGB, BGR or L")
    return "L" if count == 1 else "RGB"


def _check_size(settled: Settled) -> None:
    """Refuse options that lead to another size than the model takes, where that is known now."""
    comes = settled.crop if settled.crop is not None else settled.resize
    if comes is None or (settled.crop is None and isinstance(comes, int)):
        return
    comes = (comes, comes) if isinstance(comes, int) else comes
    if any(want not in (None, side) for side, want in zip(comes, settled.size, strict=True)):
        option = "--resize" if settled.crop is None else "--crop"
        want = "x".join("?" if side is None else str(side) for side in settled.size)
        raise UsageError(
            f"{settled.place} takes images of {want} (height x width), {option} gives "
            f"{size_text(comes)}; say {option} {want}"
        )


def _channel_axis(
    said: Preprocessing, wanted: Sides | None, sides: Sides | None, where: str
) -> int:
    """The axis of a batch along which several values of mean and std go."""
    count = max(len(said.mean or ()), len(said.std or ()))
    known = wanted if wanted is not None else sides
    if count <= 1 or (known is not None and len(known) != 3):
        return -1
    if said.layout is not None:
        return 1 if said.layout == "NCHW" else -1
    if known is None or (known[0] == count) == (known[2] == count):
        axes = "the data" if known is None else shape_text(known)
        raise UsageError(
            f"{where}: along which axis of {axes} do the {count} values of --mean and --std go? say "
            "--layout NCHW or --layout NHWC"
        )
    return 1 if known[0] == count else -1
