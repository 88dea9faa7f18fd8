"""Arrays on their way into a model: axes put in the model's order, values scaled, types cast.

Nothing changes a number in silence: a cast that could lose one is checked value by value, and axes are
turned only where the user has said which order the model takes.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lacal.errors import DataError, UsageError

Layout = Literal["NCHW", "NHWC"]
Channels = Literal["RGB", "BGR", "L"]
Sides = tuple[int | None, ...]
Turn = Literal[
    "as it is", "to NCHW", "to NHWC", "channel axis added first", "channel axis added last"
]

LAYOUTS: tuple[Layout, Layout] = ("NCHW", "NHWC")
IMAGE_CHANNELS = (1, 3)


def shape_text(sides: Sides) -> str:
    """The shape of a batch whose rows have these sides.

    Example:
        >>> shape_text((3, None, 32))
        '(n, 3, ?, 32)'
    """
    return "(" + ", ".join(["n", *("?" if side is None else str(side) for side in sides)]) + ")"


def turn_needed(sides: Sides, wanted: Sides | None, layout: Layout | None, place: str) -> Turn:
    """What brings rows of these sides into the shape a model takes.

    Args:
        sides: Of one row of the data; None where unknown.
        wanted: Of one row of the input; None for a side that varies, or where nothing is known.
        layout: The order the model takes, where the user said so.
        place: File and input, for messages.

    Raises:
        DataError: No turn that was allowed leads there.
        UsageError: Two do.
    """
    wanted = (None,) * len(sides) if wanted is None else wanted
    straight = _fits(sides, wanted)
    if len(sides) == len(wanted) == 3:
        if layout is not None and _fits(turned := _turned(sides, layout), wanted):
            plain = _channel_like(sides, layout)
            if not straight or (_channel_like(turned, layout) and not plain):
                return "to NCHW" if layout == "NCHW" else "to NHWC"
        for other in LAYOUTS:
            if not straight and _fits(_turned(sides, other), wanted):
                theirs = LAYOUTS[other == LAYOUTS[0]]
                raise DataError(
                    f"{place}: the data are {shape_text(sides)}, which looks like {theirs}; the model "
                    f"takes {shape_text(wanted)}; if it is so, say --layout {other}, the order the "
                    "model takes"
                )
    if straight:
        return "as it is"
    if len(sides) == 2 and len(wanted) == 3:
        return _channel_axis(sides, wanted, layout, place)
    raise _misfit(sides, wanted, place)


def turn(block: NDArray[Any], how: Turn) -> NDArray[Any]:
    """A view of the block (n, ...) in its new order."""
    match how:
        case "to NCHW":
            return block.transpose(0, 3, 1, 2)
        case "to NHWC":
            return block.transpose(0, 2, 3, 1)
        case "channel axis added first":
            return block[:, None]
        case "channel axis added last":
            return block[..., None]
        case _:
            return block


def scaled(
    values: NDArray[Any], gain: NDArray[Any], offset: NDArray[Any], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """`values * gain + offset` in `dtype`, C-ordered.

    Computed in float32, or in float64 where the values have more digits than float32 holds.

    Raises:
        FloatingPointError: A value leaves the range of the type.
    """
    work = np.result_type(values.dtype, np.float32)
    out = np.empty(values.shape, work)
    with np.errstate(over="raise", invalid="ignore"):
        np.copyto(out, values)
        if (gain != 1).any():
            out *= gain.astype(work)
        if offset.any():
            out += offset.astype(work)
        return out if work == dtype else out.astype(dtype)


def cast(values: NDArray[Any], dtype: np.dtype[Any], place: str, start: int) -> NDArray[Any]:
    """The same numbers in another type: a fresh, C-ordered array.

    Raises:
        DataError: The type cannot hold them: named by row, counted from `start`.
    """
    refuse_kind(values.dtype, dtype, place)
    if np.can_cast(values.dtype, dtype, "safe"):
        return values.astype(dtype, order="C")
    if values.dtype.kind == "f":
        try:
            with np.errstate(over="raise"):
                return values.astype(dtype, order="C")
        except FloatingPointError:
            raise too_large(values, dtype, place, start) from None
    low, high = _limits(dtype)
    if values.size and (int(values.min()) < low or int(values.max()) > high):
        wrong = (values < low) | (values > high)
        row = int(wrong.reshape(len(values), -1).any(axis=1).argmax())
        exactly = " exactly" if dtype.kind == "f" else ""
        raise DataError(
            f"{place}: row {start + row:,} holds {values[row][wrong[row]].flat[0]}, which {dtype} cannot "
            f"hold{exactly}; got {values.dtype}, expected values within {low:,}..{high:,}"
        )
    return values.astype(dtype, order="C")


def too_large(values: NDArray[Any], dtype: np.dtype[Any], place: str, start: int) -> DataError:
    """The error for floats that become infinite in a narrower type."""
    most = float(np.finfo(dtype).max)
    wrong = np.isfinite(values) & (np.abs(values.astype(np.float64)) > most)
    rows = wrong.reshape(len(values), -1).any(axis=1)
    which = f"row {start + int(rows.argmax()):,}" if rows.any() else "a value"
    return DataError(
        f"{place}: {which} is too large for {dtype}, whose largest number is {most:.4g}; scale it down"
    )


def refuse_kind(stored: np.dtype[Any], dtype: np.dtype[Any], place: str) -> None:
    """Refuse types between which no number can be carried over."""
    if stored.kind not in "biuf":
        raise DataError(f"{place}: holds {stored}, expected numbers; the model takes {dtype}")
    if stored.kind == "f" and dtype.kind != "f":
        raise DataError(
            f"{place}: holds floats ({stored}), but the model takes {dtype}; give it whole numbers, "
            "or name another field with --input"
        )


def _fits(sides: Sides, wanted: Sides) -> bool:
    return len(sides) == len(wanted) and all(
        side is None or want is None or side == want
        for side, want in zip(sides, wanted, strict=True)
    )


def _turned(sides: Sides, layout: Layout) -> Sides:
    return (sides[2], *sides[:2]) if layout == "NCHW" else (*sides[1:], sides[0])


def _channel_like(sides: Sides, layout: Layout) -> bool:
    return sides[0 if layout == "NCHW" else 2] in IMAGE_CHANNELS


def _channel_axis(sides: Sides, wanted: Sides, layout: Layout | None, place: str) -> Turn:
    first, last = _fits((1, *sides), wanted), _fits((*sides, 1), wanted)
    if first and last and layout is None:
        raise UsageError(
            f"{place}: the data are {shape_text(sides)}, the model takes {shape_text(wanted)}; where "
            "does the channel go? say --layout NCHW or --layout NHWC"
        )
    if first and layout != "NHWC":
        return "channel axis added first"
    if last and layout != "NCHW":
        return "channel axis added last"
    raise _misfit(sides, wanted, place)


def _misfit(sides: Sides, wanted: Sides, place: str) -> DataError:
    return DataError(
        f"{place}: the data are {shape_text(sides)}, the model takes {shape_text(wanted)}; "
        "save them in the shape that it takes"
    )


def _limits(dtype: np.dtype[Any]) -> tuple[int, int]:
    if dtype.kind == "f":
        exact: int = 2 ** (np.finfo(dtype).nmant + 1)
        return -exact, exact
    if dtype.kind == "b":
        return 0, 1
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
